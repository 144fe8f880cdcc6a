/** The controller with a real Open vSwitch. */
import { describe } from 'vitest';
import { complies } from '../mobility/controller/compliance.ts';
import { openVSwitch } from '../mobility/controller/fleet.ts';

describe('a controller of Open vSwitch', () => complies(openVSwitch));
