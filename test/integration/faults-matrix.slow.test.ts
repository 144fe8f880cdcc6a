/**
 * Everybody dies, and the link stalls, in every phase of handoffs in both directions, at moments drawn from a seed
 * (SOJOURN_SEED). At the end a table tells what was covered and how each trial ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { Side } from './agent-place.ts';
import {
  handOffInto,
  kill,
  PHASES,
  type Phase,
  SPAN_MS,
  STALLS,
  stall,
  VICTIMS,
} from './faults.ts';
import { expectClear, type Outcome, SharedPlaces } from './two-places.ts';

const SEED = Number(process.env.SOJOURN_SEED ?? 1);
const STALL_MS = { least: 2_000, most: 14_000 };
/** A guest that goes on counts 20 reports a second; the switchover may pause it for 2 s at the most. */
const PAUSE_MS = 2_000;
const REPORT_MS = 50;

const shared = new SharedPlaces();
const covered: string[] = [];
afterAll(async () => {
  await shared.close();
  console.log([`faults in handoffs, seed ${SEED}:`, ...covered].join('\n'));
});

/** The same numbers for the same trial, whatever else runs: FNV-1a of its name. */
function draw(trial: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${SEED} ${trial}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

function note(trial: string, afterMs: number, outcome: Outcome, end: Side): void {
  const told = outcome.kind === 'failed' ? outcome.error.message : outcome.kind;
  covered.push(`${trial.padEnd(60)} +${Math.round(afterMs)} ms -> at the ${end}: ${told}`);
}

const DIRECTIONS = ['device', 'site'] as const;
const each = <T>(values: readonly T[]) =>
  DIRECTIONS.flatMap((from) =>
    PHASES.flatMap((phase) => values.map((value): [Side, Phase, T] => [from, phase, value])),
  );

describe('in a handoff', () => {
  it.each(each(VICTIMS))('from the %s, phase %s: the %s dies', async (from, phase, victim) => {
    const trial = `from ${from}, ${phase}, ${victim} dies`;
    const places = await shared.at(from);
    const afterMs = draw(trial) * SPAN_MS[phase];
    const handoff = await handOffInto(places, from, phase, afterMs);
    await kill(places, from, victim, handoff);
    const outcome = await handoff.outcome;
    expectClear(outcome);
    note(trial, afterMs, outcome, await places.expectOneGuest());
  });

  it.each(each(STALLS))('from the %s, phase %s: the link stalls %s', async (from, phase, way) => {
    const trial = `from ${from}, ${phase}, stall ${way}`;
    const places = await shared.at(from);
    const { witness } = places;
    const afterMs = draw(trial) * SPAN_MS[phase];
    const stallMs = STALL_MS.least + draw(`length of ${trial}`) * (STALL_MS.most - STALL_MS.least);
    const handoff = await handOffInto(places, from, phase, afterMs);
    const before = witness.last;
    await stall(places, from, way);
    await sleep(stallMs);
    await places.mendLink();
    const outcome = await handoff.outcome;
    expectClear(outcome);
    const end = await places.expectOneGuest();
    if (phase !== 'seal') {
      const least = (stallMs - PAUSE_MS) / REPORT_MS / 2;
      expect(witness.last.counter - before.counter).toBeGreaterThan(least);
    }
    note(`${trial} for ${Math.round(stallMs)} ms`, afterMs, outcome, end);
  });
});
