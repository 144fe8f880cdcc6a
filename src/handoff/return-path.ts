/**
 * QEMU's migration return path, destination to source (migration/migration.c, `source_return_path_thread`):
 *
 *   u16 type, u16 length, then `length` bytes; all big-endian
 *
 * Everything passes through but one message: SWITCHOVER_ACK, without which the source's QEMU (>= 8.1, capability
 * `switchover-ack`) never stops the guest. It is kept here until it is released.
 */
import { Transform, type TransformCallback } from 'node:stream';

const HEADER_BYTES = 4;
const SWITCHOVER_ACK = 7;
/** Type, and length in bytes, of what QEMU 10 sends (`enum mig_rp_message_type`, `rp_cmd_args`). Zero is invalid. */
const MAX_TYPE = 7;
/** The longest is REQ_PAGES_ID, 12 + 1 + 255 bytes; more is no return path. */
const MAX_MESSAGE_BYTES = 1024;

/** The stream is not a return path, or of a QEMU newer than we know. */
export class ReturnPathError extends Error {
  override readonly name = 'ReturnPathError';
}

export class ReturnPathHold extends Transform {
  /** Resolves when the destination's QEMU has sent its acknowledgement. */
  readonly acknowledged: Promise<void>;
  #resolveAcknowledged: () => void;
  #pending: Buffer = Buffer.alloc(0);
  #held: Buffer | undefined;
  #released = false;

  constructor() {
    super();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.acknowledged = promise;
    this.#resolveAcknowledged = resolve;
  }

  /** Lets the acknowledgement go; one that comes later passes at once. */
  release(): void {
    this.#released = true;
    if (this.#held !== undefined) this.push(this.#held);
    this.#held = undefined;
  }

  override _transform(chunk: Buffer, _encoding: string, callback: TransformCallback): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= HEADER_BYTES) {
      const type = this.#pending.readUInt16BE(0);
      const length = HEADER_BYTES + this.#pending.readUInt16BE(2);
      if (type === 0 || type > MAX_TYPE || length > MAX_MESSAGE_BYTES) {
        callback(new ReturnPathError(`unknown return path message ${type}, ${length} bytes`));
        return;
      }
      if (this.#pending.length < length) break;
      const message = this.#pending.subarray(0, length);
      this.#pending = this.#pending.subarray(length);
      if (type === SWITCHOVER_ACK) {
        this.#resolveAcknowledged();
        if (!this.#released) {
          this.#held = message;
          continue;
        }
      }
      this.push(message);
    }
    callback();
  }
}
