/** Cuts a byte stream into OpenFlow messages by the length in their headers. */
import { HEADER_BYTES } from './codec/codec.ts';
import { openFlowError } from './errors.ts';

export class MessageFramer {
  /** Less than a message, so at most 64 KiB; or more while its reader is asked to wait. */
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** Bytes that are not taken yet. */
  get length(): number {
    return this.#rest.length;
  }

  /**
   * The next whole message, in memory that is not written to again.
   * @throws OpenFlowError bad-request/bad-len: a length shorter than the header, after which nothing can be found.
   */
  take(): Buffer | undefined {
    if (this.#rest.length < HEADER_BYTES) return undefined;
    const length = this.#rest.readUInt16BE(2);
    if (length < HEADER_BYTES)
      throw openFlowError('bad-request', 'bad-len', `a header with a length of ${length}`);
    if (this.#rest.length < length) return undefined;
    const message = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return message;
  }
}
