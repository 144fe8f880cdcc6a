/**
 * `npm run bench -- faults` itself, with each phase and each fault some times, the registry at a third place included. The
 * long form, each phase with each fault ten times, takes the better part of a day: `npm run bench -- faults`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '..', 'bench', 'faults', 'main.ts');
const SEED = process.env.SOJOURN_SEED ?? '1';
const TRIALS = 54;
/** No trial begins after that; the last one may take a minute and a half. */
const MINUTES = 20;
const DEADLINE_MS = 25 * 60_000;

it(
  'the guest survives whatever happens',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'faults-'));
    const { exitCode } = await execa(
      process.execPath,
      [
        ...[MAIN, '--seed', SEED, '--choice', `${TRIALS}`, '--minutes', `${MINUTES}`, '--fresh'],
        ...['--results', join(folder, 'results.jsonl'), '--evidence', join(folder, 'evidence')],
      ],
      { stdio: ['ignore', 'inherit', 'inherit'], reject: false },
    );
    expect(exitCode, `evidence in ${folder}`).toBe(0);
    await rm(folder, { recursive: true });
  },
  DEADLINE_MS,
);
