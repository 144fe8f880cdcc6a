/**
 * The SPICE agent protocol on a guest's port (spice-protocol, `vd_agent.h`); all numbers little endian.
 *
 *   chunk     u32 port, u32 size, then so many bytes; a message may take several
 *   message   u32 protocol, u32 type, u64 opaque, u32 size, then so many bytes
 *
 * Clipboard messages begin with u8 selection and 3 bytes of nothing once both sides can tell selections.
 */
import { CLIPBOARD, MAX_CLIPBOARD_BYTES, MESSAGE, type VdMessage } from './protocol.ts';

/** `VDP_CLIENT_PORT`: between the agent and who looks. */
const CLIENT_PORT = 1;
const PROTOCOL = 1;
const CHUNK_HEADER_BYTES = 8;
const MESSAGE_HEADER_BYTES = 20;
/** As QEMU's own; agents take 2048. */
const CHUNK_BYTES = 1024;
/** Room for selection and format beside the text, bytes. */
const MAX_MESSAGE_BYTES = MAX_CLIPBOARD_BYTES + 64;
/** Capabilities are 32 to a word; the protocol has one word of them. */
const MAX_CAPABILITY_WORDS = 8;

/** What a guest sent is not of this protocol, or more than is taken. */
export class VdagentProtocolError extends Error {
  override readonly name = 'VdagentProtocolError';
}

/** @param selections both sides can tell selections */
export function encodeMessage(message: VdMessage, selections: boolean): Buffer {
  const [type, data] = body(message, selections);
  const header = Buffer.alloc(MESSAGE_HEADER_BYTES);
  header.writeUInt32LE(PROTOCOL, 0);
  header.writeUInt32LE(type, 4);
  header.writeUInt32LE(data.length, 16);
  const whole = Buffer.concat([header, data]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length; at += CHUNK_BYTES) {
    const piece = whole.subarray(at, at + CHUNK_BYTES);
    pieces.push(words(CLIENT_PORT, piece.length), piece);
  }
  return Buffer.concat(pieces);
}

/** Messages of a guest, from its bytes. Bounded by one message. */
export class VdMessages {
  /** Both sides can tell selections. */
  selections = false;
  #rest: Buffer = Buffer.alloc(0);
  /** Of the chunk that has begun, bytes still to come. */
  #chunkLeft = 0;
  #header: Buffer = Buffer.alloc(0);
  /** Of the message that has begun: its bytes so far; undefined: too long to be kept. */
  #pieces: Buffer[] | undefined = [];
  #left = 0;

  /** @throws VdagentProtocolError */
  *push(chunk: Buffer): Generator<VdMessage> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#chunkLeft === 0) {
        if (bytes.length < CHUNK_HEADER_BYTES) break;
        this.#chunkLeft = chunkSize(bytes);
        bytes = bytes.subarray(CHUNK_HEADER_BYTES);
      }
      if (bytes.length === 0) break;
      const piece = bytes.subarray(0, this.#chunkLeft);
      bytes = bytes.subarray(piece.length);
      this.#chunkLeft -= piece.length;
      yield* this.#take(piece);
    }
    // Less than a header: a copy, so that nothing larger is held by it.
    this.#rest = Buffer.from(bytes);
  }

  *#take(bytes: Buffer): Generator<VdMessage> {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#header.length < MESSAGE_HEADER_BYTES) {
        const missing = MESSAGE_HEADER_BYTES - this.#header.length;
        this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (this.#header.length < MESSAGE_HEADER_BYTES) return;
        this.#begin();
      }
      const piece = rest.subarray(0, this.#left);
      rest = rest.subarray(piece.length);
      this.#left -= piece.length;
      this.#pieces?.push(Buffer.from(piece));
      if (this.#left > 0) return;
      const type = this.#header.readUInt32LE(4);
      const data = this.#pieces === undefined ? undefined : Buffer.concat(this.#pieces);
      this.#header = Buffer.alloc(0);
      yield parseMessage(type, data, this.selections);
    }
  }

  #begin(): void {
    const protocol = this.#header.readUInt32LE(0);
    if (protocol !== PROTOCOL)
      throw new VdagentProtocolError(`a message of the protocol ${protocol}`);
    this.#left = this.#header.readUInt32LE(16);
    const type = this.#header.readUInt32LE(4);
    // A text that is too long may be there, and is passed over; nothing else is so long.
    if (this.#left > MAX_MESSAGE_BYTES && type !== MESSAGE.clipboard)
      throw new VdagentProtocolError(`a message of ${this.#left} bytes`);
    this.#pieces = this.#left > MAX_MESSAGE_BYTES ? undefined : [];
  }
}

function chunkSize(header: Buffer): number {
  const port = header.readUInt32LE(0);
  const size = header.readUInt32LE(4);
  if (port !== CLIENT_PORT) throw new VdagentProtocolError(`a chunk of the port ${port}`);
  if (size === 0 || size > MAX_MESSAGE_BYTES)
    throw new VdagentProtocolError(`a chunk of ${size} bytes`);
  return size;
}

/** @param data undefined: too long to be kept. @throws VdagentProtocolError */
function parseMessage(type: number, data: Buffer | undefined, selections: boolean): VdMessage {
  if (data === undefined)
    return { kind: 'clipboard', selection: CLIPBOARD, format: 0, data: new Uint8Array(0) };
  switch (type) {
    case MESSAGE.announceCapabilities:
      return {
        kind: 'capabilities',
        request: word(data, 0) !== 0,
        capabilities: capabilitiesOf(data.subarray(4)),
      };
    case MESSAGE.clipboardGrab: {
      const { selection, rest } = selected(data, selections);
      const formats = Array.from({ length: rest.length >> 2 }, (_, at) => word(rest, 4 * at));
      return { kind: 'grab', selection, formats };
    }
    case MESSAGE.clipboardRequest: {
      const { selection, rest } = selected(data, selections);
      return { kind: 'request', selection, format: word(rest, 0) };
    }
    case MESSAGE.clipboard: {
      const { selection, rest } = selected(data, selections);
      return { kind: 'clipboard', selection, format: word(rest, 0), data: rest.subarray(4) };
    }
    case MESSAGE.clipboardRelease:
      return { kind: 'release', selection: selected(data, selections).selection };
    case MESSAGE.maxClipboard:
      return { kind: 'max-clipboard', bytes: word(data, 0) };
    default:
      return { kind: 'other', type };
  }
}

function body(message: VdMessage, selections: boolean): [type: number, data: Buffer] {
  const of = (selection: number) => (selections ? words(selection) : Buffer.alloc(0));
  switch (message.kind) {
    case 'capabilities': {
      const caps = [...message.capabilities].reduce((all, bit) => all | (1 << bit), 0) >>> 0;
      return [MESSAGE.announceCapabilities, words(message.request ? 1 : 0, caps)];
    }
    case 'grab':
      return [
        MESSAGE.clipboardGrab,
        Buffer.concat([of(message.selection), words(...message.formats)]),
      ];
    case 'request':
      return [
        MESSAGE.clipboardRequest,
        Buffer.concat([of(message.selection), words(message.format)]),
      ];
    case 'clipboard':
      return [
        MESSAGE.clipboard,
        Buffer.concat([of(message.selection), words(message.format), message.data]),
      ];
    case 'release':
      return [MESSAGE.clipboardRelease, of(message.selection)];
    case 'max-clipboard':
      return [MESSAGE.maxClipboard, words(message.bytes)];
    case 'other':
      return [message.type, Buffer.alloc(0)];
  }
}

function selected(data: Buffer, selections: boolean): { selection: number; rest: Buffer } {
  if (!selections) return { selection: CLIPBOARD, rest: data };
  return { selection: word(data, 0) & 0xff, rest: data.subarray(4) };
}

function capabilitiesOf(data: Buffer): Set<number> {
  const count = Math.min(data.length >> 2, MAX_CAPABILITY_WORDS);
  const bits = Array.from({ length: 32 * count }, (_, bit) => bit);
  return new Set(bits.filter((bit) => (word(data, 4 * (bit >> 5)) >>> (bit & 31)) & 1));
}

function word(data: Buffer, at: number): number {
  if (data.length < at + 4) throw new VdagentProtocolError('a message that is cut short');
  return data.readUInt32LE(at);
}

function words(...values: readonly number[]): Buffer {
  const data = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) data.writeUInt32LE(value, 4 * at);
  return data;
}
