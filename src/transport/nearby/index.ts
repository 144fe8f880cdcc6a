export type { ComparisonState, FailureReason, Listens, Role } from './comparison.ts';
export { COMPARE_MS, Encounter, turnAway } from './encounter.ts';
export { NearbyListener } from './listener.ts';
export { listening } from './messages.ts';
export { Tries } from './tries.ts';
