/**
 * What the agent tells about guests, places and itself. A state is a discriminated union that carries
 * only what is true in that state. Times are ISO 8601 unless a name ends in `Ms`; sizes are bytes
 * unless a name says MiB.
 */
import { z } from 'zod';
import { accelerator, digest, guestId, guestName, macAddress, placeId } from '../guest/spec.ts';
// Past its index: the window runs in a browser, and the schema needs no sensors.
import { rulesSchema } from '../link/policy/rules.ts';

const count = z.int().nonnegative();
const milliseconds = z.number().nonnegative();
const time = z.iso.datetime();

/** Something a person should know, with a stable code. */
export const notice = z.object({
  code: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  severity: z.enum(['info', 'warning', 'error']),
  /** What and why, without a trailing full stop. */
  text: z.string(),
  /** What to do about it, in the imperative. */
  remedy: z.string().optional(),
  /** When it became true. */
  since: time,
  /** It is shown only after it has been true this long, so that a flaky network does not flood anyone. */
  showAfterMs: milliseconds.default(0),
});

export const placeRef = z.object({ id: placeId, name: z.string() });

/** Whether guests of another place may come: never, when a person here says so, or always. */
export const receiveMode = z.enum(['off', 'ask', 'always']);

/** What a place may do here. */
export const rightsView = z.object({
  receive: receiveMode,
  /** Said of this place; else as of all places of which nothing was said. */
  own: z.boolean(),
  /** It may ask for guests that it has had before. */
  fetch: z.boolean(),
  /** What its guests may take here, those that stand by included; null: as much as there is. */
  limits: z.object({
    guests: count.nullable(),
    memoryMiB: count.nullable(),
    diskBytes: count.nullable(),
  }),
});

export const receivingView = z.object({
  /** Of places of which nothing else was said. */
  receive: receiveMode,
  /** `host:port`, where other devices reach this device; empty while it listens nowhere, and at a site. */
  listens: z.array(z.string()),
  places: z.array(z.object({ place: placeRef, rights: rightsView })),
});

/** A guest that another place wants to bring, and that waits for a person's word. */
export const incomingView = z.object({
  id: z.uuid(),
  guest: z.object({ id: guestId, name: guestName }),
  from: placeRef,
  /** It may stand by here for long before it comes. */
  standby: z.boolean(),
  since: time,
  /** Without an answer until then it is refused. */
  expiresAt: time,
  /** What it will use. */
  memoryMiB: count,
  vcpus: count,
  /** What it may write, of all its disks. */
  diskBytes: count,
});

/** Devices nearby that want to pair too, and the attempt under way. All text of theirs is a stranger's. */
export const nearbyView = z.object({
  /** What this device calls itself there. */
  visibleAs: z.string(),
  /** Why nobody can be found just now. */
  problem: z.object({ code: z.string(), text: z.string() }).nullable(),
  devices: z.array(
    z.object({
      id: placeId,
      name: z.string(),
      profile: z.enum(['device', 'site']),
      paired: z.boolean(),
    }),
  ),
  attempt: z
    .object({
      id: z.uuid(),
      /** Who began it. */
      direction: z.enum(['here', 'there']),
      peer: z.object({ id: placeId, name: z.string() }),
      /** What the time that is left counts down from, when the state began, ms; null where nothing does. */
      msLeft: milliseconds.nullable(),
      state: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('connecting') }),
        z.object({
          kind: z.literal('comparing'),
          /** Six digits, the same on both screens unless somebody is in between. */
          code: z.string().regex(/^[0-9]{6}$/),
          /** A person here, or there, has said that they are. */
          here: z.boolean(),
          there: z.boolean(),
        }),
        z.object({ kind: z.literal('concluding') }),
        z.object({ kind: z.literal('paired'), place: placeRef }),
        z.object({
          kind: z.literal('failed'),
          code: z.string(),
          text: z.string(),
          remedy: z.string(),
        }),
      ]),
    })
    .nullable(),
});

export const placeView = z.object({
  ...placeRef.shape,
  profile: z.enum(['device', 'site']),
  /** The place that answers this call. */
  self: z.boolean(),
  connected: z.boolean(),
  /** Round trip of the control session; null when not connected or not measured yet. */
  rttMs: milliseconds.nullable(),
  lastSeenAt: time.nullable(),
  /** `host:port`, where it can be dialled; empty for a place that dials us. */
  endpoints: z.array(z.string()),
  pairedAt: time.nullable(),
  /** Absent for the place that answers. */
  rights: rightsView.optional(),
});

/** The phases of a handoff, in their order; the last three only where something went wrong. */
export const handoffPhase = z.enum([
  'preflight',
  'prepare',
  'disk',
  'memory',
  'armed',
  'switchover',
  'seal',
  'release',
  'in-doubt',
  'abort',
  'reclaim',
]);

/** A snapshot: each one replaces the one before it, so a slow reader may be given only the newest. */
export const handoffProgress = z.object({
  phase: handoffPhase,
  /** When the phase began, milliseconds since the Unix epoch. */
  startedAtMs: milliseconds,
  bytesDone: count,
  /** Null while the amount is unknown. */
  bytesTotal: count.nullable(),
  bytesPerSecond: milliseconds.nullable(),
  etaMs: milliseconds.nullable(),
  /** What would still have to cross the link to complete now. */
  residueBytes: count.nullable(),
  note: z.string().optional(),
});

export const handoffResult = z.object({
  handoffId: z.uuid(),
  guest: z.object({ id: guestId, name: guestName }),
  from: placeRef,
  to: placeRef,
  kind: z.enum(['cold', 'armed']),
  /** From the request to the guest running at its new place. */
  triggerToRunningMs: milliseconds,
  /** How long the guest itself stood still. */
  pauseMs: milliseconds,
  bytesOnLink: count,
  /** The guest's owner epoch after it. */
  epoch: count,
  phases: z.array(z.object({ name: handoffPhase, ms: milliseconds })),
});

export const recoverAction = z.enum(['keep-here', 'give-up-here']);

export const guestState = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('starting'), since: time }),
  z.object({ kind: z.literal('running'), since: time, pid: z.int().positive() }),
  z.object({
    kind: z.literal('paused'),
    since: time,
    pid: z.int().positive(),
    reason: z.enum(['overlay-limit', 'user', 'disk-error', 'incoming', 'unresponsive']),
    detail: z.string().optional(),
  }),
  z.object({ kind: z.literal('stopping'), since: time }),
  z.object({ kind: z.literal('stopped'), since: time }),
  z.object({
    kind: z.literal('crashed'),
    since: time,
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    reason: z.string(),
  }),
  z.object({
    kind: z.literal('elsewhere'),
    /** Since when it is known to be there. */
    since: time,
    place: placeRef,
    /** What the place said last; `unknown` when it has not been heard since. */
    there: z.enum(['running', 'paused', 'stopped', 'unknown']),
  }),
  z.object({
    kind: z.literal('moving-out'),
    since: time,
    handoffId: z.uuid(),
    to: placeRef,
    progress: handoffProgress,
  }),
  z.object({
    kind: z.literal('moving-in'),
    since: time,
    handoffId: z.uuid(),
    from: placeRef,
    progress: handoffProgress,
  }),
  z.object({
    kind: z.literal('in-doubt'),
    since: time,
    handoffId: z.uuid(),
    /** The other place, which has not said whether it took the guest. */
    with: placeRef,
    explanation: z.string(),
  }),
]);

/** What keeps an almost finished handoff of a guest standing at another place (`arm`). */
export const standbyView = z.object({
  place: placeRef,
  /**
   * `filling`: what the guest is goes there for the first time; `armed`: only the residue is left to cross; `waiting`: for
   * something that is expected to come; `unavailable`: it failed, and is tried again by itself.
   */
  state: z.enum(['filling', 'armed', 'waiting', 'unavailable']),
  /** Why it waits or failed, without a trailing full stop; also while armed, when something hinders it. */
  reason: z.string().optional(),
  /** Stable, for `reason`. */
  reasonCode: z.string().optional(),
  remedy: z.string().optional(),
  /** Of the first fill. */
  progress: handoffProgress.optional(),
  /** What has changed since it was last sent, bytes of memory and disk; null while nothing is known. */
  residueBytes: count.nullable(),
  /** The same after compression. */
  residueBytesOnLink: count.nullable(),
  /** What the guest changes, after repeated changes of a page are counted once a pass. */
  dirtyBytesPerSecond: milliseconds.nullable(),
  /** Age of the copy over there. */
  freshMs: milliseconds.nullable(),
  /** What keeping it fresh costs the link, after compression. */
  upkeepBytesPerSecond: milliseconds.nullable(),
  /** From the request to the guest running there, at what the link carries now; null while nothing honest can be said. */
  estimateMs: milliseconds.nullable(),
  /** Since when it is in this state. */
  since: time,
  whenUnmetered: z.boolean(),
  /** Whether the guest shall stand by at the old place when it has moved. */
  bothWays: z.boolean(),
});

/** One time of a guest at a place, from the journal of the place that answers. */
export const auditEntry = z.object({
  guest: z.object({ id: guestId, name: z.string() }),
  epoch: count,
  /** Who may run the guest from then on; null when nobody, since it was deleted. */
  owner: placeRef.nullable(),
  from: time,
  /** Null while it lasts. */
  until: time.nullable(),
  /** What made it so: the record of the journal. */
  record: z.string(),
  handoffId: z.uuid().nullable(),
});

export const overlayView = z.object({
  storage: z.enum(['memory', 'disk']),
  usedBytes: count,
  limitBytes: count,
});

export const guestView = z.object({
  id: guestId,
  name: guestName,
  state: guestState,
  /** The owner epoch: grows by one with every change of owner. */
  epoch: count,
  memoryMiB: z.int().positive(),
  vcpus: z.int().positive(),
  accelerator,
  machine: z.string(),
  /** Whether it has a screen. */
  display: z.enum(['none', 'vga']).default('none'),
  network: z.object({ hoa4: z.ipv4(), hoa6Prefix: z.cidrv6() }),
  /** The place whose gateway anchors the home addresses. */
  home: placeRef,
  /** Null where this place holds no overlay of it. */
  overlay: overlayView.nullable(),
  /** Null unless somebody wants the guest to stand by somewhere. */
  standby: standbyView.nullable(),
  createdAt: time,
  notices: z.array(notice),
});

export const imageView = z.object({
  name: z.string(),
  architecture: z.enum(['x86_64', 'aarch64']),
  boot: z.enum(['kernel', 'bios', 'uefi']),
  disks: z.array(z.object({ name: z.string(), digest, virtualBytes: count })),
  /** Of all its files in the store. */
  bytes: count,
  defaults: z.object({ memoryMiB: z.int().positive(), vcpus: z.int().positive() }),
});

/** Some 600 bytes each, and all of them have to be in one line. */
export const MAX_MAPPINGS = 1_500;

/** Where the guests are whose addresses the answering site anchors. Places are named in `places`. */
export const mappingsView = z.object({
  /** The place that answers. */
  home: placeId,
  places: z.array(placeRef),
  guests: z
    .array(
      z.object({
        id: guestId,
        name: guestName,
        /** Its own at this site: that of its addresses. */
        number: z.int().positive(),
        mac: macAddress,
        hoa4: z.ipv4(),
        hoa6Prefix: z.cidrv6(),
        /** Where it is, since this epoch of its owner. */
        place: placeId,
        epoch: z.int().positive(),
        /** Where it may be next: a handoff or a standby has begun. */
        expected: z.object({ place: placeId, epoch: z.int().positive() }).nullable(),
      }),
    )
    .max(MAX_MAPPINGS),
});

export const acceleratorVerdict = z.object({
  accelerator,
  kvm: z.object({
    present: z.boolean(),
    opens: z.boolean(),
    /** Whether a real kernel booted under it; null when that was not tried. */
    boots: z.boolean().nullable(),
    reason: z.string(),
  }),
  checkedAt: time,
});

export const agentInfo = z.object({
  version: z.string(),
  pid: z.int().positive(),
  profile: z.enum(['device', 'site']),
  place: placeRef,
  stateDirectory: z.string(),
  startedAt: time,
  nodeVersion: z.string(),
  qemu: z.object({ binary: z.string(), version: z.string() }).nullable(),
  /** Null while it is still being found out, or without QEMU. */
  accelerator: acceleratorVerdict.nullable(),
  /** Where peers dial; null on a place that only dials. */
  listen: z.object({ host: z.string(), port: z.int(), tunnelPort: z.int() }).nullable(),
});

/** One thing that Sojourn needs from this machine. `warn`: works, with less than one may expect; `fail`: will not work. */
export const checkView = z.object({
  /** Stable, for programs. */
  id: z.string(),
  status: z.enum(['ok', 'warn', 'fail']),
  /** What was found, without a trailing full stop. */
  text: z.string(),
  remedy: z.string().optional(),
});

export const datapathView = z.discriminatedUnion('running', [
  z.object({
    running: z.literal(true),
    pid: z.int().positive(),
    since: time,
    tap: z.string().nullable(),
    tunnels: z.array(
      z.object({
        peer: placeRef,
        connected: z.boolean(),
        rttMs: milliseconds.nullable(),
        bytesIn: count,
        bytesOut: count,
      }),
    ),
    /** Packets dropped since it started, by reason (`anti-spoof`, `rate-guard`, ...). */
    drops: z.record(z.string(), count),
  }),
  z.object({ running: z.literal(false), reason: z.string() }),
]);

/** What the policy said of a guest. */
export const decisionView = z.object({
  at: time,
  guest: z.object({ id: guestId, name: guestName }),
  action: z.enum(['none', 'arm', 'tighten', 'fire', 'return']),
  /** Stable, for programs. */
  code: z.string(),
  /** One line for people. */
  why: z.string(),
});

export const policyView = z.object({
  /** Whether guests leave and come back by themselves. */
  automatic: z.boolean(),
  rules: rulesSchema,
});

export const linkView = z.object({
  sensor: z.object({
    name: z.string(),
    /** `missing`: this machine has none, and only probes tell of the link. */
    state: z.enum(['starting', 'working', 'broken', 'ended', 'closed', 'missing']),
    reason: z.string().optional(),
  }),
  connected: z.boolean().nullable(),
  signalDbm: z.number().nullable(),
  band: z.enum(['2.4', '5', '6']).nullable(),
  /** Bit rate of the radio, bits a second. */
  rateBitsPerSecond: z.number().nonnegative().nullable(),
  /** To the place that the probes know best; null before it was measured. */
  rttMs: milliseconds.nullable(),
  /** Null without figures of the signal. */
  forecast: z
    .object({
      evidence: z.string(),
      slopeDbPerSecond: z.number(),
      /** Null where no loss is in sight. */
      secondsLeft: milliseconds.nullable(),
      bytesLeft: milliseconds.nullable(),
      /** One line: `-76 dBm, falling 0.8 dB/s: about 11 s and 3.0 MB left`. */
      text: z.string(),
    })
    .nullable(),
  policy: z.object({
    ...policyView.shape,
    /** What it says of each guest now. */
    now: z.array(decisionView),
    /** What it said when that changed, oldest first. */
    recent: z.array(decisionView),
  }),
});

export const status = z.object({
  at: time,
  agent: agentInfo,
  guests: z.array(guestView),
  places: z.array(placeView),
  datapath: datapathView,
  warnings: z.array(notice),
  /** Only of a place that may lose its network. */
  link: linkView.optional(),
  /** Whether guests of other places may come; absent from agents that do not ask. */
  receiving: z.object({ receive: receiveMode, listens: z.array(z.string()) }).optional(),
  incoming: z.array(incomingView).optional(),
});

export type Notice = z.output<typeof notice>;
export type PlaceRef = z.output<typeof placeRef>;
export type PlaceView = z.output<typeof placeView>;
export type ReceiveMode = z.output<typeof receiveMode>;
export type RightsView = z.output<typeof rightsView>;
export type ReceivingView = z.output<typeof receivingView>;
export type IncomingView = z.output<typeof incomingView>;
export type NearbyView = z.output<typeof nearbyView>;
export type HandoffPhase = z.output<typeof handoffPhase>;
export type HandoffProgress = z.output<typeof handoffProgress>;
export type HandoffResult = z.output<typeof handoffResult>;
export type RecoverAction = z.output<typeof recoverAction>;
export type GuestState = z.output<typeof guestState>;
export type GuestView = z.output<typeof guestView>;
export type StandbyView = z.output<typeof standbyView>;
export type AuditEntry = z.output<typeof auditEntry>;
export type ImageView = z.output<typeof imageView>;
export type AgentInfo = z.output<typeof agentInfo>;
export type CheckView = z.output<typeof checkView>;
export type DatapathView = z.output<typeof datapathView>;
export type DecisionView = z.output<typeof decisionView>;
export type PolicyView = z.output<typeof policyView>;
export type MappingsView = z.output<typeof mappingsView>;
export type LinkView = z.output<typeof linkView>;
export type Status = z.output<typeof status>;
