/**
 * Twelve trials of `npm run bench -- faults`, drawn from a seed (SOJOURN_SEED): everybody dies, freezes, or is cut off, in
 * handoffs and standbys. Nothing is worse for it than a silence.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { allTrials, choose, FAULTS, isApart, PHASE_NAMES } from '../bench/faults/plan.ts';
import { coverage } from '../bench/faults/results.ts';
import { runTrials } from '../bench/faults/run.ts';
import type { TrialResult } from '../bench/faults/trial.ts';

const SEED = Number(process.env.SOJOURN_SEED ?? 1);
const TRIALS = 12;
/** Long enough for every time-out that a fault can run into but those of a dead session. */
const TIMES = { leastMs: 2_000, mostMs: 3_500 };
const DEADLINE_MS = 400_000;

it(
  'the guest survives whatever happens',
  async () => {
    // A registry at a third place takes other networks; the long form has it.
    const all = allTrials(SEED, 2, { phases: PHASE_NAMES, faults: FAULTS }).filter(
      (trial) => !isApart(trial),
    );
    const results: TrialResult[] = [];
    const evidence = process.env.SOJOURN_TEST_LOGS ?? (await mkdtemp(join(tmpdir(), 'faults-')));
    await runTrials(choose(SEED, all, TRIALS), {
      ...{ times: TIMES, evidence, goOn: () => true, onBegin: () => undefined },
      // A fill takes some seconds: one phase shows for all that it comes again by itself.
      rearm: ({ phase }) => phase === 'armed',
      onEnd: (result) => results.push(result),
    });
    console.log(coverage(results));
    const failed = results.filter(({ outcome }) => outcome === 'failed');
    expect(failed, `evidence in ${evidence}`).toEqual([]);
    expect(results.length).toBe(TRIALS);
    expect(results.filter(({ outcome }) => outcome === 'passed').length).toBeGreaterThan(9);
  },
  DEADLINE_MS,
);
