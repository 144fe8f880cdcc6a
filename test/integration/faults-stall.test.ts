/**
 * The link stands still, and closes nothing, in the middle of a handoff; and a person changes their mind. The guest and its
 * disk go on at the source, then the handoff completes or says why not.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { handOffInto, type Phase, type Stall, stall } from './faults.ts';
import { SharedPlaces } from './shared-places.ts';
import { expectClear, GUEST } from './two-places.ts';

const shared = new SharedPlaces();
afterAll(() => shared.close());

const STALL_RECORDS = 3;
const DEADLINE_MS = 20_000;
/** Before the memory has crossed there is nothing that could end sooner. */
const CANCELLED = ['prepare', 'memory', 'switchover'] as const;

const CASES: readonly [phase: Phase, stall: Stall][] = [
  ['disk', 'both ways'],
  ['memory', 'toward the destination'],
  ['switchover', 'toward the destination'],
];

describe('the link stalls', () => {
  // The correspondent reaches the site without the link that stalls: it sees the guest go on.
  it.each(CASES)('from the site, phase %s, %s: the source goes on', async (phase, way) => {
    const places = await shared.at('site');
    const handoff = await handOffInto(places, 'site', phase);
    await stall(places, 'site', way);
    await places.witness.nextRecords(STALL_RECORDS, DEADLINE_MS);
    await places.mendLink();
    expectClear(await handoff.outcome);
    await places.expectOneGuest();
  });

  it('from the device, while the memory crosses', async () => {
    const places = await shared.at('device');
    const { witness } = places;
    const handoff = await handOffInto(places, 'device', 'memory', 500);
    const before = witness.last;
    await stall(places, 'device', 'both ways');
    await places.device.api.call('status', {});
    const lifted = setTimeout(() => void places.mendLink(), 4_000);
    await witness.until(() => witness.last.at > before.at + 4_000, DEADLINE_MS, 'a late report');
    clearTimeout(lifted);
    // Counted by the guest, which could not tell anybody: 20 reports and a record each second.
    expect(witness.last.counter - before.counter).toBeGreaterThan(40);
    expect(witness.last.records).toBeGreaterThan(before.records);
    expectClear(await handoff.outcome);
    await places.expectOneGuest();
  });

  it('after the seal: the guest is in one place when it is over', async () => {
    const { places, side } = await shared.anywhere();
    const handoff = await handOffInto(places, side, 'seal');
    await stall(places, side, 'both ways');
    await places.stateAt(side, 'in-doubt');
    await places.mendLink();
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(await places.expectOneGuest()).toBe(places.other(side).side);
  });
});

describe('a handoff is cancelled', () => {
  it.each(CANCELLED)('in phase %s', async (phase) => {
    const places = await shared.at('site');
    const cancel = new AbortController();
    const handoff = await handOffInto(places, 'site', phase, 0, cancel.signal);
    cancel.abort();
    const outcome = await handoff.outcome;
    expectClear(outcome);
    // In the switchover the seal may have been faster.
    if (phase !== 'switchover') expect(outcome).toMatchObject({ error: { kind: 'cancelled' } });
    const end = outcome.kind === 'failed' ? 'site' : 'device';
    expect(await places.expectOneGuest()).toBe(end);
  });

  it('while nothing crosses the link', async () => {
    const places = await shared.at('site');
    const handoff = await handOffInto(places, 'site', 'memory');
    await stall(places, 'site', 'both ways');
    await places.site.sojourn('handoff', GUEST, '--cancel');
    expect(await handoff.outcome).toMatchObject({ error: { kind: 'cancelled' } });
    await places.witness.nextRecords(1, DEADLINE_MS);
    await places.mendLink();
    expect(await places.expectOneGuest()).toBe('site');
    await places.move('site');
    expect(await places.expectOneGuest()).toBe('device');
  });
});
