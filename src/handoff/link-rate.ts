/**
 * What the link carries, from how fast the peer acknowledges. A time in which we had nothing to send says only
 * that the link carries at least that much. Pure; times in ms, rates in bytes a second.
 */

/** Samples closer together than this are taken together, ms: acknowledgements come in batches. */
const MIN_INTERVAL_MS = 90;
/** Weight of a new interval; half of what is remembered is younger than about three intervals. */
const WEIGHT = 0.25;

/** Smaller bursts tell nothing, bytes. */
const MIN_BURST_BYTES = 8 * 1024;
/** A network that has become slow is worth knowing at once. */
const SLOWER_WEIGHT = 0.75;
/** With so much waiting a link is not idle between two looks, bytes. */
const FILLING_BYTES = 64 * 1024;
/** What is shorter is mostly event loops and looks, ms. */
const RELIABLE_MS = 100;

export class LinkRate {
  #rate: number | undefined;
  #lastAt: number | undefined;
  #lastAcked = 0;
  #busy = true;

  /** `ackedBytes`: ever; `queuedBytes`: waiting to be acknowledged now. */
  sample(at: number, ackedBytes: number, queuedBytes: number): void {
    if (this.#lastAt === undefined) {
      this.#lastAt = at;
      this.#lastAcked = ackedBytes;
      this.#busy = queuedBytes > 0;
      return;
    }
    this.#busy &&= queuedBytes > 0;
    const elapsed = at - this.#lastAt;
    if (elapsed < MIN_INTERVAL_MS) return;
    const rate = ((ackedBytes - this.#lastAcked) * 1000) / elapsed;
    if (this.#rate === undefined) this.#rate = rate > 0 ? rate : undefined;
    else if (this.#busy) this.#rate += (rate - this.#rate) * WEIGHT;
    else this.#rate = Math.max(this.#rate, rate);
    this.#lastAt = at;
    this.#lastAcked = ackedBytes;
    this.#busy = queuedBytes > 0;
  }

  /**
   * A burst of `bytes` that found the link empty was acknowledged after `tookMs`, of which `rttMs` are the round trip. A
   * short one says only that the link carries at least so much; a long one tells what it carries now.
   */
  burst(bytes: number, tookMs: number, rttMs: number): void {
    const elapsed = tookMs - rttMs;
    if (bytes < MIN_BURST_BYTES || this.#rate === undefined) return;
    const seen = (bytes * 1000) / Math.max(elapsed, RELIABLE_MS);
    if (elapsed <= RELIABLE_MS) this.#rate = Math.max(this.#rate, seen);
    else this.#rate += (seen - this.#rate) * (seen < this.#rate ? SLOWER_WEIGHT : WEIGHT);
  }

  /** As `sample`, where the link is not kept busy but for a time: only what fills it counts. */
  filled(at: number, ackedBytes: number, queuedBytes: number): void {
    if (queuedBytes >= FILLING_BYTES) this.sample(at, ackedBytes, queuedBytes);
    else this.#lastAt = undefined;
  }

  /** undefined until something was acknowledged. */
  get bytesPerSecond(): number | undefined {
    return this.#rate;
  }
}
