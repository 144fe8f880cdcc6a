/** The two ends of a zstd stream (RFC 8878) in which every write can be read at once at the other end. */
import { Transform, type TransformCallback } from 'node:stream';
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  type ZstdCompress,
  type ZstdDecompress,
  type ZstdOptions,
} from 'node:zlib';
import type { Compression } from './compression.ts';

/** Several times as fast as any link this is meant for. */
const DEFAULT_LEVEL = 1;
const WINDOW_LOG = 20;
/** Pieces in which output comes, bytes. */
const CHUNK_BYTES = 64 * 1024;
/** Largest window a peer may make us keep, log2 of bytes: 8 MiB, which RFC 8878, 3.1.1.1.2 recommends. */
const MAX_WINDOW_LOG = 23;

/** `Coalesce` before them can join only what they do not buffer themselves (stream options pass through zlib). */
const unbuffered = { writableHighWaterMark: 1 } as ZstdOptions;

export function zstdWriter(level = DEFAULT_LEVEL): ZstdCompress {
  return createZstdCompress({
    ...unbuffered,
    flush: constants.ZSTD_e_flush,
    chunkSize: CHUNK_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
    },
  });
}

export function zstdReader(): ZstdDecompress {
  return createZstdDecompress({
    ...unbuffered,
    chunkSize: CHUNK_BYTES,
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
}

/** Reads frames that follow one another, wherever pieces begin and end: Node's own reader stops at the end of a frame. */
export class ZstdFramesReader extends Transform {
  #frame: ZstdDecompress | undefined;

  constructor() {
    super({ writableHighWaterMark: 1 });
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#feed(chunk).then(() => done(), done);
  }

  override _read(size: number): void {
    super._read(size);
    this.#frame?.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#frame?.destroy();
    done(error);
  }

  async #feed(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0 && !this.destroyed; ) {
      this.#frame ??= this.#open();
      const frame = this.#frame;
      const before = frame.bytesWritten;
      if (!(await endsWithin(frame, rest))) return;
      this.#frame = undefined;
      rest = rest.subarray(frame.bytesWritten - before);
    }
  }

  #open(): ZstdDecompress {
    const frame = zstdReader();
    frame.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) frame.pause();
    });
    frame.on('error', (error) => this.destroy(error));
    return frame;
  }
}

/** Whether the frame has ended before the end of the piece. */
function endsWithin(frame: ZstdDecompress, piece: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const ended = () => resolve(true);
    frame.once('end', ended);
    frame.write(piece, (error) => {
      frame.off('end', ended);
      if (error) reject(error);
      else resolve(false);
    });
  });
}

/**
 * A writer whose compression can be changed under way: each choice is a frame of its own, and frames follow one another
 * (RFC 8878, 3). `off` is a frame of raw blocks (3.1.1.2.2).
 */
export class AdaptiveZstdWriter extends Transform {
  #wanted: Compression = DEFAULT_LEVEL;
  #current: Compression | undefined;
  #frame: ZstdCompress | undefined;

  constructor() {
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
    if (this.#wanted === this.#current) this.#write(chunk, done);
    else this.#end().then(() => this.#begin(chunk, done), done);
  }

  override _flush(done: TransformCallback): void {
    this.#end().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#frame?.destroy();
    done(error);
  }

  #begin(chunk: Buffer, done: TransformCallback): void {
    this.#current = this.#wanted;
    if (this.#current === 'off') this.push(RAW_FRAME_HEADER);
    else {
      this.#frame = zstdWriter(this.#current);
      this.#frame.on('data', (bytes: Buffer) => this.push(bytes));
      this.#frame.on('error', (error) => this.destroy(error));
    }
    this.#write(chunk, done);
  }

  #write(chunk: Buffer, done: TransformCallback): void {
    if (this.#frame !== undefined) {
      this.#frame.write(chunk, done);
      return;
    }
    for (let at = 0; at < chunk.length; at += MAX_RAW_BLOCK_BYTES) {
      const piece = chunk.subarray(at, at + MAX_RAW_BLOCK_BYTES);
      this.push(rawBlockHeader(piece.length, false));
      this.push(piece);
    }
    done();
  }

  /** Ends the frame under way. */
  async #end(): Promise<void> {
    const frame = this.#frame;
    const current = this.#current;
    this.#frame = undefined;
    this.#current = undefined;
    if (current === 'off') this.push(rawBlockHeader(0, true));
    if (frame === undefined) return;
    await new Promise<void>((resolve, reject) => {
      frame.once('end', resolve);
      frame.once('error', reject);
      frame.end();
    });
  }
}

/** RFC 8878, 3.1.1.2.4: the smaller of the window and 128 KiB. */
const MAX_RAW_BLOCK_BYTES = 128 * 1024;
/** Magic number, a descriptor without content size, checksum or dictionary, and the window (3.1.1.1). */
const RAW_FRAME_HEADER = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (WINDOW_LOG - 10) << 3]);

/** 24 bits, little-endian: last block, type (0: raw), size (3.1.1.2). */
function rawBlockHeader(size: number, last: boolean): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE(size * 8 + Number(last), 0, 3);
  return header;
}
