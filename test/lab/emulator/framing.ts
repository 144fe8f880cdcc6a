/**
 * The framing of QEMU's `stream` netdev: each Ethernet frame behind its length, a 4-byte big-endian
 * integer (QEMU `net/stream.c`, `net_socket_rs_init`).
 */

/** QEMU's NET_BUFSIZE: 4096 + 65536 bytes; more is not a frame. */
export const MAX_FRAME_BYTES = 69_632;

export class FrameTooLong extends Error {
  constructor(length: number) {
    super(`a frame of ${length} bytes was announced, the limit is ${MAX_FRAME_BYTES}`);
    this.name = 'FrameTooLong';
  }
}

/** Cuts a byte stream into frames; holds back at most one incomplete frame. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Returns the frames that `chunk` completes; they share its memory. Throws FrameTooLong. */
  push(chunk: Buffer): Buffer[] {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Buffer[] = [];
    let at = 0;
    while (data.length - at >= 4) {
      const length = data.readUInt32BE(at);
      if (length > MAX_FRAME_BYTES) throw new FrameTooLong(length);
      if (data.length - at - 4 < length) break;
      frames.push(data.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#rest = Buffer.from(data.subarray(at));
    return frames;
  }
}

export function frameHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(4);
  header.writeUInt32BE(length);
  return header;
}
