import { describe, expect, test } from 'vitest';
import type { GuestState, GuestView, StandbyView, Status } from '../../src/api/index.ts';
import { actionsOf, targetsOf, usualTarget } from '../../src/ui/model/actions.ts';
import { failureOf } from '../../src/ui/model/failure.ts';
import {
  formatBitRate,
  formatBytes,
  formatDuration,
  formatFingerprint,
  sentences,
} from '../../src/ui/model/format.ts';
import { MAX_SAMPLES, noHistory, readLink, sampled } from '../../src/ui/model/link.ts';
import { pressing, problemsOf, problemsOfChecks } from '../../src/ui/model/problems.ts';
import { gravest, safetyOf } from '../../src/ui/model/safety.ts';
import { hrefOf, routeOf } from '../../src/ui/state/route.ts';
import {
  cloud,
  fakeGuest,
  fakePlace,
  fakeProgress,
  fakeStandby,
  fakeStatus,
  laptop,
} from '../api/double.ts';
import { everyGuest, weakLink } from './fake-world.ts';

const since = '2026-01-02T03:04:05.000Z';
const running: GuestState = { kind: 'running', since, pid: 1 };

describe('safety', () => {
  const standing = (over: Partial<StandbyView>) =>
    safetyOf(fakeGuest({ state: running, standby: fakeStandby(over) }));

  test.each<[string, Partial<StandbyView>, object]>([
    ['armed', { estimateMs: 400 }, { kind: 'armed', tone: 'safe', estimateMs: 400 }],
    ['armed, time unknown', { estimateMs: null }, { kind: 'armed', estimateMs: null }],
    ['armed, but', { reason: 'slow' }, { kind: 'armed', hindrance: 'slow' }],
    [
      'filling',
      { state: 'filling', progress: fakeProgress() },
      { kind: 'filling', tone: 'busy', percent: 25 },
    ],
    [
      'filling, how much unknown',
      { state: 'filling', progress: fakeProgress({ bytesTotal: null }) },
      { kind: 'filling', percent: null },
    ],
    ['filling, not begun', { state: 'filling' }, { kind: 'filling', percent: null }],
    ['waiting', { state: 'waiting', reason: 'why' }, { kind: 'waiting', tone: 'risk' }],
    ['unavailable', { state: 'unavailable' }, { kind: 'unavailable', tone: 'risk', reason: null }],
  ])('%s', (_name, over, wanted) => {
    expect(standing(over)).toMatchObject({ ...wanted, place: cloud.name });
  });

  test('a guest that runs and stands by nowhere is at risk', () => {
    expect(safetyOf(fakeGuest({ state: running }))).toEqual({ kind: 'alone', tone: 'risk' });
  });

  test('paused does not look like running, and elsewhere not like here', () => {
    const tones = Object.fromEntries(
      everyGuest().map((guest) => [guest.name, safetyOf(guest).tone]),
    );
    expect(tones).toEqual({
      'dev-desktop': 'safe',
      alone: 'risk',
      filling: 'busy',
      waiting: 'risk',
      moving: 'busy',
      elsewhere: 'away',
      doubtful: 'problem',
      full: 'problem',
      broken: 'problem',
      stopped: 'idle',
    });
  });

  test('one sign for many shows the gravest', () => {
    expect(gravest(['safe', 'busy', 'risk'])).toBe('risk');
    expect(gravest(['safe', 'problem'])).toBe('problem');
    expect(gravest(['idle', 'safe'])).toBe('safe');
    expect(gravest([])).toBe('idle');
  });
});

describe('actions', () => {
  const names = (over: Partial<GuestView>) => actionsOf(fakeGuest(over));

  test('the likeliest comes first', () => {
    const first = everyGuest().map((guest) => [guest.name, actionsOf(guest)[0]]);
    expect(Object.fromEntries(first)).toEqual({
      'dev-desktop': 'hand-off',
      alone: 'hand-off',
      filling: 'hand-off',
      waiting: 'hand-off',
      moving: 'cancel',
      elsewhere: 'bring-back',
      doubtful: 'decide',
      full: 'limit',
      broken: 'start',
      stopped: 'start',
    });
  });

  test('arm or disarm, never both', () => {
    expect(names({ state: running })).toContain('arm');
    expect(names({ state: running })).not.toContain('disarm');
    expect(names({ state: running, standby: fakeStandby() })).toContain('disarm');
    expect(names({ state: running, standby: fakeStandby() })).not.toContain('arm');
  });

  test('a guest in doubt can be neither started nor deleted', () => {
    const doubt: GuestState = {
      ...{ kind: 'in-doubt', since, explanation: 'x', with: cloud },
      handoffId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    };
    expect(names({ state: doubt })).toEqual(['decide']);
  });

  const self = fakePlace({ ...laptop, self: true });
  const off = fakePlace({ id: 'e5'.repeat(32), name: 'off', connected: false });
  const tablet = fakePlace({ id: 'd3'.repeat(32), name: 'tablet', profile: 'device' });

  test('a place that cannot be reached comes last and says why; this one is none', () => {
    expect(targetsOf([self, off, fakePlace()])).toMatchObject([
      { place: { name: 'cloud' }, obstacle: null },
      { place: { name: 'off' }, obstacle: 'not-connected' },
    ]);
  });

  test.each<[string, Partial<GuestView>, Parameters<typeof targetsOf>[0], string | undefined]>([
    [
      'where it stands by',
      { standby: fakeStandby({ place: tablet }) },
      [tablet, fakePlace()],
      'tablet',
    ],
    ['its home', { home: cloud }, [tablet, fakePlace()], 'cloud'],
    ['any site', { home: laptop }, [tablet, fakePlace()], 'cloud'],
    ['anything that answers', { home: laptop }, [off, tablet], 'tablet'],
    ['nowhere', { home: laptop }, [self], undefined],
  ])('one click goes to %s', (_name, over, places, wanted) => {
    expect(usualTarget(fakeGuest(over), places)?.place.name).toBe(wanted);
  });
});

describe('problems', () => {
  const notice = { code: 'x', severity: 'warning', text: 'w', since, showAfterMs: 20_000 } as const;
  const status = fakeStatus({
    warnings: [notice, { ...notice, code: 'n', severity: 'info', showAfterMs: 0 }],
    guests: [fakeGuest({ notices: [{ ...notice, severity: 'error', showAfterMs: 0 }] })],
  });

  test('what may end by itself is not shown at once; the gravest come first', () => {
    const early = problemsOf(status, Date.parse(since) + 19_999);
    expect(early.map(({ severity }) => severity)).toEqual(['error', 'info']);
    const late = problemsOf(status, Date.parse(since) + 20_000);
    expect(late.map(({ severity }) => severity)).toEqual(['error', 'warning', 'info']);
    expect(late[0]?.guest?.name).toBe('alpine');
    expect(pressing(late)).toBe(2);
  });

  test('keys tell the same notice of two guests apart', () => {
    const twice = problemsOf(
      { ...status, warnings: [notice, { ...notice, code: 'y' }] },
      Date.parse(since) + 60_000,
    );
    expect(new Set(twice.map(({ key }) => key)).size).toBe(3);
  });

  test('checks that are good are no problems', () => {
    const found = problemsOfChecks([
      { id: 'a', status: 'ok', text: 'good' },
      { id: 'b', status: 'warn', text: 'weak', remedy: 'do' },
      { id: 'c', status: 'fail', text: 'missing' },
    ]);
    expect(found).toMatchObject([
      { key: 'check:c', severity: 'error', remedy: null },
      { key: 'check:b', severity: 'warning', remedy: 'do' },
    ]);
  });
});

describe('link', () => {
  const status = (ms: number, bytes: number | null, over: Partial<Status> = {}) =>
    fakeStatus({
      at: new Date(Date.parse(since) + ms).toISOString(),
      datapath:
        bytes === null
          ? { running: false, reason: 'x' }
          : {
              ...{ running: true, pid: 1, since, tap: null, drops: {} },
              tunnels: [{ peer: cloud, connected: true, rttMs: 1, bytesIn: bytes, bytesOut: 0 }],
            },
      ...over,
    });
  const history = (...statuses: Status[]) =>
    statuses.map(readLink).reduce(sampled, noHistory).samples;

  test('what the agent does not tell is unknown, not zero', () => {
    expect(history(status(0, 0))).toEqual([
      {
        ...{ atMs: Date.parse(since), signalDbm: null, rttMs: 21.5 },
        ...{ rateBitsPerSecond: null, trafficBitsPerSecond: null },
      },
    ]);
    const alone = status(0, 0, { places: [fakePlace({ connected: false })] });
    expect(history(alone)[0]?.rttMs).toBeNull();
  });

  test('what its sensor and its probes tell comes first', () => {
    const link = weakLink();
    expect(readLink(status(0, 0, { link }))).toMatchObject({
      ...{ signalDbm: -71, rateBitsPerSecond: 86_700_000, rttMs: 12, sensor: null },
    });
    const missing = { name: 'none', state: 'missing' } as const;
    const without = weakLink({ sensor: missing, signalDbm: null, rttMs: null });
    expect(readLink(status(0, 0, { link: without }))).toMatchObject({
      ...{ signalDbm: null, forecast: null, rttMs: 21.5, sensor: missing },
    });
  });

  test('a forecast begins at the newest sample, and ends where the link is lost', () => {
    const ahead = (over: object) => {
      const link = weakLink();
      const forecast = link.forecast === null ? null : { ...link.forecast, ...over };
      return readLink(status(0, 0, { link: { ...link, forecast } })).forecast;
    };
    const now = Date.parse(since);
    expect(ahead({})).toMatchObject({ fromDbm: -71, toMs: now + 11_000 });
    expect(ahead({})?.toDbm).toBeCloseTo(-79.8);
    expect(ahead({ secondsLeft: null })?.toMs).toBe(now + 15_000);
    expect(ahead({ secondsLeft: 3600 })?.toMs).toBe(now + 60_000);
  });

  test('traffic is what has gone through since the sample before', () => {
    const traffic = history(status(0, 1000), status(2000, 3000), status(4000, null)).map(
      ({ trafficBitsPerSecond }) => trafficBitsPerSecond,
    );
    expect(traffic).toEqual([null, 8000, null]);
  });

  test('a datapath that began anew has no negative traffic', () => {
    expect(history(status(0, 9000), status(1000, 10))[1]?.trafficBitsPerSecond).toBeNull();
  });

  test('statuses in quick succession make one sample', () => {
    expect(history(status(0, 0), status(100, 0), status(499, 0), status(500, 0))).toHaveLength(2);
  });

  test('the history is bounded', () => {
    const many = Array.from({ length: MAX_SAMPLES + 5 }, (_, at) => status(at * 1000, 0));
    const samples = history(...many);
    expect(samples).toHaveLength(MAX_SAMPLES);
    expect(samples[0]?.atMs).toBe(Date.parse(since) + 5000);
  });
});

describe('formats', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [81_000_000, '81.0 MB'],
    [999_600, '1.00 MB'],
  ])('%d bytes', (bytes, wanted) => expect(formatBytes(bytes, 'en')).toBe(wanted));

  test.each([
    [0.4, '0.4 ms'],
    [21, '21 ms'],
    [999, '999 ms'],
    [9300, '9.3 s'],
    [59_949, '59.9 s'],
    [59_960, '1 min'],
    [245_000, '4 min 5 s'],
    [3_599_800, '1 h'],
    [7_380_000, '2 h 3 min'],
    [86_400_000 + 2 * 3_600_000, '1 d 2 h'],
  ])('%d ms', (ms, wanted) => expect(formatDuration(ms, 'en')).toBe(wanted));

  test('people wait in seconds', () => {
    expect(formatDuration(410, 'en', true)).toBe('0.4 s');
    expect(formatDuration(60, 'en', true)).toBe('60 ms');
  });

  test('Japanese has words of its own', () => {
    expect(formatDuration(410, 'ja', true)).toMatch(/0\.4 ?秒/);
  });

  test('texts become sentences once', () => {
    expect(sentences('Nothing answers', 'Try "sojourn1."')).toBe(
      'Nothing answers. Try "sojourn1.".',
    );
    expect(sentences('It begins with sojourn1.', undefined, null)).toBe('It begins with sojourn1.');
  });

  test('rates and fingerprints', () => {
    expect(formatBitRate(20_000_000, 'en')).toBe('20.0 Mbit/s');
    expect(formatFingerprint('3f2b8c1e')).toBe('3f2b 8c1e');
  });
});

describe('failures', () => {
  test('what a transport rejects with is kept', () => {
    const error = { kind: 'refused', code: 'not-paired', message: 'm', remedy: 'r' };
    expect(failureOf(error)).toBe(error);
  });

  test('anything else is a defect, and says what it was', () => {
    expect(failureOf(new TypeError('oops'))).toMatchObject({ kind: 'internal', message: 'oops' });
    expect(failureOf('text')).toMatchObject({ kind: 'internal', message: 'text' });
    expect(failureOf(null)).toMatchObject({ kind: 'internal' });
  });
});

describe('routes', () => {
  test.each([
    ['', { view: 'dashboard' }],
    ['#/', { view: 'dashboard' }],
    ['#/places', { view: 'places' }],
    ['#/guest/3f2b', { view: 'guest', guest: '3f2b' }],
    ['#/guest', { view: 'dashboard' }],
    ['#/guest/dev%20desk', { view: 'guest', guest: 'dev desk' }],
    ['#/guest/%', { view: 'guest', guest: '%' }],
    ['#/places/pair/sojourn1.abc', { view: 'pair', invite: 'sojourn1.abc' }],
    ['#/places/pair', { view: 'places' }],
    ['#/__proto__', { view: 'dashboard' }],
    ['#token=abc', { view: 'dashboard' }],
  ] as const)('%s', (hash, route) => expect(routeOf(hash)).toEqual(route));

  test('a way there is a way back', () => {
    for (const view of ['dashboard', 'settings'] as const)
      expect(routeOf(hrefOf({ view }))).toEqual({ view });
    for (const route of [
      { view: 'guest', guest: 'a/b' },
      { view: 'pair', invite: 'sojourn1.a/b' },
    ] as const)
      expect(routeOf(hrefOf(route))).toEqual(route);
  });
});
