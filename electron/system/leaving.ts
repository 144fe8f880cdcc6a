/** Whether sleep still has to wait: pure, with the time as an argument. */
import type { Status } from '../../src/api/index.ts';

/** The agent's policy has this long to begin a handoff, ms. */
const DECISION_MS = 1_000;
/** logind waits no longer than its own limit; a little before it we let go ourselves. */
const MARGIN_MS = 300;

export interface Leaving {
  readonly sinceMs: number;
  /** How long the system waits at most. */
  readonly patienceMs: number;
}

export function mayLetGo(leaving: Leaving, status: Status | undefined, nowMs: number): boolean {
  const elapsed = nowMs - leaving.sinceMs;
  if (elapsed >= leaving.patienceMs - MARGIN_MS) return true;
  const moving = status?.guests.some(({ state }) => state.kind === 'moving-out') ?? false;
  return !moving && elapsed >= DECISION_MS;
}

/** Whether anything could leave by itself: a guest that runs here and stands by elsewhere, and rules that are at work. */
export function mayHaveToLeave(status: Status | undefined): boolean {
  if (status?.link?.policy.automatic !== true) return false;
  return status.guests.some(({ state, standby }) => state.kind === 'running' && standby !== null);
}
