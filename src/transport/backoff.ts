/** When to dial again. Pure: `random` in [0, 1) comes from the caller. */

export interface BackoffPolicy {
  /** Wait before the second attempt, ms; doubles with each one after it. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** A lost session may have a guest's handoff in it: somebody is waiting. */
export const RESUME_BACKOFF: BackoffPolicy = { firstMs: 200, maxMs: 5_000 };
/** Nothing is at stake but a site that should be reached some day. */
export const IDLE_BACKOFF: BackoffPolicy = { firstMs: 500, maxMs: 30_000 };

/**
 * Wait in ms before the next attempt, after `failures` failed ones in a row. None after the first loss;
 * after that 50 to 100 % of the doubled time, so that devices do not return in step when a site does.
 */
export function backoffMs(policy: BackoffPolicy, failures: number, random: number): number {
  if (failures <= 0) return 0;
  const full = Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(full * (0.5 + random / 2));
}
