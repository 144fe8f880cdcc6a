import { describe, expect, test } from 'vitest';
import {
  describeOutlook,
  Forecaster,
  forecastParameters,
  isTime,
  type LinkSample,
  lossMemorySchema,
} from '../../src/link/index.ts';

const p = forecastParameters;

interface Drive {
  readonly forecaster: Forecaster;
  atMs: number;
}

const begin = (memories?: ConstructorParameters<typeof Forecaster>[1]): Drive => ({
  forecaster: new Forecaster(p, memories),
  atMs: 0,
});

const access = {
  medium: 'wifi',
  connected: true,
  frequencyMhz: 5180,
  bssid: 'ap1',
  network: 'n',
  txRateMbps: 80,
} as const;

/** One sample a second for each level; undefined is a second without frames. */
function drive(
  to: Drive,
  levels: readonly (number | undefined)[],
  more: Partial<LinkSample> = {},
): void {
  for (const signalDbm of levels) {
    to.atMs += 1000;
    to.forecaster.observe(
      signalDbm === undefined
        ? { atMs: to.atMs, medium: 'wifi', connected: false }
        : { ...access, signalDbm, atMs: to.atMs, ...more },
    );
  }
}

const flat = (dbm: number, seconds: number) => Array.from({ length: seconds }, () => dbm);
const slope = (from: number, perSecond: number, seconds: number) =>
  Array.from({ length: seconds }, (_, i) => from + perSecond * i);
const fires = ({ forecaster }: Drive, residue = 1e6) => isTime(forecaster.outlook(), residue, p);

describe('an access point without a history', () => {
  test('a steady link has no loss in sight, strong or weak', () => {
    for (const dbm of [-45, -60, -70, -78]) {
      const link = begin();
      drive(link, flat(dbm, 60));
      expect(link.forecaster.outlook()).toMatchObject({
        evidence: 'steady',
        secondsLeft: Number.POSITIVE_INFINITY,
      });
      expect(fires(link, 10e6)).toBe(false);
    }
  });

  test('a falling link has less left the lower it is, and fires before the floor', () => {
    const link = begin();
    drive(link, flat(-50, 20));
    let before = Number.POSITIVE_INFINITY;
    let firedAt: number | undefined;
    for (const dbm of slope(-50, -1, 32)) {
      drive(link, [dbm]);
      const { bytesLeft } = link.forecaster.outlook();
      if (Number.isFinite(bytesLeft)) {
        expect(bytesLeft).toBeLessThanOrEqual(before * 1.01);
        before = bytesLeft;
      }
      if (firedAt === undefined && fires(link)) firedAt = dbm;
    }
    expect(firedAt).toBeLessThan(-62);
    expect(firedAt).toBeGreaterThan(p.floorDbm['5']);
  });

  test('more to send fires earlier', () => {
    const firedAt = (residue: number) => {
      const link = begin();
      drive(link, flat(-50, 20));
      return slope(-50, -1, 35).find((dbm) => {
        drive(link, [dbm], { txRateMbps: 20 });
        return fires(link, residue);
      });
    };
    expect(firedAt(10e6)).toBeGreaterThan(firedAt(0.1e6) ?? 0);
  });

  test('a rising link does not fire', () => {
    const link = begin();
    for (const dbm of slope(-83, 1, 30)) {
      drive(link, [dbm]);
      expect(fires(link)).toBe(false);
    }
  });

  test('one reading at the very bottom is enough', () => {
    const link = begin();
    drive(link, [...flat(-79, 60), -90]);
    expect(link.forecaster.outlook()).toMatchObject({ evidence: 'fade', bytesLeft: 0 });
    expect(fires(link, 0)).toBe(true);
  });

  test('a silent link is not fired on: it is too late', () => {
    const link = begin();
    drive(link, [...flat(-79, 20), undefined]);
    expect(link.forecaster.outlook().evidence).toBe('silent');
    expect(fires(link)).toBe(false);
  });

  test('another access point or channel begins anew', () => {
    const link = begin();
    drive(link, [...flat(-50, 20), ...slope(-52, -2, 16)]);
    expect(fires(link)).toBe(true);
    drive(link, [-77], { bssid: 'ap2' });
    expect(link.forecaster.outlook().evidence).toBe('steady');
    drive(link, slope(-50, -3, 10), { bssid: 'ap2' });
    drive(link, [-77], { bssid: 'ap2', frequencyMhz: 5500 });
    expect(link.forecaster.outlook().evidence).toBe('steady');
  });
});

describe('an access point that was lost before', () => {
  /** Lost from -62 dBm within two seconds, as if behind a corner. */
  const corner = [...slope(-45, -2, 8), ...flat(-61, 4), -63, -75, ...flat(Number.NaN, 6)].map(
    (dbm) => (Number.isNaN(dbm) ? undefined : dbm),
  );

  test('is left in time the next time', () => {
    const link = begin();
    drive(link, flat(-45, 20));
    const first = corner.findIndex((dbm) => {
      drive(link, [dbm]);
      return dbm !== undefined && fires(link);
    });
    expect(first === -1 || (corner[first] ?? 0) <= -75).toBe(true);
    drive(link, flat(-45, 30));
    const second = corner.findIndex((dbm) => {
      drive(link, [dbm]);
      return dbm !== undefined && fires(link);
    });
    expect(corner[second]).toBeGreaterThanOrEqual(-62);
    expect(link.forecaster.memories.get('ap1/5180')?.losses).toHaveLength(1);
  });

  test('is remembered across sessions, in a form that can be stored', () => {
    const link = begin();
    drive(link, [...flat(-45, 20), ...corner]);
    const stored = JSON.parse(JSON.stringify([...link.forecaster.memories]));
    const memories = new Map<string, ReturnType<typeof lossMemorySchema.parse>>(
      stored.map(([key, memory]: [string, unknown]) => [key, lossMemorySchema.parse(memory)]),
    );
    const later = begin(memories);
    drive(later, [...flat(-45, 20), ...slope(-45, -2, 8), -61]);
    expect(later.forecaster.outlook().evidence).toBe('learned');
    expect(describeOutlook(later.forecaster.outlook())).toMatch(/here it was lost within about/);
  });

  test('a desk at the same level is none of its losses', () => {
    const link = begin();
    drive(link, [...flat(-45, 20), ...corner, ...flat(-62, 120)]);
    expect(link.forecaster.outlook().evidence).toBe('steady');
  });

  test('a machine that slept learns nothing from the gap', () => {
    const link = begin();
    drive(link, flat(-60, 20));
    link.atMs += 3_600_000;
    drive(link, [undefined, undefined, -60]);
    expect(link.forecaster.memories.size).toBe(0);
    expect(link.forecaster.outlook().evidence).toBe('steady');
  });

  test('the memory has an end', () => {
    const link = begin();
    for (let i = 0; i < 40; i++)
      drive(link, [...flat(-45, 5), -60, -70, undefined, undefined, undefined]);
    expect(link.forecaster.memories.get('ap1/5180')?.losses).toHaveLength(12);
    for (let i = 0; i < 400; i++) {
      drive(link, [-60, -70], { bssid: `x${i}` });
      drive(link, [undefined, undefined, undefined]);
    }
    expect(link.forecaster.memories.size).toBe(256);
  });
});

describe('roaming', () => {
  test('within a network is no loss, and where it is usual a falling level is none either', () => {
    const link = begin();
    for (let i = 0; i < 3; i++) {
      drive(link, [...flat(-50, 20), ...slope(-52, -2, 16)]);
      drive(link, flat(-50, 20), { bssid: 'ap2' });
    }
    expect(link.forecaster.memories.get('ap1/5180')).toMatchObject({ roams: 3, losses: [] });
    drive(link, [...flat(-50, 20), ...slope(-52, -2, 16)]);
    expect(link.forecaster.outlook().evidence).toBe('steady');
  });

  test('to another network is not roaming', () => {
    const link = begin();
    drive(link, flat(-60, 10));
    drive(link, flat(-60, 10), { bssid: 'ap2', network: 'other' });
    expect(link.forecaster.memories.size).toBe(0);
  });
});

describe('frames', () => {
  const counted = (i: number, more: Partial<LinkSample> = {}) => ({
    rxBytes: i * 50_000,
    txPackets: i * 100,
    txFailed: 0,
    beaconLoss: 0,
    ...more,
  });

  test('traffic that stops coming in is a loss about to happen', () => {
    const link = begin();
    for (let i = 0; i < 30; i++) drive(link, [-79], counted(i));
    expect(link.forecaster.outlook().evidence).toBe('steady');
    drive(link, [-79], counted(29));
    drive(link, [-79], counted(29));
    expect(link.forecaster.outlook().evidence).toBe('stalled');
    drive(link, [-79], counted(31));
    expect(link.forecaster.outlook().evidence).toBe('steady');
  });

  test('a link that is idle anyway does not stall', () => {
    const link = begin();
    for (let i = 0; i < 60; i++) drive(link, [-60], { rxBytes: 1000 });
    expect(link.forecaster.outlook().evidence).toBe('steady');
  });

  test('frames that fail, and beacons that are lost, count on a weak link only', () => {
    for (const [dbm, evidence] of [
      [-78, 'failing'],
      [-50, 'steady'],
    ] as const) {
      const failing = begin();
      for (let i = 0; i < 20; i++) drive(failing, [dbm], counted(i, { txFailed: i * 200 }));
      expect(failing.forecaster.outlook().evidence).toBe(evidence);
      const beacons = begin();
      for (let i = 0; i < 20; i++)
        drive(beacons, [dbm], counted(i, { beaconLoss: i === 19 ? 1 : 0 }));
      expect(beacons.forecaster.outlook().evidence).toBe(evidence);
    }
  });
});

test('a measured rate replaces what is assumed of the bit rate, for this access point', () => {
  const link = begin();
  drive(link, flat(-50, 20));
  const assumed = link.forecaster.outlook().bytesPerSecond;
  for (let i = 0; i < 100; i++) link.forecaster.achieved(1e6);
  drive(link, flat(-50, 20));
  expect(assumed).toBeCloseTo(5e6, -3);
  expect(link.forecaster.outlook().bytesPerSecond).toBeCloseTo(1e6, -4);
});

test('time that stands still or runs back does no harm', () => {
  const link = begin();
  drive(link, flat(-60, 10));
  link.atMs -= 5000;
  drive(link, flat(-60, 20));
  const { slope: perSecond, levelDbm } = link.forecaster.outlook();
  expect(perSecond).toBeCloseTo(0);
  expect(levelDbm).toBe(-60);
});
