/** The watch of a device's link, with a recording made up for each test and everything it does only written down. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LinkWatch, TraceSensor, type WatchedGuest } from '../../../src/agent/link/index.ts';
import { openDatabase } from '../../../src/agent/state/database.ts';
import { PolicyStore } from '../../../src/agent/state/policy-store.ts';
import type { StandbyView } from '../../../src/api/index.ts';
import { SojournError } from '../../../src/common/index.ts';
import { type LinkSample, rulesSchema, type Trace } from '../../../src/link/index.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

const cloud = { id: 'c2'.repeat(32), name: 'cloud' };
const spec = tinySpec();
const SECOND = 1000;

/** One level a second, dBm; undefined is no link. */
function traceOf(levels: readonly (number | undefined)[]): Trace {
  const rows = levels.map((signalDbm, index) => {
    const atMs = index * SECOND;
    const connected = signalDbm !== undefined;
    const heard = { signalDbm, txRateMbps: 40, frequencyMhz: 5180, bssid: 'ap1' };
    const sample: LinkSample = { atMs, medium: 'wifi', connected, ...(connected ? heard : {}) };
    return { sample, startMs: atMs, durationMs: SECOND };
  });
  return { id: 'made up', format: 'sojourn', rows };
}

const level = (dbm: number | undefined, seconds: number) =>
  Array.from({ length: seconds }, () => dbm);
const fall = (from: number, to: number) =>
  Array.from({ length: from - to }, (_, index) => from - index);
/** Lost at 64 s, back at 75 s. */
const walk = [...level(-50, 30), ...fall(-50, -84), ...level(undefined, 11), ...level(-50, 40)];

function standby(over: Partial<StandbyView> = {}): StandbyView {
  return {
    place: cloud,
    state: 'armed',
    since: '2026-01-02T03:04:05.000Z',
    residueBytes: 800_000,
    residueBytesOnLink: 200_000,
    dirtyBytesPerSecond: 0,
    freshMs: 500,
    upkeepBytesPerSecond: 1000,
    estimateMs: 300,
    whenUnmetered: false,
    bothWays: true,
    ...over,
  };
}

class World {
  readonly done: string[] = [];
  readonly tight: string[][] = [];
  readonly log = pino({ level: 'silent' });
  readonly database = openDatabase(':memory:');
  readonly store = new PolicyStore(this.database);
  guest: WatchedGuest = { spec, at: 'here', standby: null };
  outcome: () => Promise<unknown> = async () => undefined;
  watch!: LinkWatch;

  async start(levels: readonly (number | undefined)[], held = false): Promise<LinkWatch> {
    const trace = new TraceSensor(traceOf(levels), { speed: 1, held });
    const move = async (what: string, at: 'here' | 'away', signal: AbortSignal) => {
      this.done.push(what);
      this.guest = { ...this.guest, at: 'moving' };
      const before = at === 'away' ? 'here' : 'away';
      const ended = new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      try {
        await Promise.race([this.outcome(), ended]);
        this.guest = { ...this.guest, at, standby: null };
      } catch (error) {
        this.guest = { ...this.guest, at: before };
        throw error;
      }
    };
    this.watch = new LinkWatch({
      ...{ sensor: trace, trace, store: this.store, log: this.log },
      ports: {
        guests: () => [this.guest],
        standbyPlace: () => cloud,
        session: () => undefined,
        personAt: () => 'here',
        arm: async (_spec, place) => {
          this.done.push(`arm at ${place.name}`);
          this.guest = { ...this.guest, standby: standby() };
        },
        tighten: (guests) => this.tight.push([...guests]),
        handOff: (_spec, to, { urgent }, signal) =>
          move(`hand off to ${to.name}${urgent ? ', urgent' : ''}`, 'away', signal),
        bringBack: (_spec, _manner, signal) => move('bring back', 'here', signal),
        changed: () => undefined,
      },
    });
    await this.watch.start();
    return this.watch;
  }

  switchOn(returning = true): void {
    this.store.rules = rulesSchema.parse({ return: { automatic: returning } });
    this.store.automatic = true;
  }

  async pass(seconds: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(seconds * SECOND);
  }

  codes(): string[] {
    return this.watch.view().policy.recent.map(({ code }) => code);
  }
}

let world: World;
beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
});
afterEach(async () => {
  await world.watch.close();
  world.database.close();
  vi.useRealTimers();
});

describe('left to itself', () => {
  test('does nothing until somebody switches it on', async () => {
    await world.start(walk);
    await world.pass(walk.length);
    expect(world.done).toEqual([]);
    expect(world.watch.view().policy).toMatchObject({ automatic: false });
    expect(world.codes()).toEqual(['manual']);
  });

  test('arms, tightens, leaves before the loss and returns after lasting recovery', async () => {
    world.switchOn();
    await world.start(walk);
    await world.pass(63);
    expect(world.done[0]).toBe('arm at cloud');
    expect(world.done[1]).toMatch(/^hand off to cloud/);
    expect(world.done).toHaveLength(2);
    expect(world.tight[0]).toEqual([spec.id]);
    await world.pass(19);
    expect(world.done).toHaveLength(2);
    await world.pass(3);
    expect(world.done.slice(2)).toEqual(['bring back', 'arm at cloud']);
    expect(world.tight.at(-1)).toEqual([]);
  });

  test('stays away where nobody wants it back by itself', async () => {
    world.switchOn(false);
    await world.start(walk);
    await world.pass(walk.length);
    expect(world.done).not.toContain('bring back');
  });

  test('says in one line why', async () => {
    world.switchOn();
    await world.start(walk);
    await world.pass(50);
    const { signalDbm, forecast, band, rateBitsPerSecond, policy } = world.watch.view();
    expect({ band, rateBitsPerSecond }).toEqual({ band: '5', rateBitsPerSecond: 40e6 });
    expect(signalDbm).toBeLessThan(-60);
    expect(forecast?.text).toMatch(/dBm, falling .* dB\/s/);
    expect(policy.now).toHaveLength(1);
    expect(policy.recent.find(({ action }) => action === 'arm')?.why).toMatch(/standby is made/);
  });
});

describe('a handoff that fails', () => {
  const full = () =>
    Promise.reject(
      new SojournError({ kind: 'requirement', code: 'memory-short', message: 'Full' }),
    );

  test('is tried again with growing pauses, and told once', async () => {
    const warn = vi.spyOn(world.log, 'warn');
    world.switchOn();
    world.guest = { ...world.guest, standby: standby() };
    world.outcome = full;
    await world.start([...level(-50, 20), ...level(-92, 140)]);
    await world.pass(80);
    const tries = world.done.filter((what) => what.startsWith('hand off')).length;
    // After 3, 6, 12 and 24 s.
    expect(tries).toBeGreaterThanOrEqual(4);
    expect(tries).toBeLessThanOrEqual(6);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(world.watch.notices()).toMatchObject([
      { code: 'automatic-handoff-failed', text: `${spec.name} could not be moved by itself: Full` },
    ]);
    world.outcome = async () => undefined;
    await world.pass(60);
    expect(world.watch.notices()).toEqual([]);
  });

  test('is given up when the link has been gone for a while, and one is under way at a time', async () => {
    world.switchOn();
    world.guest = { ...world.guest, standby: standby() };
    let under = 0;
    let most = 0;
    world.outcome = () => {
      under += 1;
      most = Math.max(most, under);
      return new Promise(() => undefined);
    };
    await world.start([...level(-50, 20), ...fall(-50, -84), ...level(undefined, 12)]);
    await world.pass(58);
    expect(world.guest.at).toBe('moving');
    await world.pass(8);
    expect(world.guest.at).toBe('here');
    expect(most).toBe(1);
  });
});

describe('what is done by hand stands', () => {
  test('a guest brought back over a bad link stays, until the link is another', async () => {
    world.switchOn();
    world.guest = { spec, at: 'away', standby: null };
    await world.start([...level(-85, 30), ...level(-50, 30), ...fall(-50, -84)]);
    await world.pass(3);
    world.guest = { spec, at: 'here', standby: standby() };
    await world.pass(25);
    expect(world.done).toEqual([]);
    expect(world.codes()).toContain('wish-stay');
    await world.pass(66);
    expect(world.done[0]).toMatch(/^hand off to cloud/);
  });

  test('a guest handed over over a good link is not brought back at once', async () => {
    world.switchOn();
    world.guest = { ...world.guest, standby: standby() };
    await world.start(level(-50, 90));
    await world.pass(5);
    world.guest = { spec, at: 'away', standby: null };
    await world.pass(80);
    expect(world.done).toEqual([]);
  });

  test('also when the agent is started again', async () => {
    world.switchOn();
    world.guest = { ...world.guest, standby: standby() };
    await world.start(level(-50, 90));
    await world.pass(3);
    world.guest = { spec, at: 'away', standby: null };
    world.watch.tell({ lid: 'closed' });
    await world.pass(3);
    await world.watch.close();
    expect(new PolicyStore(world.database).hold(spec.id)?.because).toBe('moved');
    // The next agent is told of its surroundings one by one.
    await world.start([...level(undefined, 3), ...level(-50, 80)]);
    await world.pass(3);
    world.watch.tell({ lid: 'closed' });
    await world.pass(77);
    expect(world.done).toEqual([]);
    world.watch.tell({ lid: 'open' });
    await world.pass(1);
    expect(new PolicyStore(world.database).hold(spec.id)).toBeUndefined();
  });

  test('a guest that was disarmed is not armed again at once; sleep counts', async () => {
    world.switchOn();
    world.guest = { ...world.guest, standby: standby() };
    await world.start(level(-50, 90));
    await world.pass(5);
    world.guest = { spec, at: 'here', standby: null };
    await world.pass(20);
    expect(world.done).toEqual([]);
    world.guest = { spec, at: 'here', standby: standby() };
    await world.pass(1);
    world.watch.tell({ suspendInMs: 5000 });
    await world.pass(0.01);
    expect(world.done).toEqual(['hand off to cloud, urgent']);
  });
});

describe('what is told of the machine', () => {
  test('sleep that is called off changes nothing any more', async () => {
    world.switchOn(false);
    await world.start(level(-50, 30));
    world.watch.tell({ suspendInMs: 5000 });
    world.watch.tell({ suspendInMs: null });
    world.guest = { ...world.guest, standby: standby() };
    await world.pass(10);
    expect(world.done).toEqual([]);
  });
});

test('losses are remembered by the next agent', async () => {
  await world.start([...walk, ...walk]);
  await world.pass(90);
  await world.watch.close();
  const kept = new PolicyStore(world.database).memories;
  expect([...kept.values()].some(({ losses }) => losses.length > 0)).toBe(true);
});

test('a recording that is held stands still until it is played', async () => {
  world.switchOn();
  await world.start(walk, true);
  await world.pass(100);
  expect(world.done).toEqual(['arm at cloud']);
  world.watch.play();
  await world.pass(63);
  expect(world.done).toHaveLength(2);
});
