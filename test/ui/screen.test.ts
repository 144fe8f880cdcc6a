import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WireError } from '../../src/api/schema.ts';
import {
  type InputLog,
  lost,
  MAX_WAITING,
  noInput,
  sent,
  taken,
  typed,
} from '../../src/ui/model/screen-input.ts';
import {
  firstScreen,
  retryDelayMs,
  type ScreenChange,
  type ScreenState,
  stepScreen,
} from '../../src/ui/model/screen-state.ts';
import { keysOf } from '../../src/ui/screen/keys.ts';

const key = (code: number, down = 1) => Uint8Array.of(4, down, 0, 0, 0, 0, 0, code);
const shift = (down: number) => Uint8Array.of(4, down, 0, 0, 0, 0, 0xff, 0xe1);
const pointer = (buttons: number, x: number) => Uint8Array.of(5, buttons, 0, x, 0, 0);
const waitingOf = ({ waiting }: InputLog) => waiting.map((bytes) => bytes.at(-1));

describe('input', () => {
  test('that the display has not had goes first on the next connection', () => {
    let log = sent(typed(typed(noInput, key(1)), key(2)), 100);
    expect(log.waiting).toEqual([]);
    log = typed(taken(log, 108), key(3));
    expect(waitingOf(lost(log, 108))).toEqual([2, 3]);
    expect(waitingOf(lost(log, 116))).toEqual([3]);
    // A message of which only a part arrived was not taken.
    expect(waitingOf(lost(log, 115))).toEqual([2, 3]);
  });

  test('is given up rather than doubled where nobody can say', () => {
    const log = typed(sent(typed(noInput, key(1)), 0), key(2));
    expect(waitingOf(lost(log, undefined))).toEqual([2]);
  });

  test('a modifier that is held goes along; another key that is down does not', () => {
    const log = sent([shift(1), key(1), key(2)].reduce(typed, noInput), 0);
    expect(lost(log, 16).waiting).toEqual([shift(1), key(2)]);
    const released = sent([shift(1), shift(0), key(2)].reduce(typed, noInput), 0);
    expect(lost(released, 16).waiting).toEqual([key(2)]);
    // Once told of, it is remembered.
    expect(lost(taken(log, 16), 24).waiting).toEqual([shift(1)]);
  });

  test('of the pointer waits as its last position, but for its buttons', () => {
    const moves = [pointer(0, 1), pointer(0, 2), pointer(1, 2), pointer(0, 2), pointer(0, 9)];
    const { waiting } = moves.reduce(typed, noInput);
    expect(waiting.map((bytes) => [bytes[1], bytes[3]])).toEqual([
      [0, 2],
      [1, 2],
      [0, 9],
    ]);
    const between = [pointer(0, 1), key(7), pointer(0, 2)].reduce(typed, noInput);
    expect(between.waiting).toHaveLength(3);
  });

  test('has a limit, and what is beyond it is counted', () => {
    let log = noInput;
    for (let count = 0; count < MAX_WAITING + 3; count++) log = typed(log, key(1));
    expect(log.waiting).toHaveLength(MAX_WAITING);
    expect(log.refused).toBe(3);
    expect(sent(log, 0).refused).toBe(0);
  });

  /** A guest that moves at any moment, and a display that takes as much as it likes of each connection. */
  test('reaches the guest once and in order, however often it moves', () => {
    const step = fc.oneof(
      fc.constant('type' as const),
      fc.constant('send' as const),
      fc.record({ move: fc.nat(12) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let log = noInput;
        let next = 0;
        let offset = 0;
        let wire: number[] = [];
        const guest: number[] = [];
        for (const one of steps) {
          if (one === 'type') log = typed(log, key(next++));
          else if (one === 'send') {
            wire.push(...log.waiting.map((bytes) => bytes.at(-1) ?? 0));
            const { waiting } = log;
            log = sent(log, offset);
            offset += waiting.length * 8;
          } else {
            const had = Math.min(one.move, wire.length);
            guest.push(...wire.slice(0, had));
            log = lost(log, had * 8);
            [wire, offset] = [[], 0];
          }
        }
        guest.push(...wire, ...log.waiting.map((bytes) => bytes.at(-1) ?? 0));
        expect(guest).toEqual(Array.from({ length: next }, (_, index) => index));
      }),
    );
  });
});

describe('what is seen', () => {
  const laptop = { id: 'a'.repeat(64), name: 'laptop' };
  const cloud = { id: 'c'.repeat(64), name: 'cloud' };
  const error = (code: string): WireError => ({ kind: 'conflict', code, message: code });
  const seen: ScreenChange = { kind: 'seen', place: laptop };
  const ended = (to: typeof cloud | null, code?: string): ScreenChange => ({
    kind: 'ended',
    to,
    error: code === undefined ? null : error(code),
  });

  test.each<[string, readonly ScreenChange[], ScreenState]>([
    ['the first picture', [seen], { kind: 'live', place: laptop }],
    ['the guest leaves', [seen, { kind: 'held' }], { kind: 'moving', place: laptop }],
    ['and stays', [seen, { kind: 'held' }, { kind: 'going-on' }], { kind: 'live', place: laptop }],
    [
      'and goes: the last picture stands',
      [seen, { kind: 'held' }, ended(cloud)],
      { kind: 'following', to: cloud, error: null },
    ],
    [
      'it is not there yet: where it went is not forgotten',
      [seen, ended(cloud), ended(null, 'not-running')],
      { kind: 'following', to: cloud, error: error('not-running') },
    ],
    [
      'and is there',
      [seen, ended(cloud), { kind: 'seen', place: cloud }],
      { kind: 'live', place: cloud },
    ],
    ['nothing was seen yet', [ended(null, 'x')], { kind: 'opening', error: error('x') }],
    ['held before the first picture', [{ kind: 'held' }], firstScreen],
    [
      'a guest without a screen',
      [ended(null, 'no-display')],
      { kind: 'failed', error: error('no-display') },
    ],
    ['a person tries again', [ended(null, 'no-display'), { kind: 'again' }], firstScreen],
    ['again where nothing failed', [seen, { kind: 'again' }], { kind: 'live', place: laptop }],
  ])('%s', (_what, changes, state) => {
    expect(changes.reduce(stepScreen, firstScreen)).toEqual(state);
  });

  test('a guest that moved is looked for at once, then less and less often', () => {
    expect(retryDelayMs(0, true)).toBe(0);
    const delays = Array.from({ length: 12 }, (_, attempt) => retryDelayMs(attempt, false));
    expect(delays[0]).toBeGreaterThan(0);
    expect(delays).toEqual(delays.toSorted((a, b) => a - b));
    expect(delays.at(-1)).toBe(2_000);
  });
});

test('text becomes keys, with Shift where a US keyboard needs it', () => {
  const shown = (text: string) =>
    keysOf(text).map(({ keysym, down }) => `${down ? '+' : '-'}${keysym.toString(16)}`);
  expect(shown('a\r\n')).toEqual(['+61', '-61', '+ff0d', '-ff0d']);
  expect(shown('A')).toEqual(['+ffe1', '+41', '-41', '-ffe1']);
  expect(shown('é')).toEqual(['+e9', '-e9']);
  expect(shown('画')).toEqual(['+100753b', '-100753b']);
});
