/** The two ends of a zstd stream (RFC 8878) in which every write can be read at once at the other end. */
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';

/** Level 1: several times as fast as any link this is meant for. */
const LEVEL = 1;
/** Chunks on either side of the compressor, bytes: what it holds back from the estimate of the residue is this. */
const CHUNK_BYTES = 64 * 1024;
/** Largest window a peer may make us keep, log2 of bytes: 8 MiB, which RFC 8878, 3.1.1.1.2 recommends. */
const MAX_WINDOW_LOG = 23;

export function zstdWriter() {
  return createZstdCompress({
    flush: constants.ZSTD_e_flush,
    chunkSize: CHUNK_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_windowLog]: 20,
    },
  });
}

export function zstdReader() {
  return createZstdDecompress({
    chunkSize: CHUNK_BYTES,
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
}
