import { expect, test } from 'vitest';
import type { GuestState, Status } from '../../src/api/index.ts';
import { complete, fail, type HandoffLog, observe } from '../../src/ui/model/handoffs.ts';
import { cloud, fakeGuest, fakeProgress, fakeResult, fakeStatus, laptop } from '../api/double.ts';

const T0 = Date.parse('2026-01-02T03:04:05.000Z');
const handoffId = fakeResult().handoffId;
const since = new Date(T0).toISOString();

function at(ms: number, state: GuestState): Status {
  return fakeStatus({
    at: new Date(T0 + ms).toISOString(),
    guests: [fakeGuest({ state })],
  });
}

const movingOut = (progress: Parameters<typeof fakeProgress>[0]): GuestState => ({
  kind: 'moving-out',
  since,
  handoffId,
  to: cloud,
  progress: fakeProgress(progress),
});
const running: GuestState = { kind: 'running', since, pid: 1 };
const elsewhere: GuestState = { kind: 'elsewhere', since, place: cloud, there: 'running' };

function seen(...statuses: Status[]): HandoffLog {
  return statuses.reduce(observe, [] as HandoffLog);
}

test('nothing moves: nothing is seen', () => {
  expect(seen(at(0, running), at(1000, elsewhere))).toEqual([]);
});

test('phases follow each other; each one lasts until the next begins', () => {
  const [handoff] = seen(
    at(0, movingOut({ phase: 'prepare', startedAtMs: T0, bytesDone: 0, bytesTotal: null })),
    at(100, movingOut({ phase: 'memory', startedAtMs: T0 + 80, bytesDone: 5 })),
    at(300, movingOut({ phase: 'memory', startedAtMs: T0 + 80, bytesDone: 9, residueBytes: 7 })),
  );
  expect(handoff).toMatchObject({
    id: handoffId,
    from: laptop.name,
    to: cloud.name,
    startedAtMs: T0,
    outcome: 'running',
    residueBytes: 7,
    pauseMs: null,
    phases: [
      { name: 'prepare', ms: 80, bytesDone: 0 },
      { name: 'memory', ms: null, bytesDone: 9 },
    ],
  });
});

test('what was not told stays unknown after it has moved', () => {
  const [handoff] = seen(at(0, movingOut({})), at(900, elsewhere));
  expect(handoff).toMatchObject({
    outcome: 'moved',
    endedAtMs: T0 + 900,
    pauseMs: null,
    bytesOnLink: null,
    phases: [{ name: 'memory', ms: 900 }],
  });
});

test('a guest that goes on here did not move', () => {
  expect(seen(at(0, movingOut({})), at(900, running))[0]).toMatchObject({ outcome: 'stayed' });
});

test('a guest that is not there any more did not move, as far as is known', () => {
  const log = observe(seen(at(0, movingOut({}))), fakeStatus({ at: since, guests: [] }));
  expect(log[0]).toMatchObject({ outcome: 'stayed' });
});

test('one that arrives has moved here', () => {
  const arriving: GuestState = {
    ...{ kind: 'moving-in', since, handoffId, from: cloud },
    progress: fakeProgress({ startedAtMs: T0 }),
  };
  const log = seen(at(0, arriving), at(500, running));
  expect(log[0]).toMatchObject({ from: cloud.name, to: laptop.name, outcome: 'moved' });
});

test('the result fills in what the snapshots could not tell', () => {
  const before = seen(at(0, movingOut({ bytesDone: 50, bytesTotal: 60 })), at(900, elsewhere));
  const [handoff, ...others] = complete(before, fakeResult(), T0 + 1000);
  expect(others).toEqual([]);
  expect(handoff).toMatchObject({
    outcome: 'moved',
    pauseMs: 21,
    bytesOnLink: 81_000_000,
    triggerToRunningMs: 9300,
    kind: 'cold',
    phases: [
      { name: 'preflight', ms: 40 },
      { name: 'memory', ms: 9000, bytesDone: 50, bytesTotal: 60 },
      { name: 'switchover', ms: 21 },
    ],
  });
});

test('a result without snapshots is a handoff of its own', () => {
  const log = complete([], fakeResult(), T0);
  expect(log).toHaveLength(1);
  expect(log[0]).toMatchObject({ startedAtMs: T0 - 9300, from: 'laptop', to: 'cloud' });
});

test('an error belongs to the newest handoff of its guest, unless that worked', () => {
  const error = { kind: 'unreachable', code: 'peer-unreachable', message: 'x' } as const;
  const stayed = seen(at(0, movingOut({})), at(900, running));
  expect(fail(stayed, fakeGuest().id, error)[0]?.error).toEqual(error);
  expect(fail(stayed, 'another', error)[0]?.error).toBeNull();
  const moved = seen(at(0, movingOut({})), at(900, elsewhere));
  expect(fail(moved, fakeGuest().id, error)[0]?.error).toBeNull();
});

test('the oldest are forgotten', () => {
  let log: HandoffLog = [];
  for (let count = 0; count < 60; count += 1) {
    const id = `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`;
    log = complete(log, fakeResult({ handoffId: id }), T0 + count);
  }
  expect(log).toHaveLength(50);
  expect(log[0]?.id).toContain('59');
});
