/**
 * The link is cut while the seal is on its way: only the destination knows whether it arrived. The source waits, says what
 * that means, and obeys whoever decides; once the link is back the guest is in one place.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { handOffInto } from './faults.ts';
import {
  expectClear,
  GUEST,
  type RunningHandoff,
  SharedPlaces,
  type TwoPlaces,
} from './two-places.ts';

const shared = new SharedPlaces();
afterAll(() => shared.close());

const DEADLINE_MS = 20_000;

/** `seal`: it never arrives. `answer`: the site takes the guest over, and cannot say so. */
async function lose(what: 'seal' | 'answer'): Promise<[TwoPlaces, RunningHandoff]> {
  const places = await shared.at('device');
  const handoff = await handOffInto(places, 'device', 'seal');
  await places.lab.link.cut(what === 'seal' ? 'both' : 'b-to-a');
  await places.stateAt('device', 'in-doubt');
  return [places, handoff];
}

describe('in doubt', () => {
  it('the guest is paused here, the command says why, and nothing else may touch it', async () => {
    const [places, handoff] = await lose('seal');
    const { device, lab, witness } = places;
    const { counter } = witness.last;
    const explained = await device.sojourn('guest', 'recover', GUEST);
    expect(explained).toMatch(/cloud has not confirmed/);
    for (const choice of ['--keep-here', '--give-up-here']) expect(explained).toContain(choice);
    for (const call of ['guest.start', 'guest.stop', 'guest.delete'] as const)
      await expect(device.api.call(call, { guest: GUEST })).rejects.toMatchObject({
        code: 'guest-in-doubt',
      });
    expect(witness.last.counter).toBe(counter);

    await lab.link.restore();
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(await places.expectOneGuest()).toBe('site');
  });

  it('a restart of the agent here changes nothing', async () => {
    const [places] = await lose('seal');
    await places.device.restart();
    await places.stateAt('device', 'in-doubt');
    await places.lab.link.restore();
    expect(await places.expectOneGuest()).toBe('site');
  });

  it('the guest goes on there although its answer is lost', async () => {
    const [places, handoff] = await lose('answer');
    await places.witness.nextRecords(2, DEADLINE_MS);
    await places.lab.link.restore();
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(await places.expectOneGuest()).toBe('site');
  });

  it('a person who knows that it is there gives it up here', async () => {
    const [places, handoff] = await lose('answer');
    const { device } = places;
    expect(await device.sojourn('guest', 'recover', GUEST, '--give-up-here')).toMatch(/done/);
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(device.guestPids()).toEqual([]);
    await places.lab.link.restore();
    expect(await places.expectOneGuest()).toBe('site');
  });

  it('a person who knows that it is not there keeps it here; it can be handed over later', async () => {
    const [places, handoff] = await lose('seal');
    const { device, lab } = places;
    expect(await device.sojourn('guest', 'recover', GUEST, '--keep-here')).toMatch(/done/);
    const outcome = await handoff.outcome;
    expectClear(outcome);
    expect(outcome.kind).toBe('failed');
    await lab.link.restore();
    expect(await places.expectOneGuest()).toBe('device');
    await places.move('device');
    expect(await places.expectOneGuest()).toBe('site');
  });
});
