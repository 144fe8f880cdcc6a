/** The judge is judged: what the link bench counts, on recordings made up for it. */
import { describe, expect, test } from 'vitest';
import type { LinkSample, Trace, TraceRow } from '../../src/link/index.ts';
import { AndroidScore, Oracle, Threshold } from '../bench/link/baselines.ts';
import { play, ReturnRule, type Trigger } from '../bench/link/evaluate.ts';
import { deliveredAtMs, pausesOf, type Session, sessionsOf } from '../bench/link/sessions.ts';

interface Second {
  readonly dbm: number | undefined;
  readonly bytes?: number;
  readonly offered?: boolean;
}

const seconds = (
  count: number,
  dbm: number | undefined,
  more: Omit<Second, 'dbm'> = {},
): Second[] =>
  Array.from({ length: count }, () => ({ dbm, bytes: dbm === undefined ? 0 : 1e6, ...more }));

function traceOf(all: readonly Second[]): Trace {
  const rows = all.map(({ dbm, bytes, offered }, i): TraceRow => {
    const sample: LinkSample = {
      atMs: (i + 1) * 1000,
      medium: 'wifi',
      connected: dbm !== undefined,
      frequencyMhz: 5180,
      ...(dbm === undefined ? {} : { signalDbm: dbm }),
    };
    const known = offered === undefined ? {} : { offered };
    return { sample, startMs: i * 1000, durationMs: 1000, capacityBytes: bytes ?? 0, ...known };
  });
  return { id: 'x', format: 'vehicles', rows };
}

const sessionOf = (all: readonly Second[]) =>
  sessionsOf('set', traceOf(all), []).sessions[0] as Session;

/** Fires at the sample of one second. */
class At implements Trigger {
  readonly #atMs: number;
  #now = 0;

  constructor(second: number) {
    this.#atMs = second * 1000;
  }

  observe({ atMs }: LinkSample): void {
    this.#now = atMs;
  }

  fires(): boolean {
    return this.#now === this.#atMs;
  }
}

describe('sessions', () => {
  test('a silence of 5 s is an outage, one of 4 s is not, nor one at the beginning', () => {
    const all = [
      ...seconds(6, undefined),
      ...seconds(10, -60),
      ...seconds(4, undefined),
      ...seconds(10, -60),
      ...seconds(5, undefined),
      ...seconds(10, -60),
    ];
    const session = sessionOf(all);
    expect(session.outages).toEqual([{ startMs: 30_000, endMs: 35_000 }]);
    expect(session.connectedMs).toBe(30_000);
  });

  test('silence of a sender that is off ends a session and is no outage', () => {
    const all = [
      ...seconds(10, -60),
      ...seconds(20, undefined, { offered: false }),
      ...seconds(10, -60),
    ];
    const { sessions, cuts } = sessionsOf('set', traceOf(all), []);
    expect(sessions.map(({ outages, rows }) => [outages.length, rows.length])).toEqual([
      [0, 10],
      [0, 10],
    ]);
    expect(cuts).toEqual([{ atMs: 10_000, why: 'the sender was off' }]);
  });

  test('a sender that is switched off later leaves the outage one', () => {
    const all = [
      ...seconds(10, -80, { offered: true }),
      ...seconds(6, undefined, { offered: true }),
      ...seconds(20, undefined, { offered: false }),
    ];
    expect(sessionOf(all).outages).toHaveLength(1);
  });

  test('a pause of all links at once is none of their losses; without the rule every silence is', () => {
    const one = traceOf([...seconds(10, -50), ...seconds(80, undefined), ...seconds(10, -50)]);
    const other = traceOf([...seconds(20, -50), ...seconds(65, undefined), ...seconds(15, -50)]);
    const pauses = pausesOf([one, other]);
    expect(pauses).toEqual([{ startMs: 20_000, endMs: 85_000 }]);
    expect(sessionsOf('set', one, pauses).sessions.flatMap(({ outages }) => outages)).toEqual([]);
    expect(
      sessionsOf('set', one, undefined).sessions.flatMap(({ outages }) => outages),
    ).toHaveLength(1);
    expect(pausesOf([one])).toEqual([]);
  });
});

describe('delivery', () => {
  test('follows the capacity, also across a gap', () => {
    const session = sessionOf([...seconds(2, -60), ...seconds(2, undefined), ...seconds(2, -60)]);
    expect(deliveredAtMs(session, 0, 1e6)).toBe(1000);
    expect(deliveredAtMs(session, 500, 1e6)).toBe(1500);
    expect(deliveredAtMs(session, 1500, 1e6)).toBe(4500);
    expect(deliveredAtMs(session, 3000, 1e6)).toBe(5000);
    expect(deliveredAtMs(session, 5500, 1e6)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('what is counted', () => {
  const lost = sessionOf([...seconds(20, -60), ...seconds(10, undefined), ...seconds(100, -60)]);

  test('in time', () => {
    expect(play(lost, new At(18), 1e6)).toMatchObject({
      outages: 1,
      saved: 1,
      late: 0,
      missed: 0,
      handoffs: 1,
      falseHandoffs: 0,
      leadMs: [2000],
    });
  });

  test('half a second too late', () => {
    expect(play(lost, new At(19), 1e6)).toMatchObject({ saved: 0, late: 1, missed: 0 });
  });

  test('never', () => {
    expect(play(lost, new At(500), 1e6)).toMatchObject({
      saved: 0,
      late: 0,
      missed: 1,
      handoffs: 0,
    });
  });

  test('for nothing: no loss within a minute', () => {
    expect(play(lost, new At(40), 1e6)).toMatchObject({ missed: 1, handoffs: 1, falseHandoffs: 1 });
  });

  test('time away ends after 8 s at -62 dBm or better', () => {
    const session = sessionOf([...seconds(10, -70), ...seconds(50, -60)]);
    // Fires at 5 s; the signal is good from 11 s on, and that has lasted at 19 s.
    expect(play(session, new At(5), 1e6).awayMs).toBe(14_000);
    const back = new ReturnRule();
    const good = (atMs: number, signalDbm: number) =>
      back.observe({ atMs, medium: 'wifi', connected: true, signalDbm });
    expect([0, 4000, 8000].map((at) => good(at, -62))).toEqual([false, false, true]);
    back.left();
    expect(good(9000, -50)).toBe(false);
    expect(good(12_000, -63)).toBe(false);
    expect(good(17_000, -50)).toBe(false);
  });

  test('hindsight fires at the last moment that is enough', () => {
    const outcome = play(lost, new Oracle(lost), 1e6);
    expect(outcome).toMatchObject({ saved: 1, handoffs: 1, leadMs: [2000] });
    expect(play(lost, new Oracle(lost), 1e9)).toMatchObject({ saved: 0, missed: 1 });
  });
});

describe('baselines', () => {
  const feed = (trigger: Trigger, levels: readonly number[], frequencyMhz: number) =>
    levels.findIndex((signalDbm, i) => {
      trigger.observe({ atMs: i * 1000, medium: 'wifi', connected: true, signalDbm, frequencyMhz });
      return trigger.fires(1);
    });

  test('a threshold', () => {
    expect(feed(new Threshold(-70), [-60, -69, -70], 5180)).toBe(2);
  });

  test('the velocity-based score: 15 s ahead of the exit level, which is 3 dB lower at 2.4 GHz', () => {
    const falling = Array.from({ length: 60 }, (_, i) => -50 - 0.5 * i);
    const at5 = feed(new AndroidScore(), falling, 5180);
    const at24 = feed(new AndroidScore(), falling, 2437);
    expect(at5).toBeGreaterThan(30);
    expect(-50 - 0.5 * at5).toBeGreaterThan(-80);
    expect(at24 - at5).toBe(6);
    expect(
      feed(
        new AndroidScore(),
        Array.from({ length: 300 }, () => -79),
        5180,
      ),
    ).toBe(-1);
    expect(feed(new AndroidScore(), [-81], 5180)).toBe(0);
  });
});
