/** Reads exact numbers of bytes from a stream, with what waits unread bounded by the stream's own mark. */
import type { Readable } from 'node:stream';

/** The stream ended inside a message. */
export class TruncatedStreamError extends Error {
  override readonly name = 'TruncatedStreamError';
}

export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #buffered: Buffer[] = [];
  #length = 0;

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /**
   * The next `size` bytes; undefined when the stream has ended in good order before the first of them.
   * The caller bounds `size`. Throws TruncatedStreamError, and the stream's own error.
   */
  async read(size: number): Promise<Buffer | undefined> {
    while (this.#length < size) {
      const next = await this.#chunks.next();
      if (next.done === true) {
        if (this.#length === 0) return undefined;
        throw new TruncatedStreamError(`the stream ended ${size - this.#length} bytes too early`);
      }
      this.#buffered.push(next.value);
      this.#length += next.value.length;
    }
    return this.#take(size);
  }

  /** As `read`, but the end of the stream is an error. */
  async readExactly(size: number): Promise<Buffer> {
    const bytes = await this.read(size);
    if (bytes === undefined) throw new TruncatedStreamError('the stream ended');
    return bytes;
  }

  #take(size: number): Buffer {
    const first = this.#buffered[0];
    let all = first !== undefined && first.length >= size ? first : Buffer.concat(this.#buffered);
    const rest = all === first ? this.#buffered.slice(1) : [];
    const taken = all.subarray(0, size);
    all = all.subarray(size);
    this.#buffered = all.length > 0 ? [all, ...rest] : rest;
    this.#length -= size;
    return taken;
  }
}
