import { crc32 } from 'node:zlib';

/** Of one record of the demo guest (resources/guest/services/records.c), bytes. */
export const RECORD_BYTES = 128;
const COVERED_BYTES = 118;

export interface Record {
  readonly number: number;
  readonly bootId: string;
  readonly monotonicMs: number;
}

/**
 * The records of the file that the demo guest's TCP port 7002 sends.
 *
 * @throws Error naming the first record that is incomplete, out of order or damaged
 */
export function parseRecords(file: Buffer): Record[] {
  if (file.length % RECORD_BYTES !== 0)
    throw new Error(`${file.length} bytes are no whole number of records`);
  return Array.from({ length: file.length / RECORD_BYTES }, (_, index) => {
    const record = file.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES);
    const text = record.toString('latin1');
    const [number = '', bootId = '', monotonicMs = ''] = text.split(' ');
    const checksum = crc32(record.subarray(0, COVERED_BYTES)).toString(16).padStart(8, '0');
    if (Number(number) !== index + 1) throw new Error(`record ${index + 1} has number ${number}`);
    if (text.slice(COVERED_BYTES) !== ` ${checksum}\n`)
      throw new Error(`record ${number} is damaged: its checksum is not ${checksum}`);
    return { number: Number(number), bootId, monotonicMs: Number(monotonicMs) };
  });
}
