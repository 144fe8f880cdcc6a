import { describe, expect, test } from 'vitest';
import {
  pauseBeforeBurst,
  type StandbySnapshot,
  standbyFigures,
  type UpkeepConditions,
  upkeepBudget,
} from '../../src/handoff/upkeep.ts';

const MB = 1_000_000;
const mains: UpkeepConditions = {
  onBattery: false,
  metered: false,
  linkBytesPerSecond: MB,
  standbys: 1,
};

describe('the budget', () => {
  test.each<[string, Partial<UpkeepConditions>, number]>([
    ['seven tenths of the link on mains', {}, 700_000],
    ['a quarter on battery', { onBattery: true }, 250_000],
    ['a tenth where it is paid for', { metered: true, onBattery: true }, 100_000],
    ['shared by all that stand by', { standbys: 4 }, 175_000],
    ['never too little for an idle guest', { linkBytesPerSecond: 1_000 }, 24_576],
    ['modest while the link is unknown', { linkBytesPerSecond: undefined }, 91_750.4],
  ])('is %s', (_name, change, bytesPerSecond) => {
    expect(upkeepBudget({ ...mains, ...change }).bytesPerSecond).toBe(bytesPerSecond);
  });

  test('makes bursts rarer on battery, so that the radio sleeps', () => {
    const [plugged, unplugged] = [false, true].map((onBattery) =>
      upkeepBudget({ ...mains, onBattery }),
    );
    expect(unplugged?.maxIntervalMs).toBeGreaterThan(2 * (plugged?.maxIntervalMs ?? 0));
    expect(unplugged?.minIntervalMs).toBeGreaterThan(2 * (plugged?.minIntervalMs ?? 0));
  });
});

describe('the pause before a burst', () => {
  const budget = {
    bytesPerSecond: 100_000,
    minIntervalMs: 200,
    maxIntervalMs: 2_000,
    burstBytes: MB,
  };
  const idle = { bytes: 2_000, tookMs: 60, dirtyOnLink: 2_000, linkBytesPerSecond: MB };
  test.each<[string, Partial<typeof idle>, number]>([
    ['is long for an idle guest', {}, 2_000],
    ['is long for one that does nothing at all', { dirtyOnLink: 0 }, 2_000],
    ['keeps the residue small for one that works', { dirtyOnLink: 60_000 }, 750],
    ['is not shorter than the shortest', { dirtyOnLink: 10 * MB }, 200],
    ['pays for a large burst', { bytes: 500_000, tookMs: 1_000, dirtyOnLink: 10 * MB }, 4_000],
  ])('%s', (_name, change, expected) => {
    expect(pauseBeforeBurst(budget, { ...idle, ...change })).toBe(expected);
  });

  test('never lets the average exceed the budget', () => {
    for (let bytes = 1_000; bytes < 10 * MB; bytes *= 2) {
      const tookMs = bytes / 1_000;
      const pause = pauseBeforeBurst(budget, { ...idle, bytes, tookMs });
      expect(bytes / (tookMs + pause)).toBeLessThanOrEqual(budget.bytesPerSecond / 1000 + 1e-9);
    }
  });
});

describe('the figures of a standby', () => {
  const fresh: StandbySnapshot = {
    at: 10_000,
    freshAt: 9_900,
    remainingBytes: 0,
    backlogBytes: 0,
    dirtyBytesPerSecond: 100_000,
    compression: 0.1,
    upkeepBytesPerSecond: 9_000,
    linkBytesPerSecond: MB,
    rttMs: 50,
  };
  const GIB = 2 ** 30;

  test('age with the time since the last burst', () => {
    const now = standbyFigures(fresh, 10_000, GIB);
    const later = standbyFigures(fresh, 12_000, GIB);
    expect(now).toMatchObject({ residueBytes: 0, residueBytesOnLink: 0, freshMs: 100 });
    expect(later).toMatchObject({
      residueBytes: 200_000,
      residueBytesOnLink: 20_000,
      freshMs: 2_100,
    });
    expect(later.estimateMs).toBeGreaterThan(now.estimateMs ?? 0);
  });

  test('no more can have changed than there is', () => {
    expect(standbyFigures(fresh, 10_000 + 86_400_000, MB).residueBytes).toBe(MB);
  });

  test('what of the disks is on its way counts, uncompressed', () => {
    expect(standbyFigures({ ...fresh, backlogBytes: MB }, 10_000, GIB).residueBytesOnLink).toBe(MB);
  });

  test('nothing is estimated while the link is not measured', () => {
    const unknown = { ...fresh, linkBytesPerSecond: undefined };
    expect(standbyFigures(unknown, 10_000, GIB).estimateMs).toBeNull();
  });

  test('the link and its round trips are in the estimate', () => {
    const residue = { ...fresh, remainingBytes: 5 * MB };
    const near = standbyFigures(residue, 10_000, GIB).estimateMs ?? 0;
    const slow = standbyFigures({ ...residue, linkBytesPerSecond: MB / 10 }, 10_000, GIB);
    const far = standbyFigures({ ...residue, rttMs: 150 }, 10_000, GIB);
    expect(near).toBeGreaterThan(500);
    expect(slow.estimateMs).toBeGreaterThan(5_000);
    expect(far.estimateMs).toBe(near + 200);
  });

  test('a guest that changes more than the link carries does not converge, and is told what that costs', () => {
    const busy = { ...fresh, compression: 1, dirtyBytesPerSecond: 2 * MB, remainingBytes: 8 * MB };
    const figures = standbyFigures(busy, 10_000, GIB);
    expect(figures.converges).toBe(false);
    expect(figures.estimateMs).toBeGreaterThan(8_000);
    // As long as little has gathered it may still go.
    expect(standbyFigures({ ...busy, remainingBytes: 100_000 }, 10_000, GIB).converges).toBe(true);
  });
});
