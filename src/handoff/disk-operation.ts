/**
 * One change of a disk, as it travels in a `handoff.disk` channel (inside its zstd stream), in order:
 *
 *   u8 operation, u64 offset, u32 length, then `length` bytes of data where the operation is `write`
 *
 * and what flows back, uncompressed: u64, the number of operations applied so far. All big-endian.
 */
import type { ByteReader } from './byte-reader.ts';
import { MAX_PAYLOAD_BYTES } from './nbd/protocol.ts';

/** Zero is never valid. */
const Operation = { write: 1, zero: 2, 'zero-allocated': 3, trim: 4, flush: 5, end: 6 } as const;
const names = new Map(Object.entries(Operation).map(([name, code]) => [code, name]));

export const OPERATION_HEADER_BYTES = 13;
/** Largest data of one write, bytes; NBD's own limit. */
const MAX_DATA_BYTES = MAX_PAYLOAD_BYTES;

export type DiskOperation =
  | { readonly type: 'write'; readonly offset: number; readonly data: Buffer }
  /** `zero` may leave a hole; `zero-allocated` must not. */
  | {
      readonly type: 'zero' | 'zero-allocated' | 'trim';
      readonly offset: number;
      readonly length: number;
    }
  | { readonly type: 'flush' }
  /** The disk is complete; nothing follows. */
  | { readonly type: 'end' };

/** The peer sent what is no disk operation. */
export class DiskStreamError extends Error {
  override readonly name = 'DiskStreamError';
}

export function encodeOperation(operation: DiskOperation): Buffer {
  const header = Buffer.alloc(OPERATION_HEADER_BYTES);
  header.writeUInt8(Operation[operation.type], 0);
  if (operation.type === 'flush' || operation.type === 'end') return header;
  header.writeBigUInt64BE(BigInt(operation.offset), 1);
  if (operation.type !== 'write') {
    header.writeUInt32BE(operation.length, 9);
    return header;
  }
  header.writeUInt32BE(operation.data.length, 9);
  return Buffer.concat([header, operation.data]);
}

/** The next operation; undefined at the end of the stream. Throws DiskStreamError, TruncatedStreamError. */
export async function readOperation(
  reader: ByteReader,
  diskBytes: number,
): Promise<DiskOperation | undefined> {
  const header = await reader.read(OPERATION_HEADER_BYTES);
  if (header === undefined) return undefined;
  const type = names.get(header.readUInt8(0) as never) as DiskOperation['type'] | undefined;
  if (type === undefined) throw new DiskStreamError(`unknown operation ${header.readUInt8(0)}`);
  if (type === 'flush' || type === 'end') return { type };
  const offset = Number(header.readBigUInt64BE(1));
  const length = header.readUInt32BE(9);
  if (offset + length > diskBytes) throw new DiskStreamError('beyond the end of the disk');
  if (type !== 'write') return { type, offset, length };
  if (length > MAX_DATA_BYTES) throw new DiskStreamError(`a write of ${length} bytes`);
  const data = length === 0 ? Buffer.alloc(0) : await reader.readExactly(length);
  return { type, offset, data };
}

export function encodeApplied(count: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(count), 0);
  return bytes;
}
