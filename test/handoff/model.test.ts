import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { World } from './world.ts';

/** One fault in this many steps: most walks reach the states in which ownership changes, and are hit there. */
const STEPS_PER_FAULT = 15;

interface Choice {
  readonly pick: number;
  readonly fault: boolean;
}

function walk(choices: readonly Choice[], standby: boolean): World {
  const world = new World(standby);
  for (const choice of choices) {
    const actions = world.actions().filter((action) => action.fault === choice.fault);
    const action = actions[choice.pick % actions.length];
    if (action !== undefined) world.take(action);
  }
  return world;
}

const choices = (fault: fc.Arbitrary<boolean>) =>
  fc.array(fc.record({ pick: fc.nat(1_000), fault }), {
    minLength: 10,
    maxLength: 90,
    size: 'max',
  });
const rarely = fc.nat(STEPS_PER_FAULT - 1).map((n) => n === 0);

/** Who may run the guest in the end, and whether it does. */
function owners(world: World): { source: boolean; destination: boolean; running: number } {
  const source = world.s.state.kind === 'stayed';
  const destination = world.d.state?.kind === 'running' || world.d.state?.kind === 'lost';
  const running = Number(world.s.qemu === 'running') + Number(world.d.qemu === 'running');
  return { source, destination, running };
}

describe('both machines in a world of crashes and losses', () => {
  test('never two guests, never a step back, always an owner in the end', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(choices(rarely), fc.boolean(), (list, standby) => {
        const world = walk(list, standby);
        reached.add(`s:${world.s.state.kind}`).add(`d:${world.d.state?.kind}`);
        world.heal();
        reached.add(`s:${world.s.state.kind}`).add(`d:${world.d.state?.kind}`);
        const { source, destination, running } = owners(world);
        expect(Number(source) + Number(destination), world.story).toBe(1);
        if (!world.killed) expect(running, world.story).toBe(1);
      }),
      { numRuns: 30_000 },
    );
    // The check is worth something only if the walks get to the states in which ownership changes.
    for (const kind of [
      's:armed',
      's:sealing',
      's:sealed',
      's:handed-over',
      's:stayed',
      's:reclaiming',
    ]) {
      expect(reached).toContain(kind);
    }
    for (const kind of ['d:claiming', 'd:activating', 'd:running', 'd:lost', 'd:refused']) {
      expect(reached).toContain(kind);
    }
  }, 60_000);

  test('without faults the guest arrives', () => {
    fc.assert(
      fc.property(choices(fc.constant(false)), fc.boolean(), (list, standby) => {
        const world = walk(list, standby);
        world.heal();
        expect(world.s.state.kind).toBe('handed-over');
        expect(owners(world)).toEqual({ source: false, destination: true, running: 1 });
      }),
      { numRuns: 300 },
    );
  });
});
