/**
 * Frames on a byte stream, read and written a chunk at a time.
 *
 * QEMU's `-netdev stream` puts a 4-byte big-endian length before each Ethernet frame (QEMU 10.0,
 * net/stream.c):       | u32 length | frame, `length` bytes |
 * The tunnel between datapaths:
 *                      | u16 length | u8 type | payload, `length` bytes |
 */
import { u16, u32 } from './packet.ts';

/** QEMU's NET_BUFSIZE, bytes: no frame of its is longer. */
export const MAX_STREAM_FRAME_BYTES = 4096 + 65_536;
/** Chunks are gathered for sending in arenas of this many bytes. */
const ARENA_BYTES = 256 * 1024;

export type FramingKind = 'stream' | 'tunnel';

/** Called for each whole frame: [start, end) is its payload, `type` that of a tunnel frame, else 0. */
export type FrameHandler = (buffer: Buffer, start: number, end: number, type: number) => void;

/** Cuts a byte stream into frames without copying, but for the one that a chunk's end has cut in two. */
export class FrameReader {
  readonly #header: number;
  readonly #onFrame: FrameHandler;
  /** The beginning of a frame whose rest has not arrived: `#held` bytes of it. */
  #partial = Buffer.alloc(0);
  #held = 0;

  constructor(kind: FramingKind, onFrame: FrameHandler) {
    this.#header = kind === 'stream' ? 4 : 3;
    this.#onFrame = onFrame;
  }

  /** @returns false when the stream is not what it should be; the connection must then be closed. */
  push(chunk: Buffer): boolean {
    let offset = 0;
    if (this.#held > 0) {
      const used = this.#complete(chunk);
      if (used < 0) return false;
      if (this.#held > 0) return true;
      offset = used;
    }
    const header = this.#header;
    const end = chunk.length;
    while (end - offset >= header) {
      const bytes = this.#length(chunk, offset);
      if (bytes < 0) return false;
      const next = offset + header + bytes;
      if (next > end) break;
      this.#onFrame(chunk, offset + header, next, header === 3 ? (chunk[offset + 2] as number) : 0);
      offset = next;
    }
    if (offset < end) this.#keep(chunk, offset);
    return true;
  }

  /** Completes the kept frame from a new chunk. @returns bytes of the chunk used, -1 on a bad length. */
  #complete(chunk: Buffer): number {
    let used = 0;
    while (this.#held < this.#header && used < chunk.length)
      this.#partial[this.#held++] = chunk[used++] as number;
    if (this.#held < this.#header) return used;
    const bytes = this.#length(this.#partial, 0);
    if (bytes < 0) return -1;
    const whole = this.#header + bytes;
    const copied = chunk.copy(this.#partial, this.#held, used, used + whole - this.#held);
    this.#held += copied;
    used += copied;
    if (this.#held < whole) return used;
    this.#held = 0;
    const type = this.#header === 3 ? (this.#partial[2] as number) : 0;
    this.#onFrame(this.#partial, this.#header, whole, type);
    return used;
  }

  #keep(chunk: Buffer, offset: number): void {
    if (this.#partial.length === 0) this.#partial = Buffer.alloc(MAX_STREAM_FRAME_BYTES + 4);
    this.#held = chunk.copy(this.#partial, 0, offset);
  }

  /** Length of the payload of the frame at `offset`, -1 when it cannot be one. */
  #length(buffer: Buffer, offset: number): number {
    if (this.#header === 3) return u16(buffer, offset);
    const bytes = u32(buffer, offset);
    return bytes === 0 || bytes > MAX_STREAM_FRAME_BYTES ? -1 : bytes;
  }
}

/**
 * Gathers what is to be sent in one write. What was handed out is not written to again, unless `sink` says that it is done with it:
 * else every arena would be garbage, and collecting that costs the more the more flows there are.
 */
export class FrameBatch {
  buffer = Buffer.allocUnsafeSlow(ARENA_BYTES);
  #start = 0;
  #end = 0;
  /** Something in the arena is still in use. */
  #lent = false;
  readonly #sink: (bytes: Buffer) => boolean;

  /** @param sink takes bytes; returns whether it needs them no more. */
  constructor(sink: (bytes: Buffer) => boolean) {
    this.#sink = sink;
  }

  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /** Room for `bytes`. @returns its offset in `buffer`, which may have been replaced. */
  reserve(bytes: number): number {
    if (this.#end + bytes > this.buffer.length) {
      this.flush();
      this.buffer = Buffer.allocUnsafeSlow(Math.max(ARENA_BYTES, bytes));
      this.#start = 0;
      this.#end = 0;
      this.#lent = false;
    }
    const offset = this.#end;
    this.#end += bytes;
    return offset;
  }

  flush(): void {
    if (this.#end === this.#start) return;
    const bytes = this.buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    if (!this.#sink(bytes)) this.#lent = true;
    if (this.#lent || this.#end > this.#start) return;
    this.#start = 0;
    this.#end = 0;
  }

  /** Forgets what was not flushed. */
  discard(): void {
    this.#start = this.#end;
  }
}
