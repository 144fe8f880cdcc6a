import { expect, it } from 'vitest';
import { type Sample, slope, slopes } from './slopes.ts';

const MB = 1e6;

/** One sample a minute of processes with the given memory and descriptors. */
function run(minutes: number, at: (minute: number) => [pid: number, bytes: number, fds: number][]) {
  return Array.from({ length: minutes + 1 }, (_, minute): Sample => {
    const processes = at(minute).map(([pid, residentBytes, descriptors]) => ({
      ...{ pid, residentBytes, descriptors, name: `p${pid}`, cpuSeconds: 0 },
    }));
    return { minutes: minute, processes };
  });
}

it('is the least-squares slope', () => {
  expect(slope([0, 1, 2, 3].map((x) => [x, 5 - 2 * x] as const))).toBeCloseTo(-2, 9);
  expect(slope([[1, 1]])).toBe(0);
  expect(slope([0, 10, 20, 30, 0].map((y, x) => [x, y] as const))).toBe(2);
});

it('tells what grows from what is flat, noisy or was only warming up', () => {
  const samples = run(20, (minute) => [
    [1, 100 * MB, 20],
    [2, (100 + minute) * MB, 20],
    [3, 100 * MB, 20 + minute],
    [4, (100 + (minute % 3)) * MB, 20 + (minute % 2)],
    [5, (minute < 5 ? 10 * minute : 50) * MB, 20],
  ]);
  expect(slopes(samples).map(({ process, flat }) => [process, flat])).toEqual([
    ['p1', true],
    ['p2', false],
    ['p3', false],
    ['p4', true],
    ['p5', true],
  ]);
  expect(slopes(samples)[1]).toMatchObject({ residentKBPerMinute: 1000, descriptorsPerMinute: 0 });
});

it('leaves out processes that came and went', () => {
  const samples = run(20, (minute) =>
    minute === 10
      ? [
          [1, MB, 5],
          [2, MB, 5],
        ]
      : [[1, MB, 5]],
  );
  expect(slopes(samples).map(({ pid }) => pid)).toEqual([1]);
});
