const INITIAL_BYTES = 4096;
const LINE_END = 10;

/** Cuts a byte stream into lines; holds at most one line, in one buffer, whatever the chunks' sizes. */
export class LineSplitter {
  readonly #maxBytes: number;
  #held = Buffer.alloc(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a line has begun and not ended. */
  get partial(): boolean {
    return this.#length > 0;
  }

  /**
   * The lines that this chunk completes, without their line ends, in order. Throws `LineTooLong` as
   * soon as a line exceeds the cap; the splitter is of no further use then.
   */
  *push(chunk: Buffer): Generator<Buffer> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, start)) {
      this.#hold(chunk.subarray(start, end));
      start = end + 1;
      const line = this.#held.subarray(0, this.#length);
      this.#held = Buffer.alloc(0);
      this.#length = 0;
      yield line;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
  }

  #hold(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#maxBytes) throw new LineTooLong(this.#maxBytes);
    if (length > this.#held.length) {
      const size = Math.min(Math.max(length, this.#held.length * 2, INITIAL_BYTES), this.#maxBytes);
      const grown = Buffer.allocUnsafe(size);
      this.#held.copy(grown, 0, 0, this.#length);
      this.#held = grown;
    }
    piece.copy(this.#held, this.#length);
    this.#length = length;
  }
}

export class LineTooLong extends Error {
  constructor(maxBytes: number) {
    super(`a line exceeds ${maxBytes} bytes`);
    this.name = 'LineTooLong';
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The JSON value of a line; undefined when it is not UTF-8 or not JSON. */
export function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(line));
  } catch {
    return undefined;
  }
}
