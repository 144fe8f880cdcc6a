/**
 * How often pairing nearby may fail: each failed attempt is a chance of one in a million for somebody in between. Pure: time is
 * that of a steady clock, ms.
 */

/** Failures are remembered for this long, ms. */
export const TRIES_WINDOW_MS = 10 * 60_000;
/** Of one identity, or from one address. */
export const MAX_TRIES_OF_ONE = 3;
/** Of everybody together. */
export const MAX_TRIES = 10;

interface Failure {
  readonly at: number;
  readonly keys: readonly string[];
}

export class Tries {
  #failures: readonly Failure[] = [];

  /** Ms until an attempt of whom `keys` tell may begin; 0 when it may now. */
  waitMs(keys: readonly string[], now: number): number {
    this.#forget(now);
    const all = waitFor(this.#failures, MAX_TRIES, now);
    const each = keys.map((key) =>
      waitFor(
        this.#failures.filter((failure) => failure.keys.includes(key)),
        MAX_TRIES_OF_ONE,
        now,
      ),
    );
    return Math.max(all, ...each);
  }

  /** An attempt that has begun and did not end in a pairing. */
  failed(keys: readonly string[], now: number): void {
    this.#forget(now);
    // No attempt begins beyond the limit, so no more are ever kept.
    this.#failures = [...this.#failures, { at: now, keys }].slice(-MAX_TRIES);
  }

  #forget(now: number): void {
    this.#failures = this.#failures.filter(({ at }) => now - at < TRIES_WINDOW_MS);
  }
}

function waitFor(failures: readonly Failure[], limit: number, now: number): number {
  const oldest = failures.at(-limit);
  return oldest === undefined ? 0 : oldest.at + TRIES_WINDOW_MS - now;
}
