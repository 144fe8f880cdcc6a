/** Statuses of an agent to describe. */

import type {
  GuestState,
  GuestView,
  Notice,
  PlaceView,
  StandbyView,
  Status,
} from '../../src/api/index.ts';
import { rulesSchema } from '../../src/link/policy/rules.ts';

export const AT = '2026-03-01T12:00:00.000Z';
export const NOW = Date.parse(AT);
const ID = { self: 'a'.repeat(64), cloud: 'b'.repeat(64), desk: 'c'.repeat(64) };
export const GUEST = '6f1c2a0e-8a55-4c1e-9a35-1f1f5d0a7b11';
export const OTHER_GUEST = '6f1c2a0e-8a55-4c1e-9a35-1f1f5d0a7b12';

export const self = { id: ID.self, name: 'laptop' };
export const cloud = { id: ID.cloud, name: 'cloud' };
export const desk = { id: ID.desk, name: 'desk' };

export function place(
  ref: { id: string; name: string },
  change: Partial<PlaceView> = {},
): PlaceView {
  return {
    ...ref,
    profile: ref.id === ID.cloud ? 'site' : 'device',
    self: ref.id === ID.self,
    connected: true,
    rttMs: 20,
    lastSeenAt: AT,
    endpoints: [],
    pairedAt: AT,
    ...change,
  };
}

const progress = {
  phase: 'memory',
  startedAtMs: NOW,
  bytesDone: 43,
  bytesTotal: 100,
  bytesPerSecond: null,
  etaMs: null,
  residueBytes: null,
} as const;

export const states = {
  running: { kind: 'running', since: AT, pid: 7 },
  stopped: { kind: 'stopped', since: AT },
  crashed: { kind: 'crashed', since: AT, exitCode: 1, signal: null, reason: 'QEMU ended' },
  paused: { kind: 'paused', since: AT, pid: 7, reason: 'overlay-limit' },
  starting: { kind: 'starting', since: AT },
  stopping: { kind: 'stopping', since: AT },
  away: { kind: 'elsewhere', since: AT, place: cloud, there: 'running' },
  awayStopped: { kind: 'elsewhere', since: AT, place: cloud, there: 'stopped' },
  movingOut: { kind: 'moving-out', since: AT, handoffId: GUEST, to: cloud, progress },
  movingIn: { kind: 'moving-in', since: AT, handoffId: GUEST, from: cloud, progress },
  inDoubt: {
    kind: 'in-doubt',
    since: AT,
    handoffId: GUEST,
    with: cloud,
    explanation: 'cloud has not said whether it took the guest',
  },
} as const satisfies Record<string, GuestState>;

export function standby(change: Partial<StandbyView> = {}): StandbyView {
  return {
    place: cloud,
    state: 'armed',
    residueBytes: 100_000,
    residueBytesOnLink: 14_000,
    dirtyBytesPerSecond: 1000,
    freshMs: 800,
    upkeepBytesPerSecond: 3000,
    estimateMs: 400,
    since: AT,
    whenUnmetered: false,
    bothWays: true,
    ...change,
  };
}

export const filling = standby({ state: 'filling', progress, estimateMs: null });

export function guest(state: GuestState, change: Partial<GuestView> = {}): GuestView {
  return {
    id: GUEST,
    name: 'dev-desktop',
    state,
    epoch: 1,
    memoryMiB: 1024,
    vcpus: 2,
    accelerator: 'tcg',
    display: 'none',
    machine: 'pc-q35-10.0',
    network: { hoa4: '192.0.2.7', hoa6Prefix: '2001:db8::/64' },
    home: cloud,
    overlay: null,
    standby: null,
    createdAt: AT,
    notices: [],
    ...change,
  };
}

export const notice = (change: Partial<Notice> = {}): Notice => ({
  code: 'disk-low',
  severity: 'warning',
  text: 'The disk is nearly full',
  remedy: 'Make room',
  since: AT,
  showAfterMs: 0,
  ...change,
});

export function statusWith(guests: GuestView[], change: Partial<Status> = {}): Status {
  return {
    at: AT,
    agent: {
      version: '0.1.0',
      pid: 1,
      profile: 'device',
      place: self,
      stateDirectory: '/s',
      startedAt: AT,
      nodeVersion: 'v24.0.0',
      qemu: null,
      accelerator: null,
      listen: null,
    },
    guests,
    places: [place(self), place(cloud)],
    datapath: { running: false, reason: 'no guests' },
    warnings: [],
    ...change,
  };
}

type Link = NonNullable<Status['link']>;

/** @param secondsLeft until the link is lost; null where no loss is in sight */
export function link({ automatic = true, secondsLeft = null as number | null } = {}): Link {
  return {
    sensor: { name: 'iw', state: 'working' },
    connected: true,
    signalDbm: -60,
    band: '5',
    rateBitsPerSecond: 100e6,
    rttMs: 20,
    forecast: {
      evidence: 'slope',
      slopeDbPerSecond: 0,
      secondsLeft,
      bytesLeft: null,
      text: '-60 dBm',
    },
    policy: { automatic, rules: rulesSchema.parse({}), now: [], recent: [] },
  };
}
