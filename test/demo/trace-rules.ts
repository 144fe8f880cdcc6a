/** The rules of the demo's person: leave before the link is lost, come back when it is good again. */
import { rulesSchema } from '../../src/link/index.ts';

export const RULES = rulesSchema.parse({ return: { automatic: true } });
