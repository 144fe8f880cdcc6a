/** Agent and datapath die, or stand still, while the guest runs: it and who talks to it hardly notice. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { SharedPlaces } from './shared-places.ts';
import { GUEST } from './two-places.ts';
import { monotonicMs } from './witness.ts';

const shared = new SharedPlaces();
afterAll(() => shared.close());

/** The acceptance: the network is back within 2 s. */
const NETWORK_BACK_MS = 2_000;
const STALL_MS = 3_000;
/** Longer than the stall and what follows, and nothing that still runs when the next test begins. */
const SATURATING = 'stream-to 60000 0 1200';
const SIDES = ['device', 'site'] as const;

/** A guest at the site does not need the device. */
const CONCERNED = {
  device: ['device', 'site'],
  site: ['site'],
} as const;

describe.each(SIDES)('with the guest at the %s', (side) => {
  it.each(CONCERNED[side])(
    'the datapath at the %s may die: the network is back at once',
    async (victim) => {
      const places = await shared.at(side);
      const { witness } = places;
      const pid = await places.place(victim).datapathPid();

      process.kill(pid, 'SIGKILL');
      const killedAt = monotonicMs();

      await sleep(NETWORK_BACK_MS);
      await witness.next(1, 10_000);
      expect(witness.longestSilence(killedAt)).toBeLessThan(NETWORK_BACK_MS);
      expect(await places.place(victim).datapathPid()).not.toBe(pid);
      expect(await places.expectOneGuest()).toBe(side);
    },
  );

  it.each(CONCERNED[side])(
    'the datapath at the %s may stall under load and die',
    async (victim) => {
      const places = await shared.at(side);
      const { witness } = places;
      const pid = await places.place(victim).datapathPid();
      witness.ask(SATURATING);
      await witness.until(() => witness.trafficSeen > 5, 10_000, 'its traffic');

      process.kill(pid, 'SIGSTOP');
      await sleep(STALL_MS);
      process.kill(pid, 'SIGKILL');
      const killedAt = monotonicMs();

      expect((await witness.firstAfter(killedAt, 20_000)) - killedAt).toBeLessThan(NETWORK_BACK_MS);
      await witness.next(20, 20_000);
      expect(await places.expectOneGuest()).toBe(side);
    },
  );

  it.each(CONCERNED[side])('the agent at the %s may die: no report is missing', async (victim) => {
    const places = await shared.at(side);
    const { witness } = places;
    const place = places.place(victim);
    const since = monotonicMs();
    const [qemu, datapath] = [places.place(side).guestPids(), await place.datapathPid()];

    await place.kill();
    await witness.nextRecords(1, 10_000);
    await place.start();

    expect(await places.expectOneGuest()).toBe(side);
    expect(witness.missing(since)).toBe(0);
    expect(places.place(side).guestPids()).toEqual(qemu);
    expect(await place.datapathPid()).toBe(datapath);
    const { epoch } = (await places.place(side).guest(GUEST)) ?? {};
    expect((await places.move(side)).epoch).toBe((epoch ?? 0) + 1);
    expect(await places.expectOneGuest()).toBe(places.other(side).side);
  });
});
