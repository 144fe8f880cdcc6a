/** What a channel has accepted and not yet put into frames. No I/O; never copies. */
export class Outbox {
  #pieces: Buffer[] = [];
  #head = 0;
  /** Bytes of the first piece that are gone. */
  #gone = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** The next `bytes` bytes; there must be that many. */
  take(bytes: number): Buffer[] {
    const taken: Buffer[] = [];
    let missing = bytes;
    while (missing > 0) {
      const piece = this.#pieces[this.#head] as Buffer;
      const size = Math.min(missing, piece.length - this.#gone);
      taken.push(piece.subarray(this.#gone, this.#gone + size));
      missing -= size;
      this.#gone += size;
      if (this.#gone === piece.length) {
        this.#head += 1;
        this.#gone = 0;
      }
    }
    this.#bytes -= bytes;
    if (this.#head === this.#pieces.length || this.#head > 1024) {
      this.#pieces = this.#pieces.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  clear(): void {
    this.#pieces = [];
    this.#head = 0;
    this.#gone = 0;
    this.#bytes = 0;
  }
}
