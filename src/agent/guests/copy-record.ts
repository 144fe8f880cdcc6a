/** What a guest's durable copy is worth, kept beside it: when it was made, and whether the guest has run since. */
import { z } from 'zod';
import { readFileIfPresent, writeFileAtomically } from '../../common/index.ts';

const copyRecord = z.object({
  version: z.literal(1),
  /** The moment that the copy shows; null before the first one. */
  at: z.iso.datetime().nullable(),
  /** Nothing was written after it: the guest had stopped. */
  final: z.boolean(),
});
export type CopyRecord = z.infer<typeof copyRecord>;

export async function writeCopyRecord(
  path: string,
  record: Omit<CopyRecord, 'version'>,
): Promise<void> {
  await writeFileAtomically(path, JSON.stringify({ version: 1, ...record }));
}

/** Undefined where there is none, as of guests that were made before there were any. */
export async function readCopyRecord(path: string): Promise<CopyRecord | undefined> {
  const text = await readFileIfPresent(path);
  if (text === undefined) return undefined;
  return copyRecord.parse(JSON.parse(text));
}
