/**
 * RPC messages on the bytes of channel 0: u32 length (big-endian), then that many bytes of JSON, one of
 * the shapes below. Codec only.
 */

import { z } from 'zod';
import { wireError } from '../common/index.ts';
import { parsePeerJson, protocolViolation } from './violation.ts';

/** One message, bytes of JSON; checked before it is sent and before it is read. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
/** The longest deadline that a peer may ask for, ms: one hour. */
export const MAX_TIMEOUT_MS = 3_600_000;

const id = z.int().min(1);
const method = z.string().regex(/^[a-z][A-Za-z0-9.-]{0,63}$/);

export const message = z.union([
  /** A request; answered with `result` or `error` under the same id. */
  z.strictObject({
    id,
    call: method,
    params: z.unknown(),
    timeoutMs: z.int().min(1).max(MAX_TIMEOUT_MS),
  }),
  /** The caller of that id no longer waits. */
  z.strictObject({ cancel: id }),
  z.strictObject({ id, result: z.unknown().optional() }),
  z.strictObject({ id, error: wireError }),
  /** A notification; not answered. */
  z.strictObject({ notify: method, params: z.unknown() }),
]);
export type Message = z.infer<typeof message>;

/** `undefined` when the message is too large. Throws TypeError for what JSON cannot say. */
export function encodeMessage(value: Message): Buffer | undefined {
  const json = Buffer.from(JSON.stringify(value));
  if (json.length > MAX_MESSAGE_BYTES) return undefined;
  const bytes = Buffer.allocUnsafe(4 + json.length);
  bytes.writeUInt32BE(json.length, 0);
  json.copy(bytes, 4);
  return bytes;
}

/** Keeps at most one message's bytes. */
export class MessageSplitter {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Throws SojournError `protocol-violation`. */
  push(chunk: Buffer, onMessage: (value: Message) => void): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= 4) {
      const length = this.#peekLength();
      if (length === 0 || length > MAX_MESSAGE_BYTES) {
        throw protocolViolation(`a message of ${length} bytes`);
      }
      if (this.#bytes < 4 + length) return;
      const bytes =
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      const rest = bytes.subarray(4 + length);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
      onMessage(parsePeerJson(message, bytes.subarray(4, 4 + length)));
    }
  }

  #peekLength(): number {
    const first = this.#chunks[0] as Buffer;
    if (first.length >= 4) return first.readUInt32BE(0);
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined.readUInt32BE(0);
  }
}
