/** Time for what keeps it: a steady clock, and something done later. */
export interface Clock {
  /** Milliseconds from any beginning; never goes back. */
  now(): number;
  /** @returns a function that prevents it. */
  after(milliseconds: number, run: () => void): () => void;
}

/** A timer alone does not keep the process alive. */
export const steadyClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};
