/** Who may bring guests here: rights, questions and their answers. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { JournalRecord } from '../../../src/agent/ownership/ownership.ts';
import {
  MAX_QUESTIONS_OF_ONE,
  QUIET_MS,
  QUIET_STANDBY_MS,
  WELCOME_MS,
} from '../../../src/agent/receiving/consent.ts';
import { Receiving } from '../../../src/agent/receiving/index.ts';
import { comesBack } from '../../../src/agent/receiving/rights.ts';
import { openDatabase } from '../../../src/agent/state/database.ts';
import { RightsStore } from '../../../src/agent/state/rights-store.ts';
import { tinySpec } from '../../lab/tiny-guest.ts';

const ANSWER_MS = 45_000;
const HERE = '0'.repeat(64);
const ANN = 'a'.repeat(64);
const BOB = 'b'.repeat(64);
const GUEST = '11111111-1111-4111-8111-111111111111';
const spec = { ...tinySpec(), id: GUEST, name: 'desktop' };

let serial = 0;
const request = (from = ANN, more: { standby?: boolean; guest?: string } = {}) => {
  serial += 1;
  const handoffId = `00000000-0000-4000-8000-${String(serial).padStart(12, '0')}`;
  const { guest = GUEST, standby = false } = more;
  return { handoffId, spec: { ...spec, id: guest }, from, standby };
};

function place(profile: 'device' | 'site' = 'device', records: JournalRecord[] = []) {
  const database = openDatabase(':memory:');
  const closed: [string, boolean][] = [];
  const make = () =>
    new Receiving({
      store: new RightsStore(database),
      profile,
      self: () => ({ id: HERE, name: 'tablet' }),
      place: (id) => ({ id, name: id === ANN ? 'ann' : 'bob' }),
      paired: () => [ANN, BOB],
      limits: { guests: 4, memoryMiB: undefined, diskBytes: undefined },
      records: () => records,
      changed: () => undefined,
      closed: (id, all) => closed.push([id, all]),
      answerMs: ANSWER_MS,
    });
  return { receiving: make(), again: make, closed };
}

const never = new AbortController().signal;
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'came',
    (error: { code: string }) => error.code,
  );

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('modes', () => {
  test('a site receives, a device asks, until somebody says otherwise', () => {
    expect(place('site').receiving.mode(ANN)).toBe('always');
    expect(place('device').receiving.mode(ANN)).toBe('ask');
  });

  test('what is said of one place counts there, the rest elsewhere, also after a restart', () => {
    const { receiving, again } = place();
    receiving.change({ receive: 'off' });
    receiving.change({ place: ANN, receive: 'always' });
    const later = again();
    expect([later.mode(ANN), later.mode(BOB)]).toEqual(['always', 'off']);
    expect(later.rights(ANN)).toMatchObject({ receive: 'always', own: true });
    expect(later.rights(BOB)).toMatchObject({ receive: 'off', own: false });
    later.change({ place: ANN, receive: 'default' });
    expect(again().mode(ANN)).toBe('off');
  });

  test('limits and the right to fetch are of one place; null is as everywhere again', () => {
    const { receiving, again } = place();
    receiving.change({ place: ANN, limits: { guests: 1, diskBytes: 5 }, fetch: false });
    expect(again().limits(ANN)).toEqual({ guests: 1, memoryMiB: undefined, diskBytes: 5 });
    expect(again().mayFetch(ANN)).toBe(false);
    expect(again().limits(BOB).guests).toBe(4);
    expect(again().mayFetch(BOB)).toBe(true);
    again().change({ place: ANN, limits: { guests: null } });
    expect(again().rights(ANN).limits).toEqual({ guests: 4, memoryMiB: null, diskBytes: 5 });
  });

  test('off is said at once, and what stands by has to go', async () => {
    const { receiving, closed } = place();
    receiving.change({ place: ANN, receive: 'off' });
    expect(closed).toEqual([[ANN, false]]);
    expect(receiving.problem(GUEST, ANN)?.code).toBe('receiving-off');
    expect(receiving.problem(GUEST, BOB)).toBeUndefined();
    expect(await codeOf(receiving.admit(request(), never))).toBe('receiving-off');
  });

  test('nothing stays of a place that is forgotten', () => {
    const { receiving, again, closed } = place();
    receiving.change({ place: ANN, receive: 'always', fetch: false });
    receiving.forget(ANN);
    expect(closed).toEqual([[ANN, true]]);
    expect(again().rights(ANN)).toMatchObject({ receive: 'ask', own: false, fetch: true });
  });
});

describe('a question', () => {
  test('says who, what and what it will use, and lets the guest in once', async () => {
    const { receiving } = place();
    const asked = request();
    const came = codeOf(receiving.admit(asked, never));
    const [question] = receiving.incoming();
    expect(question).toMatchObject({
      id: asked.handoffId,
      guest: { id: GUEST, name: 'desktop' },
      from: { name: 'ann' },
      memoryMiB: spec.abi.memoryMiB,
      diskBytes: spec.overlayLimitBytes * spec.abi.disks.length,
    });
    receiving.answer(asked.handoffId, 'once');
    expect(await came).toBe('came');
    expect(receiving.incoming()).toEqual([]);
    receiving.arrived(asked);
    const next = codeOf(receiving.admit(request(), never));
    expect(receiving.incoming()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(ANSWER_MS);
    expect(await next).toBe('incoming-timed-out');
  });

  test('that was answered with always is not asked again, nor about other guests', async () => {
    const { receiving, again } = place();
    const asked = request();
    const came = codeOf(receiving.admit(asked, never));
    receiving.answer(asked.handoffId, 'always');
    expect(await came).toBe('came');
    expect(await codeOf(receiving.admit(request(), never))).toBe('came');
    expect([again().mode(ANN), again().mode(BOB)]).toEqual(['always', 'ask']);
  });

  test('that nobody answers is a no', async () => {
    const { receiving } = place();
    const came = codeOf(receiving.admit(request(), never));
    await vi.advanceTimersByTimeAsync(ANSWER_MS - 1);
    expect(receiving.incoming()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await came).toBe('incoming-timed-out');
    expect(receiving.incoming()).toEqual([]);
    // Somebody may be there now; but what tries by itself does not ask every minute.
    const again = codeOf(receiving.admit(request(ANN, { standby: true }), never));
    expect(receiving.incoming()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(ANSWER_MS);
    expect(await again).toBe('incoming-timed-out');
    expect(await codeOf(receiving.admit(request(ANN, { standby: true }), never))).toBe(
      'incoming-timed-out',
    );
    expect(receiving.incoming()).toEqual([]);
  });

  test.each([
    ['a guest that comes by hand', false, QUIET_MS],
    ['a standby, which tries by itself', true, QUIET_STANDBY_MS],
  ])('that was refused is not asked again for a while: %s', async (_what, standby, quietMs) => {
    const { receiving } = place();
    const asked = request(ANN, { standby });
    const came = codeOf(receiving.admit(asked, never));
    receiving.answer(asked.handoffId, 'refuse');
    expect(await came).toBe('incoming-refused');
    expect(await codeOf(receiving.admit(request(ANN, { standby }), never))).toBe(
      'incoming-refused',
    );
    expect(receiving.incoming()).toEqual([]);
    await vi.advanceTimersByTimeAsync(quietMs);
    void codeOf(receiving.admit(request(ANN, { standby }), never));
    expect(receiving.incoming()).toHaveLength(1);
  });

  test('is not asked again of a guest that was let in and lost its network, for a while', async () => {
    const { receiving } = place();
    const asked = request();
    const came = receiving.admit(asked, never);
    receiving.answer(asked.handoffId, 'once');
    await came;
    await vi.advanceTimersByTimeAsync(WELCOME_MS - 1);
    receiving.failed(asked);
    await vi.advanceTimersByTimeAsync(WELCOME_MS - 1);
    expect(await codeOf(receiving.admit(request(), never))).toBe('came');
    await vi.advanceTimersByTimeAsync(WELCOME_MS);
    void codeOf(receiving.admit(request(), never));
    expect(receiving.incoming()).toHaveLength(1);
  });

  test('ends when the other place has lost interest', async () => {
    const { receiving } = place();
    const gone = new AbortController();
    const asked = request();
    const came = codeOf(receiving.admit(asked, gone.signal));
    gone.abort();
    expect(await came).toBe('incoming-withdrawn');
    expect(() => receiving.answer(asked.handoffId, 'once')).toThrow(/asks to come in/);
  });

  test('is answered by what is set meanwhile', async () => {
    const { receiving } = place();
    const one = codeOf(receiving.admit(request(ANN), never));
    const other = codeOf(receiving.admit(request(BOB), never));
    receiving.change({ place: ANN, receive: 'always' });
    receiving.change({ place: BOB, receive: 'off' });
    expect(await Promise.all([one, other])).toEqual(['came', 'receiving-off']);
  });

  test('of one place are few at a time, and another still gets its turn', async () => {
    const { receiving } = place();
    const guests = Array.from({ length: MAX_QUESTIONS_OF_ONE + 1 }, (_, index) =>
      GUEST.replace('4111', `4${index}11`),
    );
    const asked = guests.map((guest) => codeOf(receiving.admit(request(ANN, { guest }), never)));
    expect(await asked.at(-1)).toBe('too-many-questions');
    void codeOf(receiving.admit(request(BOB), never));
    expect(receiving.incoming()).toHaveLength(MAX_QUESTIONS_OF_ONE + 1);
  });
});

describe('a guest that comes back', () => {
  const at = 1;
  const key = { guestId: GUEST, handoffId: '00000000-0000-4000-8000-000000000001', at } as const;
  const created: JournalRecord = { type: 'guest-created', guestId: GUEST, epoch: 1, at };
  const came = (peer: string, epoch: number): JournalRecord => ({
    ...{ ...key, type: 'incoming-claimed', peer, epoch },
  });
  const went = (peer: string, epoch: number): JournalRecord => ({
    ...{ ...key, type: 'handoff-released', peer, epoch },
  });
  const stood = (peer: string, epoch: number): JournalRecord => ({
    ...{ ...key, type: 'incoming-started', peer, epoch },
  });

  test.each<[string, JournalRecord[], boolean]>([
    ['created here', [created, went(ANN, 2)], true],
    ['created here, and brought by somebody else', [created, went(BOB, 2)], true],
    ['deleted here', [created, { type: 'guest-deleted', guestId: GUEST, at }], false],
    ['never here', [], false],
    ['only stood by here', [stood(ANN, 2)], false],
    ['a visitor of the place that brings it', [came(ANN, 2), went(ANN, 3)], false],
    [
      'a visitor that was handed on to the place that brings it',
      [came(BOB, 2), went(ANN, 3)],
      true,
    ],
    ['a visitor that was handed on to another', [came(ANN, 2), went(BOB, 3)], false],
  ])('%s', (_what, records, expected) => {
    expect(comesBack(records, ANN)).toBe(expected);
  });

  test('is let in whatever the mode, and so is one that somebody here has asked for', async () => {
    const { receiving } = place('device', [created, went(ANN, 2)]);
    receiving.change({ receive: 'off' });
    expect(receiving.problem(GUEST, ANN)).toBeUndefined();
    expect(await codeOf(receiving.admit(request(), never))).toBe('came');
    const visitor = place();
    visitor.receiving.change({ receive: 'off' });
    const wanted = await visitor.receiving.whileWanted(GUEST, () =>
      codeOf(visitor.receiving.admit(request(), never)),
    );
    expect(wanted).toBe('came');
    expect(await codeOf(visitor.receiving.admit(request(), never))).toBe('receiving-off');
  });
});
