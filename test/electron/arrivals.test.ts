import { expect, test } from 'vitest';
import { arrivals, noAbsent } from '../../electron/arrivals.ts';
import type { GuestView } from '../../src/api/index.ts';
import { cloud, fakeGuest } from '../api/double.ts';

const since = '2026-01-02T03:04:05.000Z';
const running = fakeGuest({ display: 'vga' });
const elsewhere = fakeGuest({
  display: 'vga',
  state: { kind: 'elsewhere', since, place: cloud, there: 'running' },
});

function arrived(...steps: readonly GuestView[][]): readonly string[] {
  let absent = noAbsent;
  let last: readonly string[] = [];
  for (const guests of steps) ({ arrived: last, absent } = arrivals(absent, { guests }));
  return last;
}

test.each<[string, GuestView[][], number]>([
  ['it runs when the app starts', [[running]], 0],
  ['it comes from elsewhere', [[elsewhere], [running]], 1],
  ['it is told once', [[elsewhere], [running], [running]], 0],
  ['it stays elsewhere', [[elsewhere], [elsewhere]], 0],
  ['it has no screen', [[elsewhere], [fakeGuest({ display: 'none' })]], 0],
])('%s', (_what, steps, count) => {
  expect(arrived(...steps)).toHaveLength(count);
});
