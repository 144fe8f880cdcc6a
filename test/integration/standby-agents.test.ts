/** Guests that stand by between two whole agents, and what kills them. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StandbyView } from '../../src/api/index.ts';
import type { AgentPlace, Side } from './agent-place.ts';
import { within } from './agent-place.ts';
import { GUEST, TwoPlaces } from './two-places.ts';

const DEADLINE_MS = 60_000;
let places: TwoPlaces;
beforeAll(async () => {
  places = await TwoPlaces.create();
}, 120_000);
afterAll(() => places?.close());

/** Resolves when the guest's standby, seen from where it is, is as wanted. */
async function standbyAt(
  place: AgentPlace,
  matches: (standby: StandbyView) => boolean,
): Promise<StandbyView> {
  const found = Promise.withResolvers<StandbyView>();
  const stop = new AbortController();
  place.watch((status) => {
    const standby = status.guests.find(({ name }) => name === GUEST)?.standby;
    if (standby && matches(standby)) found.resolve(standby);
  }, stop.signal);
  try {
    return await within(found.promise, DEADLINE_MS, `a standby seen from ${place.name}`);
  } finally {
    stop.abort();
  }
}

const armed = (place: AgentPlace) =>
  standbyAt(place, ({ state, freshMs }) => state === 'armed' && freshMs !== null);

/** Copies, on its disk, of overlays that the place has in memory. */
async function copies({ state }: AgentPlace): Promise<string[]> {
  const files = await readdir(join(state, 'guests'), { recursive: true });
  return files.filter((file) => file.endsWith('.qcow2'));
}

async function nothingLeft(side: Side): Promise<void> {
  await expect.poll(() => places.place(side).guestPids(), { timeout: 15_000 }).toEqual([]);
}

/** The guest runs there and nowhere else, and never said anything from a second or older copy; another may stand by. */
async function expectRunsAt(side: Side): Promise<void> {
  const { witness } = places;
  expect(await places.settled()).toBe(side);
  await witness.next(5, DEADLINE_MS);
  await witness.nextRecords(1, DEADLINE_MS);
  expect(await witness.recordProblem()).toBeUndefined();
  expect(witness.problems).toEqual([]);
}

describe('a guest that was armed', () => {
  test('stands by, is shown so at both ends, and goes on here', async () => {
    const { device, site, witness } = places;
    await device.sojourn('arm', GUEST, '--at', site.name, '--wait');
    const view = await armed(device);
    expect(view.place.name).toBe(site.name);
    expect(view.estimateMs).toBeGreaterThan(0);
    expect((await device.guest(GUEST))?.state.kind).toBe('running');
    const there = await site.guest(GUEST);
    expect(there?.state).toMatchObject({ kind: 'elsewhere', place: { name: device.name } });
    expect(there?.notices.map(({ code }) => code)).toContain('stands-by-here');
    expect(site.guestPids('incoming')).toHaveLength(1);
    await witness.next(5, DEADLINE_MS);
    expect(witness.problems).toEqual([]);
  }, 90_000);

  test('is armed again by itself when its QEMU over there is killed', async () => {
    const { device, site } = places;
    const [pid] = site.guestPids('incoming');
    process.kill(pid ?? 0, 'SIGKILL');
    const failed = await standbyAt(device, ({ state }) => state === 'unavailable');
    expect(failed.reasonCode).toBe('destination-qemu-ended');
    await armed(device);
    expect(site.guestPids('incoming')).toHaveLength(1);
    expect(site.guestPids('incoming')).not.toContain(pid);
  }, 90_000);

  test.each(['site', 'device'] as const)(
    'is armed again when the agent of the %s has been killed',
    async (side) => {
      const { device, witness } = places;
      const place = places.place(side);
      const [before] = places.site.guestPids('incoming');
      await place.kill();
      await witness.next(5, DEADLINE_MS);
      await place.start();
      // What was left there is gone, and another is there.
      const another = () => places.site.guestPids('incoming').filter((pid) => pid !== before);
      await expect.poll(another, { timeout: DEADLINE_MS }).toHaveLength(1);
      await armed(device);
      expect(places.site.guestPids('incoming')).toHaveLength(1);
      expect((await device.guest(GUEST))?.epoch).toBe(1);
      expect(witness.problems).toEqual([]);
    },
    120_000,
  );

  test('is handed over at once, and the way back is armed by itself', async () => {
    const { device, site, lab } = places;
    const slow = { rateBitsPerSecond: 5e6, delayMs: 25 };
    await lab.link.set(slow);
    const result = await places.move('device');
    expect(result.kind).toBe('armed');
    expect(result.bytesOnLink).toBeLessThan(4 * 1024 * 1024);
    await places.mendLink();
    await expectRunsAt('site');
    const back = await armed(site);
    expect(back).toMatchObject({ place: { name: device.name }, bothWays: true });
    expect((await device.guest(GUEST))?.standby).toBeNull();
    // Its work is on the disk there soon, although it stands by elsewhere.
    await expect.poll(() => copies(site), { timeout: 15_000 }).toHaveLength(1);
    const offered = (await device.guest(GUEST))?.notices.map(({ code }) => code);
    expect(offered).toContain('return-offered');
    const returned = await places.move('site');
    expect(returned.kind).toBe('armed');
    await expectRunsAt('device');
    const audit = await device.api.call('guest.audit', { guest: GUEST });
    expect(audit.problems).toEqual([]);
    expect(audit.entries.map(({ epoch, owner }) => [epoch, owner?.name])).toEqual([
      [1, device.name],
      [2, site.name],
      [3, device.name],
    ]);
  }, 120_000);

  test('is disarmed, and nothing is left of it there', async () => {
    const { device, site } = places;
    await armed(device);
    await device.sojourn('disarm', GUEST);
    expect((await device.guest(GUEST))?.standby).toBeNull();
    await nothingLeft('site');
    expect(await site.guest(GUEST)).toMatchObject({ standby: null });
    await places.expectOneGuest();
  }, 60_000);
});
