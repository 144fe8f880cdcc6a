/**
 * What the store must know of a base disk before anybody opens it. A qcow2 header can name further
 * files, which QEMU would open with its user's rights: such a base is refused.
 *
 * qcow2 header, big-endian (QEMU `docs/interop/qcow2.rst`): 0 magic "QFI\xfb", 4 version, 8 offset of the
 * backing file's name, 24 virtual size in bytes, 72 incompatible features (version 3; bit 2: external data file).
 */
import type { FileHandle } from 'node:fs/promises';

const MAGIC = 0x514649fb;
const HEADER_BYTES = 104;
const SECTOR_BYTES = 512;
const EXTERNAL_DATA_FILE = 1n << 2n;

/** The size of the disk that a guest sees, bytes, or what is wrong with the file. */
export async function virtualBytesOf(
  file: FileHandle,
  format: 'raw' | 'qcow2',
): Promise<{ virtualBytes: number } | { problem: string }> {
  if (format === 'raw') {
    const { size } = await file.stat();
    if (size === 0 || size % SECTOR_BYTES !== 0)
      return { problem: `a raw disk is a multiple of ${SECTOR_BYTES} bytes, not ${size}` };
    return { virtualBytes: size };
  }
  const header = Buffer.alloc(HEADER_BYTES);
  await file.read(header, 0, HEADER_BYTES, 0);
  if (header.readUInt32BE(0) !== MAGIC) return { problem: 'it has no qcow2 header' };
  if (header.readBigUInt64BE(8) !== 0n) return { problem: 'it has a backing file' };
  const version3 = header.readUInt32BE(4) >= 3;
  if (version3 && (header.readBigUInt64BE(72) & EXTERNAL_DATA_FILE) !== 0n)
    return { problem: 'it keeps its data in another file' };
  const size = header.readBigUInt64BE(24);
  if (size === 0n || size > BigInt(Number.MAX_SAFE_INTEGER))
    return { problem: `its virtual size of ${size} bytes is not usable` };
  return { virtualBytes: Number(size) };
}
