/** What a person is told: named steps of statuses, times and whether the window is seen. */
import { describe, expect, test } from 'vitest';
import { decide, type Memory, noMemory } from '../../electron/notifications/decide.ts';
import { wordsOf } from '../../electron/words/index.ts';
import type { GuestView, Notice } from '../../src/api/index.ts';
import * as s from './states.ts';

const words = wordsOf('en');
const MINUTE = 60_000;

interface Step {
  readonly atMs: number;
  readonly guests?: GuestView[];
  readonly warnings?: Notice[];
  readonly watched?: boolean;
}

/** The titles that each step shows. */
function told(steps: readonly Step[]): string[][] {
  let memory: Memory = noMemory;
  return steps.map(({ atMs, guests = [], warnings = [], watched = false }) => {
    const status = s.statusWith(guests, { warnings });
    const decision = decide(memory, status, s.NOW + atMs, watched, words);
    memory = decision.memory;
    return decision.show.map(({ title }) => title);
  });
}

const here = s.guest(s.states.running);
const out = s.guest(s.states.movingOut);
const away = s.guest(s.states.away);
const back = s.guest(s.states.movingIn);

describe('moves', () => {
  test.each<[string, Step[], string[][]]>([
    [
      'a guest that left',
      [
        { atMs: 0, guests: [here] },
        { atMs: 1, guests: [out] },
        { atMs: 2, guests: [away] },
      ],
      [[], [], ['dev-desktop now runs at cloud']],
    ],
    [
      'a guest that came back',
      [
        { atMs: 0, guests: [away] },
        { atMs: 1, guests: [back] },
        { atMs: 2, guests: [here] },
      ],
      [[], [], ['dev-desktop is back here']],
    ],
    [
      'a start is no news',
      [
        { atMs: 0, guests: [s.guest(s.states.stopped)] },
        { atMs: 1, guests: [here] },
      ],
      [[], []],
    ],
    ['what was so at the beginning is no news', [{ atMs: 0, guests: [away] }], [[]]],
    [
      'a handoff that was cancelled is no news',
      [
        { atMs: 0, guests: [out] },
        { atMs: 1, guests: [here] },
      ],
      [[], []],
    ],
    [
      'a crash',
      [
        { atMs: 0, guests: [here] },
        { atMs: 1, guests: [s.guest(s.states.crashed)] },
      ],
      [[], ['dev-desktop crashed']],
    ],
    [
      'a doubt',
      [
        { atMs: 0, guests: [out] },
        { atMs: 1, guests: [s.guest(s.states.inDoubt)] },
      ],
      [[], ['dev-desktop waits for your decision']],
    ],
  ])('%s', (_name, steps, titles) => {
    expect(told(steps)).toEqual(titles);
  });
});

describe('problems', () => {
  const warning = s.notice();
  const title = 'The disk is nearly full';
  test.each<[string, Step[], string[][]]>([
    ['one is told', [{ atMs: 0, warnings: [warning] }], [[title]]],
    [
      'one that lasts is told once',
      [
        { atMs: 0, warnings: [warning] },
        { atMs: 60 * MINUTE, warnings: [warning] },
      ],
      [[title], []],
    ],
    [
      'one that flaps is told once in a quarter of an hour',
      [
        { atMs: 0, warnings: [warning] },
        { atMs: MINUTE },
        { atMs: 2 * MINUTE, warnings: [warning] },
        { atMs: 20 * MINUTE },
        { atMs: 21 * MINUTE, warnings: [warning] },
      ],
      [[title], [], [], [], [title]],
    ],
    [
      'one is told only after it has lasted',
      [
        { atMs: 0, warnings: [s.notice({ showAfterMs: 5000 })] },
        { atMs: 5000, warnings: [s.notice({ showAfterMs: 5000 })] },
      ],
      [[], [title]],
    ],
    [
      'an information is never told',
      [{ atMs: 0, warnings: [s.notice({ severity: 'info' })] }],
      [[]],
    ],
    [
      'what the window shows is not told, not even later',
      [
        { atMs: 0, warnings: [warning], watched: true },
        { atMs: MINUTE, warnings: [warning] },
      ],
      [[], []],
    ],
    [
      'of a guest it is told whose it is',
      [{ atMs: 0, guests: [s.guest(s.states.running, { notices: [warning] })] }],
      [[`dev-desktop: ${title}`]],
    ],
  ])('%s', (_name, steps, titles) => {
    expect(told(steps)).toEqual(titles);
  });
});

describe('many at once', () => {
  const some = (count: number, severity: Notice['severity'] = 'warning') =>
    Array.from({ length: count }, (_, index) =>
      s.notice({ code: `code-${index}`, text: `problem ${index}`, severity }),
    );
  test('more than two become one', () => {
    expect(told([{ atMs: 0, warnings: some(2) }])).toEqual([['problem 0', 'problem 1']]);
    expect(told([{ atMs: 0, warnings: some(3) }])).toEqual([['3 things need attention']]);
  });
  test('what follows soon waits for its turn, and is told together', () => {
    const steps = [1, 2, 3, 4].map((count) => ({ atMs: count * 1000, warnings: some(count) }));
    const later = { atMs: 30_000, warnings: some(4) };
    expect(told([...steps, later])).toEqual([
      ['problem 0'],
      [],
      [],
      [],
      ['3 things need attention'],
    ]);
  });
  test('an error does not wait', () => {
    const first = some(1);
    const error = s.notice({ code: 'worse', text: 'worse', severity: 'error' });
    expect(
      told([
        { atMs: 0, warnings: first },
        { atMs: 10, warnings: [...first, error] },
      ]),
    ).toEqual([['problem 0'], ['worse']]);
  });
  test('what waited is forgotten when the window is looked at', () => {
    const steps: Step[] = [
      { atMs: 0, warnings: some(1) },
      { atMs: 1, warnings: some(2) },
      { atMs: 2, warnings: some(2), watched: true },
      { atMs: MINUTE, warnings: some(2) },
    ];
    expect(told(steps)).toEqual([['problem 0'], [], [], []]);
  });
});

test('a question is told at once, by itself, with its answers, and once', () => {
  const question = (id: string) => ({
    ...{ id, guest: { id: s.GUEST, name: 'wanderer' }, from: s.desk, standby: false },
    ...{ since: s.AT, expiresAt: s.AT, memoryMiB: 512, vcpus: 1, diskBytes: 0 },
  });
  const status = (incoming: ReturnType<typeof question>[]) => s.statusWith([away], { incoming });
  // Something has just been told: everything else waits for its turn.
  const before = decide(noMemory, s.statusWith([out]), s.NOW, false, words).memory;
  const moved = decide(before, s.statusWith([away]), s.NOW + 1, false, words);
  expect(moved.show).toHaveLength(1);
  const asked = decide(moved.memory, status([question('one')]), s.NOW + 2, false, words);
  expect(asked.show.map(({ title }) => title)).toEqual(['wanderer from desk asks to come in']);
  expect(asked.show[0]?.buttons?.map(({ action }) => action)).toContainEqual({
    ...{ do: 'answer', incoming: 'one', answer: 'once' },
  });
  const again = decide(asked.memory, status([question('one')]), s.NOW + 3, false, words);
  expect(again.show).toEqual([]);
  expect(decide(asked.memory, status([question('two')]), s.NOW + 4, true, words).show).toEqual([]);
});
