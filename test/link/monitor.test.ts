import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  defaultRules,
  LinkMonitor,
  type LinkSample,
  type LinkSensor,
  loadTraces,
  type MonitorEvent,
  ReplaySensor,
  replayClocks,
  replayPolicy,
  rulesSchema,
  type SensorReport,
  type Situation,
  type Trace,
} from '../../src/link/index.ts';
import { situation } from './samples.ts';

const recordings = join(import.meta.dirname, '../../resources/traces');

function trace(levels: readonly (number | undefined)[]): Trace {
  const rows = levels.map((signalDbm, i) => {
    const sample: LinkSample =
      signalDbm === undefined
        ? { atMs: i * 1000, medium: 'wifi', connected: false }
        : {
            atMs: i * 1000,
            medium: 'wifi',
            connected: true,
            signalDbm,
            txRateMbps: 40,
            frequencyMhz: 5180,
          };
    return { sample, startMs: i * 1000, durationMs: 1000 };
  });
  return { id: 'made up', format: 'sojourn', rows };
}

const leaving = [
  ...Array.from({ length: 30 }, () => -50),
  ...Array.from({ length: 34 }, (_, i) => -50 - i),
  ...Array.from({ length: 10 }, () => undefined),
];

const actions = (events: readonly MonitorEvent[]) =>
  events.flatMap((event) => (event.kind === 'decision' ? [event.decision.action] : []));

describe('sensor, forecast and policy together', () => {
  test('a recording at full speed: tighten, then fire before the loss', async () => {
    const monitor = new LinkMonitor({
      sensor: new ReplaySensor(trace(leaving), { speed: Number.POSITIVE_INFINITY }),
      rules: () => defaultRules,
      situation: () => situation,
      clocks: replayClocks,
    });
    const events: MonitorEvent[] = [];
    const all = monitor.events();
    monitor.start();
    for await (const event of all) events.push(event);
    const seen = actions(events);
    expect(seen).toHaveLength(leaving.length);
    const fired = seen.indexOf('fire');
    expect(seen.indexOf('tighten')).toBeGreaterThan(30);
    expect(fired).toBeGreaterThan(seen.indexOf('tighten'));
    expect(fired).toBeLessThan(63);
    expect(monitor.sensorState).toEqual({ kind: 'ended' });
    await monitor.close();
  });

  test('the situation is asked before every decision, and a wish is carried out at once', async () => {
    let wish: Situation['wish'];
    const monitor = new LinkMonitor({
      sensor: undefined,
      rules: () => defaultRules,
      situation: () => ({ ...situation, wish }),
      clocks: replayClocks,
    });
    expect(monitor.reconsider().action).toBe('none');
    wish = 'leave';
    expect(monitor.reconsider()).toMatchObject({ action: 'fire', code: 'wish-leave' });
    await monitor.close();
  });

  test('what a broken sensor said last no longer counts; probes do', async () => {
    let listener: (report: SensorReport) => void = () => {};
    const paces: string[] = [];
    const sensor: LinkSensor = {
      name: 'double',
      capabilities: {
        signal: 'dbm',
        rates: true,
        counters: false,
        beaconLoss: false,
        events: false,
        fastestMs: 500,
      },
      state: { kind: 'working' },
      start: (given) => {
        listener = given;
      },
      setPace: (pace) => paces.push(pace),
      close: async () => {},
    };
    const monitor = new LinkMonitor({
      sensor,
      rules: () => defaultRules,
      situation: () => ({ ...situation, probes: { suspect: true } }),
      clocks: (sample) => ({
        monotonicMs: sample?.atMs ?? 1000,
        wallMs: sample?.atMs ?? 1000,
        minuteOfWeek: 0,
      }),
    });
    monitor.start();
    listener({
      kind: 'sample',
      sample: { atMs: 1000, medium: 'wifi', connected: true, signalDbm: -50 },
    });
    expect(monitor.lastDecision?.code).toBe('ready');
    listener({
      kind: 'state',
      state: { kind: 'broken', reason: 'gone', failures: 1, retryInMs: 1000 },
    });
    expect(monitor.reconsider().code).toBe('suspect');
    expect(paces).toEqual(['slow', 'fast']);
    await monitor.close();
  });

  test('a reader can stop, and one that does not read holds up nobody', async () => {
    const monitor = new LinkMonitor({
      sensor: new ReplaySensor(trace(Array.from({ length: 3000 }, () => -50)), {
        speed: Number.POSITIVE_INFINITY,
      }),
      rules: () => defaultRules,
      situation: () => situation,
      clocks: replayClocks,
    });
    const abort = new AbortController();
    const stopped = monitor.events(abort.signal);
    const slow = monitor.events();
    await vi.waitFor(async () => {
      monitor.start();
      const first = await stopped.next();
      expect(first.done).toBe(false);
    });
    abort.abort();
    expect((await stopped.next()).done).toBe(true);
    const { promise, resolve } = Promise.withResolvers<void>();
    monitor.subscribe((event) => {
      if (event.kind === 'sensor' && event.state.kind === 'ended') resolve();
    });
    await promise;
    await slow.return(undefined);
    await monitor.close();
  });
});

describe('a replay', () => {
  afterEach(() => vi.useRealTimers());

  test('keeps the times of the recording, at the speed that is asked for', async () => {
    vi.useFakeTimers();
    const sensor = new ReplaySensor(trace([-50, -51, -52, -53]), { speed: 2 });
    const at: number[] = [];
    const begun = performance.now();
    sensor.start((report) => {
      if (report.kind === 'sample')
        at.push(Math.round(performance.now() - begun), report.sample.atMs);
    });
    expect(at).toEqual([]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(at).toEqual([0, 0, 500, 1000, 1000, 2000, 1500, 3000]);
    expect(sensor.state).toEqual({ kind: 'ended' });
  });

  test('that is closed says nothing more', async () => {
    vi.useFakeTimers();
    const sensor = new ReplaySensor(trace([-50, -51]), { speed: 1 });
    let reports = 0;
    sensor.start(() => reports++);
    await sensor.close();
    await vi.advanceTimersByTimeAsync(5000);
    expect(reports).toBe(0);
  });
});

describe('the dry run', () => {
  test('of a recording of a loss without a slope: saved by what frames tell', async () => {
    const [recording] = await loadTraces(
      join(recordings, 'perama/log_perama_site_ac_20mhz_5ghz_tcp_single_UL_run1_loc3_phy.json.gz'),
    );
    const steps = [
      ...replayPolicy(recording as Trace, { rules: defaultRules, residueBytes: 0.5e6 }),
    ];
    const fired = steps.find(({ decision }) => decision.action === 'fire');
    expect(fired?.decision.why).toMatch(/nothing comes in any more/);
    expect(fired?.sample.connected).toBe(true);
    expect(steps.at(-1)?.guest).toBe('away');
  });

  test('returns only with the rule, and says what was cut off', () => {
    const there = trace([...leaving, ...Array.from({ length: 40 }, () => -50)]);
    const settings = (residueBytes: number, automatic: boolean) => ({
      residueBytes,
      rules: rulesSchema.parse({ return: { automatic } }),
    });
    const guests = (residue: number, automatic: boolean) => [
      ...new Set([...replayPolicy(there, settings(residue, automatic))].map(({ guest }) => guest)),
    ];
    expect([...replayPolicy(there, settings(1e6, false))].at(-1)?.guest).toBe('away');
    expect([...replayPolicy(there, settings(1e6, true))].at(-1)?.guest).toBe('here');
    expect(guests(1e9, false)).not.toContain('away');
    expect(
      [...replayPolicy(there, settings(1e9, false))].some(({ cutOff }) => cutOff === true),
    ).toBe(true);
  });
});
