/**
 * What a channel has received and its reader has not taken. The window bounds its bytes; that many
 * tiny pieces, each a Buffer of its own, would still take a hundred times the memory: they are joined.
 */

/** Pieces that may wait as they came; joined with the one before it if both are small, bytes. */
const MAX_LOOSE_PIECES = 64;
const SMALL = 2048;

export class Inbox {
  #pieces: Buffer[] = [];
  #head = 0;

  get empty(): boolean {
    return this.#head === this.#pieces.length;
  }

  push(piece: Buffer): void {
    const last = this.#pieces.length - 1;
    if (piece.length < SMALL && last - this.#head >= MAX_LOOSE_PIECES) {
      const before = this.#pieces[last] as Buffer;
      if (before.length < SMALL) {
        this.#pieces[last] = Buffer.concat([before, piece]);
        return;
      }
    }
    this.#pieces.push(piece);
  }

  shift(): Buffer | undefined {
    const piece = this.#pieces[this.#head];
    if (piece === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#pieces.length || this.#head > 1024) {
      this.#pieces = this.#pieces.slice(this.#head);
      this.#head = 0;
    }
    return piece;
  }

  clear(): void {
    this.#pieces = [];
    this.#head = 0;
  }
}
