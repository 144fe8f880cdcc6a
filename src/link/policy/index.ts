export { loadRules } from './load.ts';
export { decide } from './policy.ts';
export { type ReplaySettings, type ReplayStep, replayPolicy } from './replay.ts';
export { defaultRules, type Rules, rulesSchema } from './rules.ts';
export {
  type Action,
  type Connection,
  type Decision,
  initialState,
  type PolicyInput,
  type PolicyState,
  type Wish,
} from './types.ts';
