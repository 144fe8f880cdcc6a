/** Has a trial judged, and keeps what there is to find out from when it failed. */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { SETTLE_DEADLINE_MS } from '../../integration/two-places.ts';
import { monotonicMs } from '../../integration/witness.ts';
import type { Arena } from './arena.ts';

const JUDGE = join(import.meta.dirname, 'judge', 'main.ts');
const run = promisify(execFile);

const verdict = z.object({
  problems: z.array(z.string()),
  reports: z.number(),
  longestSilenceMs: z.number(),
  longestStandstillMs: z.number(),
  records: z.number(),
});
export type Verdict = z.infer<typeof verdict>;

/** Listens to a guest that runs for a little longer, reads its disk records, and has all of it judged. */
export async function hearOut(arena: Arena, log: string): Promise<Verdict> {
  const { witness } = arena.places;
  await witness.next(5, SETTLE_DEADLINE_MS);
  await witness.nextRecords(1, SETTLE_DEADLINE_MS);
  arena.note('asked');
  await witness.recordProblem(arena.rebooted ? 'any' : 'one');
  arena.note(`end ${monotonicMs()} running`);
  return judged(log);
}

export async function judged(log: string): Promise<Verdict> {
  const { stdout } = await run(process.execPath, [JUDGE, log]).catch(
    (error: { stdout: string }) => error,
  );
  return verdict.parse(JSON.parse(stdout));
}

/** Logs, journals, what the judge has read. */
export async function keepEvidence({ places }: Arena, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const wanted = /(\.log|\.trial|journal\.jsonl|datapath\.json)$/;
  await cp(places.lab.directory, folder, {
    recursive: true,
    filter: (path) =>
      !/\/(images|identity)$/.test(path) && (wanted.test(path) || statSync(path).isDirectory()),
  });
}
