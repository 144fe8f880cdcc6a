/**
 * `kill -9` in the middle of a handoff, on real parts: the guest ends in exactly one place, and loses nothing. A choice of
 * what `npm run bench -- faults` does in full.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { Side } from './agent-place.ts';
import { handOffInto, kill, type Phase, type Victim } from './faults.ts';
import { SharedPlaces } from './shared-places.ts';
import { expectClear, GUEST } from './two-places.ts';

const shared = new SharedPlaces();
afterAll(() => shared.close());

const CASES: readonly [from: Side, phase: Phase, victim: Victim, end: Side | undefined][] = [
  ['device', 'memory', 'destination QEMU', 'device'],
  ['device', 'memory', 'source agent', 'device'],
  ['device', 'switchover', 'destination agent', 'device'],
  ['device', 'switchover', 'source agent', undefined],
  ['device', 'switchover', 'destination datapath', undefined],
  ['site', 'switchover', 'source datapath', undefined],
  ['site', 'seal', 'destination QEMU', 'site'],
  ['site', 'seal', 'source agent', undefined],
  // To where it has been before: complete there, and waiting for its seal.
  ['device', 'seal', 'destination agent', 'site'],
  ['site', 'disk', 'destination datapath', undefined],
];

describe('in a handoff', () => {
  it.each(CASES)('from the %s, phase %s: the %s dies', async (from, phase, victim, end) => {
    const places = await shared.at(from);
    const handoff = await handOffInto(places, from, phase);
    await kill(places, from, victim, handoff);
    expectClear(await handoff.outcome);

    const where = await places.expectOneGuest();
    if (end !== undefined) expect(where).toBe(end);
    expect((await places.place(where).guest(GUEST))?.state.kind).toBe('running');
  });
});
