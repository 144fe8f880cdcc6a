/**
 * The handoffs that this window has seen, put together from snapshots of the status and from results. Pure: every
 * function returns a new log. What was not seen is null.
 */
import type {
  GuestView,
  HandoffPhase,
  HandoffProgress,
  HandoffResult,
  Status,
  WireError,
} from '../../api/schema.ts';

export interface SeenPhase {
  readonly name: HandoffPhase;
  readonly startedAtMs: number;
  /** Null while it lasts. */
  readonly ms: number | null;
  readonly bytesDone: number;
  readonly bytesTotal: number | null;
}

export interface SeenHandoff {
  readonly id: string;
  readonly guest: { readonly id: string; readonly name: string };
  readonly from: string;
  readonly to: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** `stayed`: the guest went on where it was. */
  readonly outcome: 'running' | 'moved' | 'stayed';
  readonly phases: readonly SeenPhase[];
  readonly residueBytes: number | null;
  readonly bytesPerSecond: number | null;
  readonly etaMs: number | null;
  readonly note: string | null;
  readonly kind: 'cold' | 'armed' | null;
  readonly triggerToRunningMs: number | null;
  readonly pauseMs: number | null;
  readonly bytesOnLink: number | null;
  readonly error: WireError | null;
}

/** Newest first. */
export type HandoffLog = readonly SeenHandoff[];

/** The oldest are forgotten above this. */
const MAX_HANDOFFS = 50;

export function observe(log: HandoffLog, status: Status): HandoffLog {
  const self = status.agent.place.name;
  const nowMs = Date.parse(status.at);
  const moving = status.guests.flatMap((guest) => {
    const seen = movingOf(guest, self);
    return seen === undefined ? [] : [seen];
  });
  let next = log;
  for (const seen of moving) {
    const known = next.find(({ id }) => id === seen.id);
    next = known === undefined ? [seen.first, ...next] : put(next, progressed(known, seen));
  }
  const ids = new Set(moving.map(({ id }) => id));
  for (const gone of next.filter(({ id, outcome }) => outcome === 'running' && !ids.has(id))) {
    const guest = status.guests.find(({ id }) => id === gone.guest.id);
    next = put(next, {
      ...gone,
      phases: closed(gone.phases, nowMs),
      endedAtMs: nowMs,
      outcome: isWhereItWent(guest, gone.to, self) ? 'moved' : 'stayed',
    });
  }
  return next.slice(0, MAX_HANDOFFS);
}

/** What the one who asked for the handoff was told at its end. */
export function complete(log: HandoffLog, result: HandoffResult, nowMs: number): HandoffLog {
  const known = log.find(({ id }) => id === result.handoffId);
  const startedAtMs = known?.startedAtMs ?? nowMs - result.triggerToRunningMs;
  let at = startedAtMs;
  const phases = result.phases.map(({ name, ms }): SeenPhase => {
    const seen = known?.phases.find((phase) => phase.name === name);
    const startedAtPhase = at;
    at += ms;
    return {
      name,
      ms,
      startedAtMs: startedAtPhase,
      bytesDone: seen?.bytesDone ?? 0,
      bytesTotal: seen?.bytesTotal ?? null,
    };
  });
  const finished: SeenHandoff = {
    ...empty,
    ...known,
    id: result.handoffId,
    guest: result.guest,
    from: result.from.name,
    to: result.to.name,
    startedAtMs,
    endedAtMs: known?.endedAtMs ?? nowMs,
    outcome: 'moved',
    phases,
    kind: result.kind,
    triggerToRunningMs: result.triggerToRunningMs,
    pauseMs: result.pauseMs,
    bytesOnLink: result.bytesOnLink,
  };
  return (known === undefined ? [finished, ...log] : put(log, finished)).slice(0, MAX_HANDOFFS);
}

/** Joins an error to the newest handoff of the guest, if it did not end well. */
export function fail(log: HandoffLog, guestId: string, error: WireError): HandoffLog {
  const last = log.find(({ guest }) => guest.id === guestId);
  if (last === undefined || last.outcome === 'moved') return log;
  return put(log, { ...last, error });
}

const empty = {
  phases: [],
  residueBytes: null,
  bytesPerSecond: null,
  etaMs: null,
  note: null,
  kind: null,
  triggerToRunningMs: null,
  pauseMs: null,
  bytesOnLink: null,
  error: null,
} as const;

interface Moving {
  readonly id: string;
  readonly progress: HandoffProgress;
  readonly first: SeenHandoff;
}

function movingOf({ id: guestId, name, state }: GuestView, self: string): Moving | undefined {
  if (state.kind !== 'moving-out' && state.kind !== 'moving-in') return undefined;
  const { handoffId, progress, since } = state;
  const first: SeenHandoff = {
    ...empty,
    id: handoffId,
    guest: { id: guestId, name },
    from: state.kind === 'moving-in' ? state.from.name : self,
    to: state.kind === 'moving-in' ? self : state.to.name,
    startedAtMs: Date.parse(since),
    endedAtMs: null,
    outcome: 'running',
  };
  return { id: handoffId, progress, first: progressed(first, { progress }) };
}

function progressed(
  known: SeenHandoff,
  { progress }: { readonly progress: HandoffProgress },
): SeenHandoff {
  const { phase, startedAtMs, bytesDone, bytesTotal } = progress;
  const last = known.phases.at(-1);
  const current: SeenPhase = { name: phase, startedAtMs, ms: null, bytesDone, bytesTotal };
  const before = last?.name === phase ? known.phases.slice(0, -1) : known.phases;
  return {
    ...known,
    endedAtMs: null,
    outcome: 'running',
    phases: [...closed(before, startedAtMs), current],
    residueBytes: progress.residueBytes,
    bytesPerSecond: progress.bytesPerSecond,
    etaMs: progress.etaMs,
    note: progress.note ?? null,
  };
}

function closed(phases: readonly SeenPhase[], atMs: number): SeenPhase[] {
  return phases.map((phase) =>
    phase.ms === null ? { ...phase, ms: Math.max(0, atMs - phase.startedAtMs) } : phase,
  );
}

function isWhereItWent(guest: GuestView | undefined, to: string, self: string): boolean {
  if (guest === undefined) return false;
  const { state } = guest;
  if (state.kind === 'elsewhere') return state.place.name === to;
  return to === self && (state.kind === 'running' || state.kind === 'paused');
}

function put(log: HandoffLog, changed: SeenHandoff): HandoffLog {
  return log.map((one) => (one.id === changed.id ? changed : one));
}
