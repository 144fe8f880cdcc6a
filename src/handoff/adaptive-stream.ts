/**
 * A stream whose compression can be changed under way, for QEMU's memory. It consists of segments, each what one write
 * was made into, and can be read to the last byte of the last segment that has arrived:
 *
 *   u8 kind, u32 length, u32 CRC-32 of the bytes it stands for (zlib's, RFC 1952, 8), then `length` bytes; big-endian
 *
 * QEMU believes whatever it reads: a page that were lost here would be a guest that breaks later. Hence the sums.
 */
import { once } from 'node:events';
import { Transform, type TransformCallback } from 'node:stream';
import { crc32, type ZstdCompress, type ZstdDecompress } from 'node:zlib';
import type { Compression } from './compression.ts';
import { DEFAULT_LEVEL, zstdReader, zstdWriter } from './zstd-stream.ts';

const Kind = {
  /** The bytes themselves. */
  raw: 0,
  /** The next piece of a zstd stream (RFC 8878), flushed. */
  continued: 1,
  /** The first piece of a new one. */
  begun: 2,
} as const;

const HEADER_BYTES = 9;
/** What one segment stands for at most, bytes. */
const MAX_PIECE_BYTES = 256 * 1024;
/** What zstd makes of that at most is little more. */
const MAX_SEGMENT_BYTES = 2 * MAX_PIECE_BYTES;

/** What has arrived is not what was sent, or was not sent by a writer of this kind. */
export class SegmentError extends Error {
  override readonly name = 'SegmentError';
}

export class AdaptiveWriter extends Transform {
  #wanted: Compression = DEFAULT_LEVEL;
  #current: Compression | undefined;
  #zstd: ZstdCompress | undefined;
  #made: Buffer[] = [];

  constructor() {
    // `Coalesce` before it can join only what waits there.
    super({ writableHighWaterMark: 1 });
  }

  get compression(): Compression {
    return this.#wanted;
  }

  /** Holds from the next write on. */
  set compression(value: Compression) {
    this.#wanted = value;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#write(chunk).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#zstd?.destroy();
    done(error);
  }

  async #write(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; at += MAX_PIECE_BYTES) {
      const piece = chunk.subarray(at, at + MAX_PIECE_BYTES);
      const begins = this.#wanted !== this.#current;
      if (begins) this.#begin(this.#wanted);
      if (this.#zstd === undefined) this.#segment(Kind.raw, piece, [piece]);
      else {
        await written(this.#zstd, piece);
        this.#segment(begins ? Kind.begun : Kind.continued, piece, this.#made);
        this.#made = [];
      }
    }
  }

  #begin(compression: Compression): void {
    this.#zstd?.destroy();
    this.#zstd = undefined;
    this.#current = compression;
    if (compression === 'off') return;
    this.#zstd = zstdWriter(compression, { repetitive: true });
    this.#zstd.on('data', (bytes: Buffer) => this.#made.push(bytes));
    this.#zstd.on('error', (error) => this.destroy(error));
  }

  #segment(kind: number, plain: Buffer, bytes: readonly Buffer[]): void {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(kind, 0);
    header.writeUInt32BE(
      bytes.reduce((sum, { length }) => sum + length, 0),
      1,
    );
    header.writeUInt32BE(crc32(plain), 5);
    this.push(Buffer.concat([header, ...bytes]));
  }
}

/** Reads segments, wherever pieces begin and end. Fails with SegmentError, and with zstd's own errors. */
export class AdaptiveReader extends Transform {
  #header: Buffer = Buffer.alloc(0);
  #zstd: ZstdDecompress | undefined;
  #kind: number = Kind.raw;
  /** Of the segment under way, bytes still to come. */
  #left = 0;
  #expected = 0;
  #sum = 0;

  constructor() {
    super({ writableHighWaterMark: 1 });
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#feed(chunk).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    const whole = this.#left === 0 && this.#header.length === 0;
    done(whole ? null : new SegmentError('the stream ended inside a segment'));
  }

  override _read(size: number): void {
    super._read(size);
    this.#zstd?.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#zstd?.destroy();
    done(error);
  }

  async #feed(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0 && !this.destroyed; ) {
      if (this.#left === 0) {
        rest = this.#readHeader(rest);
        continue;
      }
      const piece = rest.subarray(0, this.#left);
      rest = rest.subarray(piece.length);
      this.#left -= piece.length;
      if (this.#kind === Kind.raw) this.#take(piece);
      else if (this.#zstd !== undefined) await written(this.#zstd, piece);
      if (this.#left === 0 && this.#sum !== this.#expected)
        throw new SegmentError('what arrived is not what was sent');
    }
  }

  /** Returns what is left of the piece. */
  #readHeader(piece: Buffer): Buffer {
    const missing = HEADER_BYTES - this.#header.length;
    this.#header = Buffer.concat([this.#header, piece.subarray(0, missing)]);
    if (this.#header.length < HEADER_BYTES) return Buffer.alloc(0);
    const kind = this.#header.readUInt8(0);
    const length = this.#header.readUInt32BE(1);
    this.#expected = this.#header.readUInt32BE(5);
    this.#header = Buffer.alloc(0);
    if (kind > Kind.begun || length === 0 || length > MAX_SEGMENT_BYTES)
      throw new SegmentError(`unknown segment: kind ${kind}, ${length} bytes`);
    if (kind === Kind.begun) this.#begin();
    if (kind === Kind.continued && this.#zstd === undefined)
      throw new SegmentError('a zstd stream goes on that has not begun');
    this.#kind = kind;
    this.#left = length;
    this.#sum = 0;
    return piece.subarray(missing);
  }

  #begin(): void {
    this.#zstd?.destroy();
    const zstd = zstdReader();
    zstd.on('data', (bytes: Buffer) => {
      if (!this.#take(bytes)) zstd.pause();
    });
    zstd.on('error', (error) => this.destroy(error));
    this.#zstd = zstd;
  }

  /** False: the reader wants to have read this first. */
  #take(bytes: Buffer): boolean {
    this.#sum = crc32(bytes, this.#sum);
    return this.push(bytes);
  }
}

/** Resolves when the stream has taken the piece and everything that it makes of it has been read. */
async function written(stream: ZstdCompress | ZstdDecompress, piece: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(piece, (error) => (error ? reject(error) : resolve()));
  });
  while (stream.readableLength > 0) await once(stream, 'data');
}
