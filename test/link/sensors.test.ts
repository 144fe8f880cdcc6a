import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LinkSample } from '../../src/link/index.ts';
import {
  linuxWifiSensor,
  readBattery,
  readInterfaces,
  type SensorReport,
  type SensorState,
  wifiSensor,
} from '../../src/link/index.ts';
import { PollingSensor } from '../../src/link/sensors/polling.ts';
import { FakeIw, isAlive } from './fake-iw.ts';

const sample = (atMs: number): LinkSample => ({
  atMs,
  medium: 'wifi',
  connected: true,
  signalDbm: -50,
});
const capabilities = {
  signal: 'dbm',
  rates: true,
  counters: true,
  beaconLoss: true,
  events: false,
  fastestMs: 1,
} as const;

/** Reports in order, and the first that fits. */
class Reports {
  readonly all: SensorReport[] = [];
  readonly #waiting = new Set<() => void>();

  readonly take = (report: SensorReport): void => {
    this.all.push(report);
    for (const wake of this.#waiting) wake();
  };

  async until<T>(found: (report: SensorReport) => T | undefined, from = 0): Promise<T> {
    for (;;) {
      for (const report of this.all.slice(from)) {
        const value = found(report);
        if (value !== undefined) return value;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      await promise;
      this.#waiting.delete(resolve);
    }
  }

  state<K extends SensorState['kind']>(kind: K, from = 0) {
    return this.until(
      (report) =>
        report.kind === 'state' && report.state.kind === kind
          ? (report.state as Extract<SensorState, { kind: K }>)
          : undefined,
      from,
    );
  }

  sample(from = 0) {
    return this.until((report) => (report.kind === 'sample' ? report.sample : undefined), from);
  }
}

describe('a polling sensor', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('reads fast or slow, never twice at a time', async () => {
    let open = 0;
    let reads = 0;
    const sensor = new PollingSensor({
      name: 'test',
      capabilities,
      intervalMs: { fast: 500, slow: 5000 },
      now: () => Date.now(),
      read: async () => {
        expect(++open).toBe(1);
        reads++;
        // Slower than the interval.
        await new Promise((resolve) => setTimeout(resolve, 700));
        open--;
        return sample(Date.now());
      },
    });
    sensor.start(() => {});
    await vi.advanceTimersByTimeAsync(7100);
    expect(reads).toBe(11);
    sensor.setPace('slow');
    await vi.advanceTimersByTimeAsync(600);
    const before = reads;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(reads - before).toBe(4);
    const closing = sensor.close();
    await vi.advanceTimersByTimeAsync(1000);
    await closing;
    expect(sensor.state).toEqual({ kind: 'closed' });
    const end = reads;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reads).toBe(end);
  });

  test('backs off while it fails, says why, and is back at once when it works', async () => {
    let works = false;
    const at: number[] = [];
    const begun = Date.now();
    const sensor = new PollingSensor({
      name: 'test',
      capabilities,
      intervalMs: { fast: 500, slow: 5000 },
      now: () => Date.now(),
      read: async () => {
        at.push(Date.now() - begun);
        if (!works) throw new Error('no such device');
        return sample(0);
      },
    });
    const states: SensorState[] = [];
    sensor.start((report) => {
      if (report.kind === 'state') states.push(report.state);
    });
    await vi.advanceTimersByTimeAsync(200_000);
    expect(at).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000]);
    expect(states.at(-1)).toEqual({
      kind: 'broken',
      reason: 'no such device',
      failures: 9,
      retryInMs: 60_000,
    });
    works = true;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states.at(-1)).toEqual({ kind: 'working' });
    await sensor.close();
  });

  test('a change that is told is read at once', async () => {
    let changed = () => {};
    let reads = 0;
    const sensor = new PollingSensor({
      name: 'test',
      capabilities,
      intervalMs: { fast: 500, slow: 5000 },
      now: () => Date.now(),
      read: async () => sample(++reads),
      watch: async (told, signal) => {
        changed = told;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    sensor.start(() => {});
    sensor.setPace('slow');
    await vi.advanceTimersByTimeAsync(10);
    expect(reads).toBe(1);
    changed();
    await vi.advanceTimersByTimeAsync(10);
    expect(reads).toBe(2);
    await sensor.close();
  });
});

describe('iw', () => {
  let iw: FakeIw;
  let reports: Reports;
  let sensor: ReturnType<typeof linuxWifiSensor>;
  beforeEach(async () => {
    iw = await FakeIw.make();
    reports = new Reports();
    sensor = linuxWifiSensor({ iw: iw.path, limits: { answerMs: 400, retryMs: [100, 200] } });
  });
  afterEach(async () => {
    await sensor.close();
    await iw.remove();
  });

  test('gives figures of station and link together, asked in the C locale', async () => {
    vi.stubEnv('LC_ALL', 'de_DE.UTF-8');
    vi.stubEnv('LANGUAGE', 'de');
    sensor.start(reports.take);
    expect(await reports.sample()).toMatchObject({
      medium: 'wifi',
      connected: true,
      signalDbm: -60,
      frequencyMhz: 5660,
      network: 'home',
      txRetries: 8,
      beaconLoss: 0,
    });
    expect(await iw.text('locale')).toBe('C');
    vi.unstubAllEnvs();
  });

  test('a link that is off is a sample, not a failure', async () => {
    await iw.behave('off');
    sensor.start(reports.take);
    expect(await reports.sample()).toMatchObject({ connected: false });
  });

  for (const [behaviour, code] of [
    ['hang', /did not answer in time/],
    ['fail', /No such device/],
    ['garbage', /no Wi-Fi interface|unknown/],
    ['endless', /printed without end|did not answer/],
  ] as const)
    test(`${behaviour}: broken with a reason, no process left, and well again afterwards`, async () => {
      await iw.behave(behaviour);
      sensor.start(reports.take);
      expect((await reports.state('broken')).reason).toMatch(code);
      const during = await iw.pids();
      await iw.behave('good');
      await reports.sample();
      expect(sensor.state).toEqual({ kind: 'working' });
      for (const pid of during) expect(await isAlive(pid)).toBe(false);
      expect(await iw.text('overlaps')).toBe('');
    });

  test('a program that vanishes', async () => {
    sensor.start(reports.take);
    await reports.sample();
    await iw.remove();
    expect((await reports.state('broken')).reason).toMatch(/is not installed/);
  });

  test('closing kills what hangs', async () => {
    await iw.behave('hang');
    sensor.start(reports.take);
    const pids = await vi.waitFor(async () => {
      const found = await iw.pids();
      expect(found).not.toEqual([]);
      return found;
    });
    await sensor.close();
    for (const pid of pids) expect(await isAlive(pid)).toBe(false);
    expect(reports.all).toEqual([]);
  });
});

describe('what is there', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sojourn-sys-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  async function tree(files: Record<string, string>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(join(root, name, '..'), { recursive: true });
      await writeFile(join(root, name), content);
    }
  }

  test('Ethernet, Wi-Fi and mobile, but no bridges', async () => {
    await tree({
      'enp3s0/device/x': '',
      'enp3s0/type': '1\n',
      'enp3s0/operstate': 'up\n',
      'wlp2s0/device/x': '',
      'wlp2s0/wireless/x': '',
      'wlp2s0/operstate': 'down\n',
      'wwan0/device/x': '',
      'wwan0/uevent': 'DEVTYPE=wwan\n',
      'wwan0/type': '519\n',
      'wwan0/operstate': 'unknown\n',
      'wwan0/carrier': '1\n',
      'br0/operstate': 'up\n',
      'br0/type': '1\n',
    });
    expect(await readInterfaces(root)).toEqual([
      { name: 'enp3s0', medium: 'ethernet', up: true },
      { name: 'wlp2s0', medium: 'wifi', up: false },
      { name: 'wwan0', medium: 'mobile', up: true },
    ]);
  });

  test('the battery of the machine, not of the mouse', async () => {
    await tree({
      'BAT0/type': 'Battery\n',
      'BAT0/capacity': '37\n',
      'BAT0/status': 'Discharging\n',
      'mouse/type': 'Battery\n',
      'mouse/scope': 'Device\n',
      'mouse/capacity': '5\n',
      'AC/type': 'Mains\n',
      'AC/online': '0\n',
    });
    expect(await readBattery(root)).toEqual({ charge: 0.37, onMains: false });
    await writeFile(join(root, 'AC/online'), '1\n');
    expect(await readBattery(root)).toEqual({ charge: 0.37, onMains: true });
    expect(await readBattery(join(root, 'none'))).toBeUndefined();
  });

  test('a system without a sensor says so', () => {
    expect(() => wifiSensor('aix')).toThrow(/no link sensor for aix/);
  });
});
