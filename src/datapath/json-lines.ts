/** JSON, one value a line, with a cap on the line. */
const LINE_END = 10;

export class JsonLineReader {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The values that the chunk completes. @throws SyntaxError when a line is too long or not JSON. */
  push(chunk: Buffer): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_END, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      this.#bytes += piece.length;
      if (this.#bytes > this.#maxBytes)
        throw new SyntaxError(`a line exceeds ${this.#maxBytes} bytes`);
      this.#pieces.push(piece);
      if (end === -1) return values;
      const line = Buffer.concat(this.#pieces).toString('utf8');
      this.#pieces = [];
      this.#bytes = 0;
      values.push(JSON.parse(line));
      start = end + 1;
    }
  }
}

export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
