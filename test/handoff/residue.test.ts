import { describe, expect, test } from 'vitest';
import { LinkRate } from '../../src/handoff/link-rate.ts';
import {
  INSIST_MAX_PAUSE_MS,
  initialResidue,
  judgeResidue,
  type ResidueSample,
  type ResidueVerdict,
  STUCK_MS,
} from '../../src/handoff/residue.ts';

const MB = 1_000_000;
const base: ResidueSample = {
  at: 0,
  remainingBytes: 0,
  passes: 2,
  dirtyBytesPerSecond: 0,
  queuedBytes: 0,
  compression: 1,
  bytesPerSecond: MB,
};

/** Verdicts of a run of samples, each a change to the base, 100 ms apart unless it says otherwise. */
function judge(
  changes: Partial<ResidueSample>[],
  insist = false,
  standby = false,
): ResidueVerdict[] {
  let state = initialResidue;
  return changes.map((change, index) => {
    const sample = { ...base, at: index * 100, ...change };
    const judged = judgeResidue(state, sample, { insist, standby });
    state = judged.state;
    return judged.verdict;
  });
}
const actions = (changes: Partial<ResidueSample>[], insist = false) =>
  judge(changes, insist).map(({ action }) => action);

describe('the switchover is released', () => {
  test('when the residue is tiny', () => {
    expect(actions([{ remainingBytes: 5_000 }])).toEqual(['release']);
  });

  test('when a small residue does not get smaller', () => {
    const same = { remainingBytes: 50_000 };
    expect(actions([same, same, { ...same, at: 450 }])).toEqual(['wait', 'wait', 'release']);
  });

  test('when a residue that plain QEMU would accept has settled', () => {
    const same = { remainingBytes: 250_000 };
    expect(actions([same, { ...same, at: 900 }, { ...same, at: 1600 }])).toEqual([
      'wait',
      'wait',
      'release',
    ]);
  });

  test('at once when the user insists and the pause is within reach', () => {
    expect(actions([{ remainingBytes: 500_000 }], true)).toEqual(['release']);
  });

  test('when the user has insisted for long enough', () => {
    const large = { remainingBytes: 4 * MB };
    const run = [0, 5_000, 10_000, 15_000].map((at) => ({ ...large, at }));
    expect(actions(run, true)).toEqual(['wait', 'wait', 'wait', 'release']);
  });
});

describe('the switchover of a standby is released', () => {
  const triggered = (kilobytes: readonly number[]) =>
    judge(
      kilobytes.map((kb) => ({ remainingBytes: kb * 1000 })),
      false,
      true,
    ).map(({ action }) => action);

  test('at once when nobody would notice the pause', () => {
    expect(triggered([55])).toEqual(['release']);
  });

  test('with a noticed pause when somebody has waited, though it still shrinks', () => {
    expect(triggered([290, 220, 160])).toEqual(['wait', 'wait', 'release']);
  });

  test('not with a pause that plain QEMU would not accept', () => {
    expect(triggered([900, 600, 400, 350])).toEqual(['wait', 'wait', 'wait', 'wait']);
  });
});

describe('the switchover is not released', () => {
  test('during the bulk, however little is left', () => {
    expect(actions([{ passes: 1, remainingBytes: 10 }])).toEqual(['wait']);
  });

  test('before the link was measured', () => {
    expect(actions([{ remainingBytes: 10, bytesPerSecond: undefined }])).toEqual(['wait']);
  });

  test('while little remains of a long pass in which much was dirtied', () => {
    const late = { passes: 2, remainingBytes: 1000, dirtyBytesPerSecond: MB, at: 4_000 };
    expect(actions([{ passes: 2, remainingBytes: 4 * MB }, late])).toEqual(['wait', 'wait']);
  });

  test('while much waits before the link', () => {
    expect(actions([{ queuedBytes: 400_000 }])).toEqual(['wait']);
  });

  test('while it still shrinks by a fifth each time', () => {
    const run = [290, 220, 170, 130, 100].map((kb, index) => ({
      remainingBytes: kb * 1000,
      at: index * 1_400,
      passes: 2 + index,
    }));
    expect(actions(run)).toEqual(['wait', 'wait', 'wait', 'wait', 'wait']);
  });

  test('ever, when insisting reaches its limit', () => {
    const huge = { remainingBytes: 2 * INSIST_MAX_PAUSE_MS * 1000 };
    expect(actions([huge, { ...huge, at: 10 ** 6 }], true)).toEqual(['wait', 'wait']);
  });
});

describe('the verdict on convergence', () => {
  const writer = (at: number, passes: number) => ({ remainingBytes: 10 * MB, at, passes });

  test('is told after time and passes without progress, with the pause it would cost', () => {
    const run = judge([writer(0, 2), writer(10_000, 4), writer(STUCK_MS + 1, 7)]);
    expect(run.map(({ converging }) => converging)).toEqual([true, true, false]);
    expect(run.at(-1)?.pauseMs).toBeGreaterThan(9_000);
  });

  test('is not told of a slow link in its first passes', () => {
    const run = judge([writer(0, 2), writer(10 * STUCK_MS, 3)]);
    expect(run.at(-1)?.converging).toBe(true);
  });

  test('is taken back when the guest calms down', () => {
    const run = judge([
      writer(0, 2),
      writer(STUCK_MS + 1, 9),
      { remainingBytes: MB, at: STUCK_MS + 200, passes: 10 },
    ]);
    expect(run.map(({ converging }) => converging)).toEqual([true, false, true]);
  });
});

describe('the rate of the link', () => {
  test('is that of acknowledgement while there is something to send', () => {
    const rate = new LinkRate();
    for (let i = 0; i <= 20; i += 1) rate.sample(i * 100, i * 60_000, 1);
    expect(rate.bytesPerSecond).toBeCloseTo(600_000, -3);
  });

  test('is not lowered by an idle stream', () => {
    const rate = new LinkRate();
    for (let i = 0; i <= 10; i += 1) rate.sample(i * 100, i * 60_000, 1);
    for (let i = 11; i <= 40; i += 1) rate.sample(i * 100, 600_000 + i, 0);
    expect(rate.bytesPerSecond).toBeCloseTo(600_000, -3);
  });

  test('follows a link that gets slower', () => {
    const rate = new LinkRate();
    for (let i = 0; i <= 10; i += 1) rate.sample(i * 100, i * 60_000, 1);
    for (let i = 11; i <= 40; i += 1) rate.sample(i * 100, 600_000 + (i - 10) * 6_000, 1);
    expect(rate.bytesPerSecond).toBeLessThan(70_000);
  });

  test('is unknown before anything was acknowledged', () => {
    const rate = new LinkRate();
    rate.sample(0, 0, 5);
    rate.sample(500, 0, 5);
    expect(rate.bytesPerSecond).toBeUndefined();
  });
});
