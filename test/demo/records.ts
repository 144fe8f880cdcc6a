/** The demo guest's disk records (resources/guest/services/records.c): 128 bytes each, numbered, with a CRC. */
import { crc32 } from 'node:zlib';

const RECORD_BYTES = 128;
const COVERED_BYTES = 118;

export interface RecordCheck {
  /** Whole records from number 1 on. */
  readonly records: number;
  /** What is wrong with the first one that is not as it should be. */
  readonly problem: string | undefined;
}

/** `any`: the guest may have been booted again meanwhile; its record numbers go on. */
export function checkRecords(data: Buffer, boots: 'one' | 'any' = 'one'): RecordCheck {
  const count = Math.floor(data.length / RECORD_BYTES);
  let boot: string | undefined;
  for (let index = 0; index < count; index += 1) {
    const record = data.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES);
    const text = record.toString('latin1');
    const stated = text.slice(COVERED_BYTES + 1, COVERED_BYTES + 9);
    const calculated = crc32(record.subarray(0, COVERED_BYTES)).toString(16).padStart(8, '0');
    boot ??= text.slice(11, 47);
    if (stated !== calculated) return { records: index, problem: `checksum of ${index + 1}` };
    if (Number(text.slice(0, 10)) !== index + 1)
      return { records: index, problem: `number of ${index + 1}` };
    if (boots === 'one' && text.slice(11, 47) !== boot)
      return { records: index, problem: `boot of ${index + 1}` };
  }
  if (data.length % RECORD_BYTES !== 0) return { records: count, problem: 'a part of a record' };
  return { records: count, problem: count === 0 ? 'no records' : undefined };
}
