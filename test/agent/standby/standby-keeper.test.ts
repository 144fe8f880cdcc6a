/** The keeper of one standby, with everything around it made up. */
import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { StandbyKeeper } from '../../../src/agent/standby/standby-keeper.ts';
import type { StandbyParts } from '../../../src/agent/standby/standbys.ts';
import { SojournError } from '../../../src/common/index.ts';
import { type StandbySnapshot, upkeepBudget } from '../../../src/handoff/index.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

const there = 'b'.repeat(64);
const spec = tinySpec();
type StandBy = StandbyParts['departures']['standBy'];

class World {
  readonly changes = new EventEmitter<{ change: [] }>();
  readonly warn = vi.fn();
  readonly handedOver = vi.fn();
  phase = 'running';
  connected = true;
  metered = false;
  moving = false;
  tries = 0;
  standBy: StandBy = () => Promise.reject(new Error('not made up'));
  keeper: StandbyKeeper | undefined;

  keep(wish: { whenUnmetered?: boolean; bothWays?: boolean } = {}): StandbyKeeper {
    const parts = {
      guests: { live: () => ({ phase: { kind: this.phase } }) },
      journal: { ownership: () => ({ kind: 'here' }) },
      departures: {
        find: () => (this.moving ? {} : undefined),
        departing: () => undefined,
        isBlocked: () => false,
        standBy: (...args: Parameters<StandBy>) => {
          this.tries += 1;
          return this.standBy(...args);
        },
      },
      places: {
        ref: (id: string) => ({ id, name: 'cloud' }),
        find: () => ({}),
        session: () => ({ state: this.connected ? 'connected' : 'resuming' }),
      },
      log: { warn: this.warn },
      changes: this.changes,
      conditions: () => ({ metered: this.metered, onBattery: false }),
      budget: () =>
        upkeepBudget({ onBattery: false, metered: false, linkBytesPerSecond: 1e6, standbys: 1 }),
      handedOver: this.handedOver,
      retryMs: () => 1,
      changed: () => this.changes.emit('change'),
    };
    const since = '2026-01-02T03:04:05.000Z';
    const full = { guestId: spec.id, place: there, whenUnmetered: false, bothWays: true, since };
    this.keeper = new StandbyKeeper(parts as unknown as StandbyParts, spec, { ...full, ...wish });
    return this.keeper;
  }

  view() {
    return this.keeper?.view(Date.now());
  }
}

let world: World;
const made = () => {
  world = new World();
  return world;
};
afterEach(() => world.keeper?.end());

const full = new SojournError({
  kind: 'requirement',
  code: 'memory-short',
  message: 'Cloud has no memory left',
  remedy: 'Free some',
});
const snapshot: StandbySnapshot = {
  at: Date.now() - 60_000,
  freshAt: Date.now() - 60_000,
  remainingBytes: 0,
  backlogBytes: 0,
  dirtyBytesPerSecond: 1_000,
  compression: 0.5,
  upkeepBytesPerSecond: 500,
  linkBytesPerSecond: 1e6,
  rttMs: 20,
};
/** Stands by until it is ended. */
const forEver: StandBy = (_spec, _to, request, signal) =>
  new Promise((_resolve, reject) => {
    request.onFresh(snapshot);
    signal.addEventListener('abort', () => reject(new Error('ended')));
  });

describe('a standby that fails', () => {
  test('is tried again and again, and a person is told once', async () => {
    const { warn } = made();
    world.standBy = () => Promise.reject(full);
    world.keep();
    await expect.poll(() => world.tries).toBeGreaterThan(4);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(world.view()).toMatchObject({
      state: 'unavailable',
      reasonCode: 'memory-short',
      reason: 'Cloud has no memory left',
      remedy: 'Free some',
    });
  });

  test('is told again when another cause comes', async () => {
    const { warn } = made();
    const other = new SojournError({ kind: 'requirement', code: 'disk-full', message: 'Full' });
    world.standBy = () => Promise.reject(world.tries < 4 ? full : other);
    world.keep();
    await expect.poll(() => world.tries).toBeGreaterThan(6);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  test('is armed as soon as it works', async () => {
    made().standBy = (...args) => (world.tries < 3 ? Promise.reject(full) : forEver(...args));
    world.keep();
    await expect.poll(() => world.view()?.state).toBe('armed');
    expect(world.view()?.reason).toBeUndefined();
  });
});

describe('what has to come first is waited for', () => {
  test.each<[string, Partial<World>, string]>([
    ['a connection', { connected: false }, 'peer-unreachable'],
    ['a running guest', { phase: 'paused' }, 'guest-paused'],
    ['an unmetered network', { metered: true }, 'metered'],
  ])('%s', async (_name, lacking, code) => {
    Object.assign(made(), { standBy: forEver }, lacking);
    world.keep({ whenUnmetered: true });
    await expect.poll(() => world.view()?.reasonCode).toBe(code);
    expect(world).toMatchObject({ tries: 0 });
    Object.assign(world, { connected: true, phase: 'running', metered: false });
    world.changes.emit('change');
    await expect.poll(() => world.view()?.state).toBe('armed');
  });
});

test('an armed guest whose link is cut is shown as old, with no estimate', async () => {
  made().standBy = forEver;
  world.keep();
  await expect.poll(() => world.view()?.freshMs).toBeGreaterThan(50_000);
  expect(world.view()?.estimateMs).toBeGreaterThan(0);
  world.connected = false;
  expect(world.view()).toMatchObject({
    state: 'armed',
    estimateMs: null,
    reasonCode: 'peer-unreachable',
  });
});

test('the wish goes with a guest that was handed over', async () => {
  made().standBy = () => Promise.resolve({} as Awaited<ReturnType<StandBy>>);
  world.keep();
  await expect.poll(() => world.handedOver.mock.calls.length).toBe(1);
  expect(world.tries).toBe(1);
});

test('nobody waits for the end of one that is on its way', async () => {
  made().standBy = () => new Promise(() => undefined);
  const keeper = world.keep();
  await expect.poll(() => world.tries).toBe(1);
  world.moving = true;
  await keeper.end();
});
