/**
 * Frames: what two places say to each other inside TLS. Codec only, no I/O. Integers are big-endian.
 *
 *    0        1        2                 4                 8                 16
 *   +--------+--------+--------+--------+--------/--------+--------/--------+-----------
 *   | version| type   | u16 length      | u32 channel     | u64 offset      | payload ...
 *   +--------+--------+--------+--------+--------/--------+--------/--------+-----------
 *
 * type     bits 0 to 6; bit 7: the sender has no more for now and wants an ACK at once.
 * version  of the protocol, agreed on by HELLO; 0 is never valid. This header and the payloads of HELLO
 *          and GOODBYE are the same in all versions, so those two are read whatever their version says.
 * length   of the payload.
 * channel  0 is the RPC channel. Others are named by who opens them and never used twice in a session:
 *          bit 0: opened by 0 the dialing side, 1 the listening side; bit 1: lane, 0 control, 1 bulk.
 * offset   of the frame's first byte in its lane. A lane is an ordered, reliable stream of *numbered*
 *          frames, header and payload counted. A session has two per direction, control and bulk, and
 *          always sends what is due in the control lane first. After a lost connection each
 *          side tells in HELLO how much of each lane it has, and the other goes on from there.
 *          0 in frames that are not numbered: what they say is absolute, the last one counts.
 *
 * type          payload                                                    numbered
 *   1 HELLO     JSON, see hello.ts; first frame of each side
 *   2 GOODBYE   JSON, an error (common/wire-error.ts): the session ends now, nothing is resumed
 *   3 PING      8 bytes of the sender's choice
 *   4 PONG      the 8 bytes of the PING
 *   5 ACK       u64 control, u64 bulk: received so far of each lane
 *   6 WINDOW    u64: bytes of DATA payload that may be sent on the channel in all
 *  16 OPEN      JSON {kind, meta}                                          yes
 *  17 DATA      1 to 16368 bytes                                           yes
 *  18 FIN       none: no more DATA from this side                          yes
 *  19 RESET     JSON, an error: the channel ends at once in both directions yes
 */

export const PROTOCOL_VERSION = 1;
/** N and N-1 are spoken. */
export const OLDEST_VERSION = Math.max(1, PROTOCOL_VERSION - 1);

export const HEADER_BYTES = 16;
/** One full DATA frame is exactly one TLS record (RFC 8446, 5.1: 2^14 bytes). */
export const MAX_DATA_BYTES = 16384 - HEADER_BYTES;

export const FrameType = {
  hello: 1,
  goodbye: 2,
  ping: 3,
  pong: 4,
  ack: 5,
  window: 6,
  open: 16,
  data: 17,
  fin: 18,
  reset: 19,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Payload limits in bytes, both included; a frame outside of them is not read. */
const PAYLOAD_LIMITS: ReadonlyMap<number, readonly [min: number, max: number]> = new Map([
  [FrameType.hello, [2, 4096]],
  [FrameType.goodbye, [2, 4096]],
  [FrameType.ping, [8, 8]],
  [FrameType.pong, [8, 8]],
  [FrameType.ack, [16, 16]],
  [FrameType.window, [8, 8]],
  [FrameType.open, [2, 8192]],
  [FrameType.data, [1, MAX_DATA_BYTES]],
  [FrameType.fin, [0, 0]],
  [FrameType.reset, [2, 4096]],
]);

/** Bit 7 of the type octet. */
const ACK_NOW = 0x80;

export interface FrameHeader {
  version: number;
  type: FrameType;
  ackNow: boolean;
  channel: number;
  length: number;
  offset: number;
}

export interface Frame extends FrameHeader {
  /** Pieces of the buffers it came in, in order, not copied. */
  payload: Buffer[];
}

/** The peer does not speak the protocol; the connection is of no more use. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function isNumbered(type: FrameType): boolean {
  return type >= FrameType.open;
}

/** Throws RangeError for what the peer would not accept. */
export function encodeHeader(
  version: number,
  type: FrameType,
  channel: number,
  length: number,
  offset: number,
  ackNow = false,
): Buffer {
  const limits = PAYLOAD_LIMITS.get(type);
  if (limits === undefined || length < limits[0] || length > limits[1]) {
    throw new RangeError(`a frame of type ${type} cannot have ${length} bytes of payload`);
  }
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = version;
  header[1] = ackNow ? type | ACK_NOW : type;
  header.writeUInt16BE(length, 2);
  header.writeUInt32BE(channel, 4);
  writeU64(header, offset, 8);
  return header;
}

/** Throws FrameError. `at` + 16 bytes must be there. */
export function decodeHeader(bytes: Buffer, at: number): FrameHeader {
  const version = bytes[at] as number;
  const octet = bytes[at + 1] as number;
  const type = (octet & ~ACK_NOW) as FrameType;
  const ackNow = (octet & ACK_NOW) !== 0;
  const length = bytes.readUInt16BE(at + 2);
  const limits = PAYLOAD_LIMITS.get(type);
  if (limits === undefined) throw new FrameError(`frame of unknown type ${type}`);
  if (length < limits[0] || length > limits[1]) {
    throw new FrameError(`frame of type ${type} with ${length} bytes of payload`);
  }
  const anyVersion = type === FrameType.hello || type === FrameType.goodbye;
  if (version === 0 || (!anyVersion && (version < OLDEST_VERSION || version > PROTOCOL_VERSION))) {
    throw new FrameError(`frame of protocol version ${version}`);
  }
  const offset = readU64(bytes, at + 8);
  if (offset !== 0 && !isNumbered(type)) throw new FrameError(`offset in a frame of type ${type}`);
  return { version, type, ackNow, length, channel: bytes.readUInt32BE(at + 4), offset };
}

/**
 * Cuts a byte stream into frames. Keeps at most one frame's bytes. After it has thrown a FrameError it
 * must not be used again.
 */
export class FrameParser {
  #header = Buffer.alloc(HEADER_BYTES);
  #headerFill = 0;
  #frame: Frame | undefined;
  #missing = 0;

  /** Bytes of an unfinished frame that have been read; 0 between frames. */
  get pending(): number {
    if (this.#frame === undefined) return this.#headerFill;
    return HEADER_BYTES + this.#frame.length - this.#missing;
  }

  /** `onFrame` is called for each frame as soon as it is complete, before what follows is looked at. */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame === undefined) {
        at = this.#readHeader(chunk, at);
        if (this.#frame === undefined) return;
      }
      const frame: Frame = this.#frame;
      const size = Math.min(this.#missing, chunk.length - at);
      if (size > 0) {
        frame.payload.push(chunk.subarray(at, at + size));
        this.#missing -= size;
        at += size;
      }
      if (this.#missing === 0) {
        this.#frame = undefined;
        onFrame(frame);
      }
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#headerFill === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#begin(decodeHeader(chunk, at));
      return at + HEADER_BYTES;
    }
    const size = Math.min(HEADER_BYTES - this.#headerFill, chunk.length - at);
    chunk.copy(this.#header, this.#headerFill, at, at + size);
    this.#headerFill += size;
    if (this.#headerFill === HEADER_BYTES) {
      this.#headerFill = 0;
      this.#begin(decodeHeader(this.#header, 0));
    }
    return at + size;
  }

  #begin(header: FrameHeader): void {
    this.#frame = { ...header, payload: [] };
    this.#missing = header.length;
  }
}

/** The payload in one piece; for small frames. */
export function wholePayload(frame: Frame): Buffer {
  return frame.payload.length === 1 ? (frame.payload[0] as Buffer) : Buffer.concat(frame.payload);
}

export function encodeU64s(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 8);
  for (const [index, value] of values.entries()) writeU64(bytes, value, index * 8);
  return bytes;
}

/** Throws FrameError beyond 2^53: no session lives that long. */
export function readU64(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value)) throw new FrameError('offset beyond 2^53');
  return value;
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}
