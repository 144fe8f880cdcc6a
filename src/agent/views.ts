/** Turns what the agent knows into what the API tells. */
import type {
  DatapathView,
  GuestState,
  GuestView,
  Notice,
  PlaceRef,
  StandbyView,
} from '../api/index.ts';
import type { Status as DatapathStatus } from '../datapath/index.ts';
import { migratability } from '../guest/index.ts';
import { displayOf } from '../guest/spec.ts';
import type { Unresponsive } from './guests/guest-search.ts';
import type { LiveGuest } from './guests/guests.ts';
import type { Arrival } from './handoffs/arrivals.ts';
import type { Departure } from './handoffs/departure.ts';
import { idleProgress } from './handoffs/departure-report.ts';
import type { Ownership } from './ownership/ownership.ts';
import type { StoredGuest } from './state/guest-store.ts';

export interface GuestFacts {
  readonly stored: StoredGuest;
  readonly ownership: Ownership;
  readonly live: LiveGuest | undefined;
  readonly busy: boolean;
  /** Its QEMU, when it runs and does not answer. */
  readonly unresponsive: Unresponsive | undefined;
  readonly departure: Departure | undefined;
  readonly arrival: Arrival | undefined;
  readonly standby: StandbyView | null;
  /** Name of this place. */
  readonly here: string;
  readonly home: PlaceRef;
  readonly overlayBytes: number;
  readonly place: (id: string) => PlaceRef;
  /** What its home or its present place says of a guest that is elsewhere. */
  readonly elsewhere: { readonly place: PlaceRef; readonly there: WhereaboutsState } | undefined;
}

export type WhereaboutsState = 'running' | 'paused' | 'stopped' | 'unknown';

export function guestView(facts: GuestFacts): GuestView {
  const { stored, ownership, home } = facts;
  const { spec } = stored;
  const { abi, network } = spec;
  const held = stored.disks.length > 0 || ownership.kind === 'here';
  return {
    id: spec.id,
    name: spec.name,
    state: guestState(facts),
    epoch: ownership.kind === 'unknown' ? 0 : ownership.epoch,
    memoryMiB: abi.memoryMiB,
    vcpus: abi.vcpus,
    accelerator: abi.accelerator,
    machine: abi.machine,
    display: displayOf(abi) ?? 'none',
    network: { hoa4: network.hoa4, hoa6Prefix: network.hoa6Prefix },
    home,
    overlay: held
      ? {
          storage: spec.overlayStorage,
          usedBytes: facts.overlayBytes,
          limitBytes: spec.overlayLimitBytes,
        }
      : null,
    // A wish for a guest that is elsewhere waits for it to come back, and is nobody's business until then.
    standby: ownership.kind === 'here' ? facts.standby : null,
    createdAt: spec.createdAt,
    notices: notices(facts),
  };
}

export function guestState(facts: GuestFacts): GuestState {
  const { stored, ownership, live, departure, arrival, busy, unresponsive } = facts;
  const since = (at: number) => new Date(at).toISOString();
  if (ownership.kind === 'in-doubt')
    return {
      kind: 'in-doubt',
      since: since(ownership.since),
      handoffId: ownership.handoffId,
      with: facts.place(ownership.peer),
      explanation: `${facts.place(ownership.peer).name} was told to take the guest over and has not answered; it stays paused here until it does`,
    };
  if (departure !== undefined)
    return {
      kind: 'moving-out',
      since: departure.since.toISOString(),
      handoffId: departure.handoffId,
      to: departure.to,
      progress: departure.progress,
    };
  if (arrival?.standby && ownership.kind === 'unknown')
    return {
      kind: 'elsewhere',
      since: arrival.since.toISOString(),
      place: arrival.from,
      there: 'running',
    };
  if (arrival !== undefined && !arrival.standby)
    return {
      kind: 'moving-in',
      since: arrival.since.toISOString(),
      handoffId: arrival.handoffId,
      from: arrival.from,
      progress: { ...idleProgress(arrival.since.getTime()), phase: 'prepare' },
    };
  if (ownership.kind === 'elsewhere')
    return {
      kind: 'elsewhere',
      since: since(ownership.since),
      place: facts.elsewhere?.place ?? facts.place(ownership.place),
      there: facts.elsewhere?.there ?? 'unknown',
    };
  if (live !== undefined) return liveState(live);
  if (unresponsive !== undefined) {
    const { pid, detail } = unresponsive;
    const at = unresponsive.since.toISOString();
    return { kind: 'paused', since: at, pid, reason: 'unresponsive', detail };
  }
  if (busy) return { kind: 'starting', since: stored.since };
  if (stored.crash !== null)
    return {
      kind: 'crashed',
      since: stored.crash.at,
      exitCode: stored.crash.code,
      signal: stored.crash.signal,
      reason: stored.crash.reason,
    };
  return { kind: 'stopped', since: stored.since };
}

function liveState(live: LiveGuest): GuestState {
  const since = live.since.toISOString();
  const { pid } = live.process.record.process;
  switch (live.phase.kind) {
    case 'starting':
      return { kind: 'starting', since };
    case 'running':
      return { kind: 'running', since, pid };
    case 'paused':
      return { kind: 'paused', since, pid, reason: live.phase.reason, detail: live.phase.detail };
    case 'incoming':
      return { kind: 'paused', since, pid, reason: 'incoming' };
    case 'stopping':
      return { kind: 'stopping', since };
  }
}

function notices(facts: GuestFacts): Notice[] {
  const { stored, live, unresponsive } = facts;
  const { spec } = stored;
  const found: Notice[] = standbyNotices(facts);
  const { architecture, accelerator } = spec.abi;
  const since = live?.since.toISOString() ?? spec.createdAt;
  if (accelerator === 'tcg')
    found.push({
      code: 'software-emulation',
      severity: 'info',
      text: 'This guest runs in software emulation, which is much slower than KVM',
      remedy: 'See "sojourn doctor" for why KVM is not used',
      since,
      showAfterMs: 0,
    });
  const verdict = migratability(architecture, accelerator, [10, 0, 0]);
  if (!verdict.migratable)
    found.push({
      code: 'not-migratable',
      severity: 'warning',
      text: verdict.obstacle,
      since: spec.createdAt,
      showAfterMs: 0,
    });
  if (unresponsive !== undefined)
    found.push({
      code: 'guest-unresponsive',
      severity: 'error',
      text: `QEMU (process ${unresponsive.pid}) of this guest runs but does not answer`,
      remedy: `Wait until it answers again, or end it with "sojourn guest stop ${spec.name} --force"`,
      since: unresponsive.since.toISOString(),
      showAfterMs: 0,
    });
  if (live?.phase.kind === 'paused')
    found.push({
      code: live.phase.reason,
      severity: 'error',
      text: `The guest is paused: ${live.phase.detail}`,
      remedy:
        live.phase.reason === 'overlay-limit'
          ? `Give it more room with "sojourn guest limit ${spec.name} SIZE"; it then goes on where it was`
          : 'Free some room on this host, then run "sojourn guest limit" with the present limit',
      since,
      showAfterMs: 0,
    });
  return found;
}

/** A problem of a standby is told when it has lasted, ms: most of them end by themselves. */
const STANDBY_PROBLEM_AFTER_MS = 20_000;

/** Of other guests copies are made every ten minutes. */
const COPY_OLD_AFTER_MS = 10 * 60_000;

function standbyNotices({ stored, ownership, standby, arrival, ...facts }: GuestFacts): Notice[] {
  const { name } = stored.spec;
  const found: Notice[] = [];
  if (ownership.kind === 'here' && standby !== null && standby.reasonCode !== undefined)
    found.push({
      code: `standby-${standby.reasonCode}`,
      severity: standby.state === 'unavailable' ? 'warning' : 'info',
      text:
        standby.state === 'armed'
          ? `${name} stands by at ${standby.place.name}, but ${standby.reason}`
          : `${name} does not stand by at ${standby.place.name}: ${standby.reason}`,
      ...(standby.remedy === undefined ? {} : { remedy: standby.remedy }),
      since: standby.since,
      showAfterMs: STANDBY_PROBLEM_AFTER_MS,
    });
  const uncopied =
    facts.live?.copiedStandingBy === false &&
    stored.spec.overlayStorage === 'memory' &&
    stored.disks.length > 0;
  if (ownership.kind === 'here' && standby?.state === 'armed' && uncopied)
    found.push({
      code: 'disk-copy-waits',
      severity: 'info',
      text: `While ${name} stands by, what it writes is in memory only; the last copy on disk is of when that began`,
      remedy: `An earlier version of Sojourn has started it: stop and start it, or hand it over once, and copies go on`,
      since: standby.since,
      showAfterMs: COPY_OLD_AFTER_MS,
    });
  if (arrival?.standby)
    found.push({
      code: 'stands-by-here',
      severity: 'info',
      text: `${name} of ${arrival.from.name} stands by here and has its memory reserved`,
      since: arrival.since.toISOString(),
      showAfterMs: 0,
    });
  const { elsewhere } = facts;
  if (ownership.kind === 'elsewhere' && elsewhere?.there === 'running')
    found.push({
      code: 'return-offered',
      severity: 'info',
      text: `${name} runs on ${elsewhere.place.name}`,
      remedy: `Bring it back with "sojourn handoff ${name} --to ${facts.here}"`,
      since: new Date(ownership.since).toISOString(),
      showAfterMs: 0,
    });
  return found;
}

export function datapathView(
  process: { pid: number; since: Date } | { reason: string },
  status: DatapathStatus | undefined,
  place: (id: string) => PlaceRef,
): DatapathView {
  if ('reason' in process) return { running: false, reason: process.reason };
  if (status === undefined) return { running: false, reason: 'it does not answer' };
  return {
    running: true,
    pid: process.pid,
    since: process.since.toISOString(),
    tap: status.tap?.name ?? null,
    tunnels: status.tunnels.map(({ peer, connected, rttMs, counters }) => ({
      peer: place(peer),
      connected,
      rttMs: rttMs ?? null,
      bytesIn: counters.rxBytes,
      bytesOut: counters.txBytes,
    })),
    drops: status.drops,
  };
}
