/**
 * Passes bytes on, joining what comes while the next stage is busy. QEMU's migration thread writes thousands of tiny
 * pieces a second once little is left; one by one through a compressor's worker thread they would queue for
 * hundreds of milliseconds, ahead of the bytes that the paused guest waits for.
 */
import { Duplex } from 'node:stream';

/** Joined at most, bytes; then the writer has to wait. */
const MAX_JOINED_BYTES = 64 * 1024;

type Done = (error?: Error | null) => void;

export class Coalesce extends Duplex {
  #done: Done | undefined;
  #bytes = 0;

  constructor() {
    // The smallest mark: nothing is pushed ahead of the reader, so that it waits where it can be joined.
    super({ writableHighWaterMark: MAX_JOINED_BYTES, readableHighWaterMark: 1 });
  }

  /** Bytes that have passed so far. */
  get bytes(): number {
    return this.#bytes;
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#pass(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#pass(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _read(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }

  override _final(done: Done): void {
    this.push(null);
    done();
  }

  #pass(bytes: Buffer, done: Done): void {
    this.#bytes += bytes.length;
    if (this.push(bytes)) done();
    else this.#done = done;
  }
}
