/**
 * The link is cut while the seal is on its way: only the destination knows whether it arrived. The source waits, says what
 * that means, and obeys whoever decides; once the link is back the guest is in one place.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { AgentPlace } from './agent-place.ts';
import { handOffInto } from './faults.ts';
import { SharedPlaces } from './shared-places.ts';
import { expectClear, GUEST, type RunningHandoff, type TwoPlaces } from './two-places.ts';

const shared = new SharedPlaces();
afterAll(() => shared.close());

const DEADLINE_MS = 20_000;

interface Doubt {
  readonly places: TwoPlaces;
  readonly here: AgentPlace;
  readonly there: AgentPlace;
  readonly handoff: RunningHandoff;
}

/** `seal`: it never arrives. `answer`: the other place takes the guest over, and cannot say so. */
async function lose(what: 'seal' | 'answer'): Promise<Doubt> {
  const { places, side } = await shared.anywhere();
  const handoff = await handOffInto(places, side, 'seal');
  const toHere = side === 'device' ? 'b-to-a' : 'a-to-b';
  await places.lab.link.cut(what === 'seal' ? 'both' : toHere);
  await places.stateAt(side, 'in-doubt');
  return { places, handoff, here: places.place(side), there: places.other(side) };
}

describe('in doubt', () => {
  it('the guest is paused here, the command says why, and nothing else may touch it', async () => {
    const { places, here, there, handoff } = await lose('seal');
    const { witness } = places;
    const { counter } = witness.last;
    const explained = await here.sojourn('guest', 'recover', GUEST);
    expect(explained).toContain(`${there.name} has not confirmed`);
    for (const choice of ['--keep-here', '--give-up-here']) expect(explained).toContain(choice);
    for (const call of ['guest.start', 'guest.stop', 'guest.delete'] as const)
      await expect(here.api.call(call, { guest: GUEST })).rejects.toMatchObject({
        code: 'guest-in-doubt',
      });
    expect(witness.last.counter).toBe(counter);

    await places.mendLink();
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(await places.expectOneGuest()).toBe(there.side);
  });

  it('a restart of the agent here changes nothing', async () => {
    const { places, here, there } = await lose('seal');
    await here.restart();
    await places.stateAt(here.side, 'in-doubt');
    await places.mendLink();
    expect(await places.expectOneGuest()).toBe(there.side);
  });

  it('the guest goes on there although its answer is lost', async () => {
    const { places, there, handoff } = await lose('answer');
    await places.witness.nextRecords(2, DEADLINE_MS);
    await places.mendLink();
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(await places.expectOneGuest()).toBe(there.side);
  });

  it('a person who knows that it is there gives it up here', async () => {
    const { places, here, there, handoff } = await lose('answer');
    expect(await here.sojourn('guest', 'recover', GUEST, '--give-up-here')).toMatch(/done/);
    expect((await handoff.outcome).kind).toBe('handed-over');
    expect(here.guestPids()).toEqual([]);
    await places.mendLink();
    expect(await places.expectOneGuest()).toBe(there.side);
  });

  it('a person who knows that it is not there keeps it here; it can be handed over later', async () => {
    const { places, here, there, handoff } = await lose('seal');
    expect(await here.sojourn('guest', 'recover', GUEST, '--keep-here')).toMatch(/done/);
    const outcome = await handoff.outcome;
    expectClear(outcome);
    expect(outcome.kind).toBe('failed');
    await places.mendLink();
    expect(await places.expectOneGuest()).toBe(here.side);
    await places.move(here.side);
    expect(await places.expectOneGuest()).toBe(there.side);
  });
});
