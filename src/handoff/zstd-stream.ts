/** The two ends of a zstd stream (RFC 8878) in which every write can be read at once at the other end. */
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  type ZstdCompress,
  type ZstdDecompress,
  type ZstdOptions,
} from 'node:zlib';

/** Several times as fast as any link this is meant for. */
export const DEFAULT_LEVEL = 1;
const WINDOW_LOG = 20;
/** Pieces in which output comes, bytes. */
const CHUNK_BYTES = 64 * 1024;
/** Largest window a peer may make us keep, and we it, log2 of bytes: 8 MiB, which RFC 8878, 3.1.1.1.2 recommends. */
const MAX_WINDOW_LOG = 23;

/** `Coalesce` before them can join only what they do not buffer themselves (stream options pass through zlib). */
const unbuffered = { writableHighWaterMark: 1 } as ZstdOptions;

/**
 * `repetitive`: what comes may have been sent before, megabytes ago, and differ a little. The pages that a guest at rest
 * changes all the time are: they then cost a quarter of the bytes, for a fifth more processor time at level 1.
 */
export function zstdWriter(level = DEFAULT_LEVEL, { repetitive = false } = {}): ZstdCompress {
  return createZstdCompress({
    ...unbuffered,
    flush: constants.ZSTD_e_flush,
    chunkSize: CHUNK_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: repetitive ? MAX_WINDOW_LOG : WINDOW_LOG,
      [constants.ZSTD_c_enableLongDistanceMatching]: Number(repetitive),
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
