/**
 * What an RFB client sends, cut into whole messages (RFC 6143, 7.5), so that a stream can be held and taken up again
 * between two of them. It begins with 12 bytes of version, one of the chosen security type and one of ClientInit; no
 * other security type than None is ever offered here.
 *
 *   type  0 SetPixelFormat 20             type   5 PointerEvent 6
 *         2 SetEncodings 4 + 4n                  6 ClientCutText 8 + |length|
 *         3 FramebufferUpdateRequest 10        250 xvp 4, 251 SetDesktopSize 8 + 16n
 *         4 KeyEvent 8                         255 QEMU: 0 extended key 12, 1 audio 4 or 10
 */

/** Text that is copied into a guest, and whatever else is announced with a length, bytes. */
export const MAX_CLIENT_MESSAGE = 1 << 20;
const HANDSHAKE = [12, 1, 1];
const FIXED: Readonly<Record<number, number>> = { 0: 20, 3: 10, 4: 8, 5: 6, 250: 4 };
/** Key, pointer and QEMU's keys: what a person does. */
const INPUT: ReadonlySet<number | undefined> = new Set([4, 5, 255]);
const CLIENT_CUT_TEXT = 6;

export interface RfbMessage {
  readonly bytes: Uint8Array;
  /** `handshake` is said once on each connection; `input` is what a person does, the same on any. */
  readonly kind: 'handshake' | 'input' | 'clipboard' | 'request' | 'other';
}

export class RfbMessages {
  #rest: Uint8Array = new Uint8Array(0);
  #phase = 0;

  /** The messages that are complete now, as parts of what was pushed. @throws Error for what no client says */
  push(chunk: Uint8Array): RfbMessage[] {
    const messages: RfbMessage[] = [];
    let rest = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk);
    for (;;) {
      const handshake = HANDSHAKE[this.#phase];
      const length = handshake ?? messageLength(rest);
      if (length !== undefined && length > MAX_CLIENT_MESSAGE)
        throw new Error(`a message of ${length} bytes`);
      if (length === undefined || rest.length < length) break;
      const bytes = rest.subarray(0, length);
      messages.push({ bytes, kind: handshake === undefined ? kindOf(bytes) : 'handshake' });
      rest = rest.subarray(length);
      this.#phase += 1;
    }
    this.#rest = rest;
    return messages;
  }
}

function kindOf([type]: Uint8Array): RfbMessage['kind'] {
  if (INPUT.has(type)) return 'input';
  if (type === CLIENT_CUT_TEXT) return 'clipboard';
  return type === 3 ? 'request' : 'other';
}

/** Undefined while it cannot be told yet. */
function messageLength(bytes: Uint8Array): number | undefined {
  const [type] = bytes;
  if (type === undefined) return undefined;
  const fixed = FIXED[type];
  if (fixed !== undefined) return fixed;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 2:
      return bytes.length < 4 ? undefined : 4 + 4 * view.getUint16(2);
    case 6:
      // Negative for the extended clipboard.
      return bytes.length < 8 ? undefined : 8 + Math.abs(view.getInt32(4));
    case 251:
      return bytes.length < 8 ? undefined : 8 + 16 * view.getUint8(6);
    case 255:
      return qemuLength(view);
    default:
      throw new Error(`a message of the type ${type}`);
  }
}

function qemuLength(view: DataView): number | undefined {
  if (view.byteLength < 2) return undefined;
  const type = view.getUint8(1);
  if (type === 0) return 12;
  if (type !== 1) throw new Error(`a QEMU message of the type ${type}`);
  if (view.byteLength < 4) return undefined;
  return view.getUint16(2) === 2 ? 10 : 4;
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}
