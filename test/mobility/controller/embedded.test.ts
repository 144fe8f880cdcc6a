import { describe } from 'vitest';
import { complies } from './compliance.ts';
import { embedded } from './fleet.ts';

describe('a controller of embedded switches', () => complies(embedded));
