/** What the window is shown in tests: a double of the agent with guests in every state, and its bridge. */
import { EventEmitter, on } from 'node:events';
import { pino } from 'pino';
import { WebServer } from '../../src/agent/web/index.ts';
import {
  ApiServer,
  type GuestState,
  type GuestView,
  type Handlers,
  type LinkView,
  type Status,
} from '../../src/api/index.ts';
import { SojournError } from '../../src/common/index.ts';
import { defaultRules } from '../../src/link/policy/index.ts';
import {
  cloud,
  type DoubleAgent,
  fakeGuest,
  fakeHandlers,
  fakeInfo,
  fakePlace,
  fakeProgress,
  fakeStandby,
  fakeStatus,
  laptop,
  startDouble,
} from '../api/double.ts';
import { fakeScreen } from './fake-screen.ts';

export const HOSTILE = '<img src=x onerror="window.hacked=1">"\'&{{x}}';

const now = () => new Date().toISOString();
const since = now();

export function guestIn(name: string, state: GuestState, over: Partial<GuestView> = {}): GuestView {
  const index = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) >>> 0;
  const id = `3f2b8c1e-58a4-4cdd-9b1b-${index.toString(16).padStart(12, '0')}`;
  return fakeGuest({ id, name, state, createdAt: now(), ...over });
}

const running = { kind: 'running', since, pid: 4711 } as const;
const handoffId = '7c9e6679-7425-40de-944b-e07fc1f90ae7';

/** Every kind of state and of standby once. */
export function everyGuest(): GuestView[] {
  return [
    guestIn('dev-desktop', running, {
      standby: fakeStandby({ estimateMs: 410 }),
      display: 'vga',
    }),
    guestIn('alone', running, { display: 'vga' }),
    guestIn('filling', running, {
      standby: fakeStandby({ state: 'filling', progress: fakeProgress(), estimateMs: null }),
    }),
    guestIn('waiting', running, {
      standby: fakeStandby({
        state: 'waiting',
        reason: 'The network is metered',
        reasonCode: 'metered',
        remedy: 'Allow it with "sojourn arm"',
      }),
    }),
    guestIn('moving', {
      kind: 'moving-out',
      since,
      handoffId,
      to: cloud,
      progress: fakeProgress({ residueBytes: 512_000 }),
    }),
    guestIn('elsewhere', { kind: 'elsewhere', since, place: cloud, there: 'running' }),
    guestIn('doubtful', {
      kind: 'in-doubt',
      since,
      handoffId,
      with: cloud,
      explanation: 'cloud was told to take the guest over and has not answered',
    }),
    guestIn(
      'full',
      { kind: 'paused', since, pid: 4711, reason: 'overlay-limit' },
      {
        overlay: { storage: 'memory', usedBytes: 1 << 30, limitBytes: 1 << 30 },
        notices: [
          {
            code: 'overlay-limit',
            severity: 'error',
            text: 'The guest is paused: it has written all that it may',
            remedy: 'Give it more room with "sojourn guest limit full SIZE"',
            since,
            showAfterMs: 0,
          },
        ],
      },
    ),
    guestIn('broken', {
      kind: 'crashed',
      since,
      exitCode: 1,
      signal: null,
      reason: HOSTILE,
    }),
    guestIn('stopped', { kind: 'stopped', since }),
  ];
}

/** A weak signal, with all that the policy can say. */
export function weakLink(over: Partial<LinkView> = {}): LinkView {
  const [guest] = everyGuest();
  const said = (action: LinkView['policy']['now'][number]['action'], why: string) => ({
    ...{ at: since, action, code: action, why },
    guest: { id: guest?.id ?? '', name: guest?.name ?? '' },
  });
  return {
    sensor: { name: 'iw', state: 'working' },
    ...{ connected: true, signalDbm: -71, band: '5', rateBitsPerSecond: 86_700_000, rttMs: 12 },
    forecast: {
      ...{ evidence: 'trend', slopeDbPerSecond: -0.8, secondsLeft: 11_000 / 1000 },
      ...{ bytesLeft: 3_000_000, text: '-71 dBm, falling 0.8 dB/s: about 11 s and 3.0 MB left' },
    },
    policy: {
      automatic: true,
      rules: defaultRules,
      now: [said('tighten', `The signal falls ${HOSTILE}`)],
      recent: [said('none', 'The link is good'), said('arm', 'The signal falls')],
    },
    ...over,
  };
}

export function everyStatus(over: Partial<Status> = {}): Status {
  return fakeStatus({
    at: now(),
    agent: fakeInfo({ startedAt: now() }),
    guests: everyGuest(),
    places: [
      fakePlace({ ...laptop, profile: 'device', self: true, rttMs: null, endpoints: [] }),
      fakePlace({ lastSeenAt: now(), pairedAt: now() }),
      fakePlace({
        ...{ id: 'd3'.repeat(32), name: HOSTILE, profile: 'device', connected: false },
        ...{ rttMs: null, lastSeenAt: null, endpoints: [] },
      }),
    ],
    datapath: {
      running: true,
      pid: 4712,
      since,
      tap: null,
      tunnels: [{ peer: cloud, connected: true, rttMs: 20, bytesIn: 1000, bytesOut: 1000 }],
      drops: { 'anti-spoof': 3 },
    },
    link: weakLink(),
    warnings: [
      {
        code: 'tun-missing',
        severity: 'warning',
        text: `Something is missing: ${HOSTILE}`,
        remedy: 'Load it with "modprobe tun"',
        since,
        showAfterMs: 0,
      },
    ],
    ...over,
  });
}

export interface FakeWorld {
  readonly agent: DoubleAgent;
  readonly web: WebServer;
  /** A link that lets one browser in. */
  link(): Promise<string>;
  /** Tells all windows a new status. */
  tell(status: Status): void;
  /** Ends the agent, but for what serves the page; the result starts it again. */
  leave(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Serves the window built in `directory`. */
export async function startFakeWorld(
  directory: string,
  first: Status,
  handlers: Partial<Handlers> = {},
): Promise<FakeWorld> {
  const changes = new EventEmitter();
  let status = first;
  const all: Partial<Handlers> = {
    'status.watch': async (_input, { emit, signal }) => {
      emit(status);
      try {
        for await (const _change of on(changes, 'change', { signal })) emit(status);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      return {};
    },
    'agent.conditions': async () => ({ metered: false, onBattery: true }),
    'agent.doctor': async () => ({
      ok: false,
      checks: [
        { id: 'node', status: 'ok', text: 'Node 24.21.0' },
        {
          id: 'kvm',
          status: 'warn',
          text: 'KVM does not work',
          remedy: 'Enable it in the firmware',
        },
        { id: 'qemu', status: 'fail', text: `No QEMU ${HOSTILE}`, remedy: 'Install QEMU' },
      ],
    }),
    'guest.audit': async () => ({
      place: laptop,
      entries: [
        {
          guest: { id: everyGuest()[0]?.id ?? '', name: 'dev-desktop' },
          epoch: 1,
          owner: laptop,
          from: now(),
          until: null,
          record: 'guest-created',
          handoffId: null,
        },
      ],
      problems: [],
    }),
    'guest.recover': async () => ({
      guest: everyGuest()[6] as GuestView,
      explanation: 'cloud has not answered',
      choices: [{ action: 'keep-here', consequence: 'The guest goes on here' }],
      done: null,
    }),
    'image.list': async () => [
      {
        name: 'debian',
        architecture: 'x86_64',
        boot: 'bios',
        disks: [{ name: 'disk0', digest: 'ab'.repeat(32), virtualBytes: 4e9 }],
        bytes: 1.2e9,
        defaults: { memoryMiB: 1024, vcpus: 2 },
      },
    ],
    ...handlers,
  };
  const agent = await startDouble(all);
  let server = agent.server;
  const log = pino({ level: 'silent' });
  const [seenGuest] = everyGuest();
  const screen = async (guest: string) => {
    if (guest === seenGuest?.id) return fakeScreen({ place: laptop, text: HOSTILE });
    throw new SojournError({
      kind: 'conflict',
      code: 'not-running',
      message: `${HOSTILE} is not running`,
      remedy: 'Start it',
    });
  };
  const web = new WebServer({ socketPath: agent.socketPath, screen, log, directory });
  return {
    agent,
    web,
    link: async () => (await web.open()).url,
    tell: (next) => {
      status = next;
      changes.emit('change');
    },
    leave: async () => {
      await server.close();
      return async () => {
        const { socketPath: path } = agent;
        server = await ApiServer.listen({ path, version: '0', handlers: fakeHandlers(all) });
      };
    },
    close: async () => {
      await web.close();
      await server.close();
      await agent.stop();
    },
  };
}
