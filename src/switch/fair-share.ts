/**
 * Admission to a bounded queue, so that a flooding source cannot take the room of the others: while there are others, a
 * source that sent most of what was admitted lately gets a quarter of the queue, the others all of it. "Lately" is the
 * last one to two queue lengths.
 */
export class FairShare {
  /** Bytes of the whole queue. */
  limit: number;
  readonly #used = new Map<number, number>();
  #sum = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** @param queued bytes in the queue now. */
  admit(source: number, bytes: number, queued: number): boolean {
    const { limit } = this;
    const before = this.#used.get(source) ?? 0;
    if (queued + bytes > limit) {
      // Refused or not, it is somebody to leave room for.
      this.#used.set(source, before);
      return false;
    }
    const used = before + bytes;
    const others = this.#used.size > (this.#used.has(source) ? 1 : 0);
    if (others && used > limit / 2 && queued > limit / 4) return false;
    this.#used.set(source, used);
    this.#sum += bytes;
    if (this.#sum > limit) this.#age();
    return true;
  }

  #age(): void {
    this.#sum = 0;
    for (const [source, used] of this.#used) {
      const half = Math.floor(used / 2);
      this.#sum += half;
      if (half === 0) this.#used.delete(source);
      else this.#used.set(source, half);
    }
  }
}
