/**
 * A test double of the agent, derived from the contract: every call answers `not-faked` unless the
 * test gives its handler. Views are built by functions that take only what a test cares about.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AgentInfo,
  ApiServer,
  type ApiServerOptions,
  apiSocketPath,
  type CallName,
  contract,
  type GuestView,
  type Handlers,
  type HandoffProgress,
  type HandoffResult,
  type PlaceView,
  type StandbyView,
  type Status,
} from '../../src/api/index.ts';
import { SojournError } from '../../src/common/index.ts';

export function fakeHandlers(given: Partial<Handlers> = {}): Handlers {
  const names = Object.keys(contract) as CallName[];
  const missing = names.map((name) => [
    name,
    () =>
      Promise.reject(
        new SojournError({
          kind: 'internal',
          code: 'not-faked',
          message: `the test gave no ${name}`,
        }),
      ),
  ]);
  return { ...(Object.fromEntries(missing) as Handlers), ...given };
}

export interface DoubleAgent {
  readonly server: ApiServer;
  readonly stateDirectory: string;
  readonly socketPath: string;
  stop(): Promise<void>;
}

export async function startDouble(
  handlers: Partial<Handlers> = {},
  options: Partial<ApiServerOptions> = {},
): Promise<DoubleAgent> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'sojourn-double-'));
  const socketPath = apiSocketPath(stateDirectory);
  const server = await ApiServer.listen({
    path: socketPath,
    version: '0.1.0-double',
    handlers: fakeHandlers(handlers),
    ...options,
  });
  const stop = async () => {
    await server.close();
    await rm(stateDirectory, { recursive: true, force: true });
  };
  return { server, stateDirectory, socketPath, stop };
}

const since = '2026-01-02T03:04:05.000Z';
export const laptop = { id: 'a1'.repeat(32), name: 'laptop' };
export const cloud = { id: 'c2'.repeat(32), name: 'cloud' };

export function fakeGuest(over: Partial<GuestView> = {}): GuestView {
  return {
    id: '3f2b8c1e-58a4-4cdd-9b1b-0b9f3a1c2d4e',
    name: 'alpine',
    state: { kind: 'running', since, pid: 4711 },
    epoch: 1,
    memoryMiB: 512,
    vcpus: 1,
    accelerator: 'tcg',
    machine: 'pc-q35-10.0',
    display: 'none',
    network: { hoa4: '192.0.2.10', hoa6Prefix: '2001:db8:77:5::/64' },
    home: cloud,
    overlay: { storage: 'memory', usedBytes: 3 << 20, limitBytes: 1 << 30 },
    standby: null,
    createdAt: since,
    notices: [],
    ...over,
  };
}

export function fakePlace(over: Partial<PlaceView> = {}): PlaceView {
  return {
    ...cloud,
    profile: 'site',
    self: false,
    connected: true,
    rttMs: 21.5,
    lastSeenAt: since,
    endpoints: ['cloud.example:7420'],
    pairedAt: since,
    ...over,
  };
}

export function fakeInfo(over: Partial<AgentInfo> = {}): AgentInfo {
  return {
    version: '0.1.0-double',
    pid: process.pid,
    profile: 'device',
    place: laptop,
    stateDirectory: '/nowhere',
    startedAt: since,
    nodeVersion: process.versions.node,
    qemu: { binary: '/usr/bin/qemu-system-x86_64', version: '10.0.2' },
    accelerator: {
      accelerator: 'tcg',
      kvm: { present: true, opens: true, boots: false, reason: 'no kernel booted within 10 s' },
      checkedAt: since,
    },
    listen: null,
    ...over,
  };
}

export function fakeStatus(over: Partial<Status> = {}): Status {
  return {
    at: since,
    agent: fakeInfo(),
    guests: [fakeGuest()],
    places: [fakePlace({ ...laptop, profile: 'device', self: true }), fakePlace()],
    datapath: { running: true, pid: 4712, since, tap: null, tunnels: [], drops: {} },
    warnings: [],
    ...over,
  };
}

export function fakeProgress(over: Partial<HandoffProgress> = {}): HandoffProgress {
  return {
    phase: 'memory',
    startedAtMs: Date.parse(since),
    bytesDone: 50_000_000,
    bytesTotal: 200_000_000,
    bytesPerSecond: 12_500_000,
    etaMs: 12_000,
    residueBytes: null,
    ...over,
  };
}

export function fakeStandby(over: Partial<StandbyView> = {}): StandbyView {
  return {
    place: cloud,
    state: 'armed',
    residueBytes: 152_000,
    residueBytesOnLink: 14_000,
    dirtyBytesPerSecond: 30_000,
    freshMs: 800,
    upkeepBytesPerSecond: 3_000,
    estimateMs: 240,
    since,
    whenUnmetered: false,
    bothWays: true,
    ...over,
  };
}

export function fakeResult(over: Partial<HandoffResult> = {}): HandoffResult {
  return {
    handoffId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    guest: { id: fakeGuest().id, name: 'alpine' },
    from: laptop,
    to: cloud,
    kind: 'cold',
    triggerToRunningMs: 9300,
    pauseMs: 21,
    bytesOnLink: 81_000_000,
    epoch: 2,
    phases: [
      { name: 'preflight', ms: 40 },
      { name: 'memory', ms: 9000 },
      { name: 'switchover', ms: 21 },
    ],
    ...over,
  };
}
