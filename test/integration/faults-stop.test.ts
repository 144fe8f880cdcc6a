/** What is in memory only is on disk before anything ends on purpose: agent, guest, or all of a place. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handOffInto } from './faults.ts';
import { expectClear, GUEST, TwoPlaces } from './two-places.ts';

let places: TwoPlaces;
beforeAll(async () => {
  places = await TwoPlaces.create();
});
afterAll(() => places?.close());

const DEADLINE_MS = 20_000;

/** What a reboot of the host does to a tmpfs. */
function loseMemory(directory: string): void {
  const found = readdirSync(directory);
  expect(found).not.toEqual([]);
  for (const name of found) rmSync(join(directory, name), { recursive: true });
}

/** The guest runs again, from a disk that has at least what was safe before. */
async function expectContinued(safe: number): Promise<void> {
  const witness = await places.newWitness();
  await witness.nextRecords(2, DEADLINE_MS);
  expect(witness.last.records).toBeGreaterThan(safe);
  expect(await witness.recordProblem('any')).toBeUndefined();
}

describe('records in memory survive', () => {
  it('that the guest is stopped', async () => {
    const { device, witness } = places;
    await witness.nextRecords(3, DEADLINE_MS);
    const safe = witness.last.records;
    const stopped = await device.api.call('guest.stop', { guest: GUEST, force: true });
    expect(stopped.state.kind).toBe('stopped');
    expect(device.guestPids()).toEqual([]);
    await device.api.call('guest.start', { guest: GUEST });
    await expectContinued(safe);
  });

  it('that everything is stopped, and the host too', async () => {
    const { device, lab, witness } = places;
    await witness.nextRecords(3, DEADLINE_MS);
    const safe = witness.last.records;
    await device.sojourn('stop', '--guests');
    await device.terminate();
    expect(device.guestPids()).toEqual([]);
    loseMemory(lab.memory);
    await device.start();
    expect((await device.guest(GUEST))?.state.kind).toBe('stopped');
    await device.api.call('guest.start', { guest: GUEST });
    await expectContinued(safe);
  });

  it('that the agent is ended, and later the host without warning', async () => {
    const { device, lab, witness } = places;
    await witness.nextRecords(3, DEADLINE_MS);
    const safe = witness.last.records;
    await device.terminate();
    await witness.next(5, DEADLINE_MS);
    for (const pid of device.guestPids()) process.kill(pid, 'SIGKILL');
    process.kill(device.recordedDatapathPid(), 'SIGKILL');
    loseMemory(lab.memory);
    await device.start();
    expect((await device.guest(GUEST))?.state.kind).toBe('crashed');
    // It went on for a while after the copy, and nobody shall take that for all it did.
    await expect(device.api.call('guest.start', { guest: GUEST })).rejects.toMatchObject({
      code: 'overlay-lost',
    });
    await device.api.call('guest.start', { guest: GUEST, fromCopy: true });
    await expectContinued(safe);
  });

  it('that everything is stopped where the guest has been handed to', async () => {
    await places.move('device');
    const { site, witness } = places;
    await witness.nextRecords(3, DEADLINE_MS);
    const safe = witness.last.records;
    await site.sojourn('stop', '--guests');
    await site.terminate();
    expect(site.guestPids()).toEqual([]);
    await site.start();
    await site.api.call('guest.start', { guest: GUEST });
    await expectContinued(safe);
    expect(await places.settled()).toBe('site');
  });
});

describe('a handoff is under way', () => {
  it.each(['source', 'destination'] as const)('when the agent of its %s is ended', async (role) => {
    const from = await places.settled();
    await places.newWitness();
    const handoff = await handOffInto(places, from, 'memory');
    const ended = role === 'source' ? places.place(from) : places.other(from);
    await ended.terminate();
    expectClear(await handoff.outcome);
    await ended.start();
    expect(await places.settled()).toBe(from);
    const { witness } = places;
    await witness.nextRecords(2, DEADLINE_MS);
    expect(witness.problems).toEqual([]);
    expect(await witness.recordProblem('any')).toBeUndefined();
    expect(places.other(from).guestPids()).toEqual([]);
  });
});
