/** What a departure tells: its progress, its result, and why a guest stayed. */
import type { HandoffProgress as ApiProgress, PlaceRef } from '../../api/index.ts';
import { asClause, SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { HandoffProgress, HandoffResult } from '../../handoff/index.ts';
import type { HandoffSummary } from '../places/peer-messages.ts';
import { namingOther } from '../places/place-errors.ts';

/** Codes of reasons that lie in the connection, not in one of the two places. */
const LINK_FAILURES: ReadonlySet<string> = new Set([
  'peer-silent',
  'peer-timeout',
  'peer-unreachable',
  'session-closed',
  'session-expired',
  'session-lost',
]);

/** Before anything has happened. */
export function idleProgress(startedAtMs: number): ApiProgress {
  return {
    phase: 'preflight',
    startedAtMs,
    bytesDone: 0,
    bytesTotal: null,
    bytesPerSecond: null,
    etaMs: null,
    residueBytes: null,
  };
}

export function toApiProgress(progress: HandoffProgress, before: ApiProgress): ApiProgress {
  return {
    phase: progress.phase,
    startedAtMs: progress.phase === before.phase ? before.startedAtMs : Date.now(),
    bytesDone: progress.bytesDone,
    bytesTotal: progress.bytesTotal === 0 ? null : progress.bytesTotal,
    bytesPerSecond: progress.bytesPerSecond === 0 ? null : progress.bytesPerSecond,
    etaMs: progress.etaMs,
    residueBytes: progress.residueBytes,
    ...(progress.notice === null ? {} : { note: progress.notice }),
  };
}

/** `trigger`: when it was asked for, ms since 1970; what a standby did before it does not count. */
export function summarize(
  result: HandoffResult,
  { trigger, armed }: { readonly trigger: number; readonly armed: boolean },
): HandoffSummary {
  const { times } = result;
  const phases = result.phases.flatMap((phase) =>
    (phase.endedAt ?? trigger) < trigger
      ? []
      : [{ ...phase, startedAt: Math.max(phase.startedAt, trigger) }],
  );
  const end = phases.at(-1)?.endedAt ?? Date.now();
  // The destination's clock may differ: its word on when the guest ran is bounded by our own times around it.
  const runningAt = Math.min(
    Math.max(times.runningAt ?? end, times.sealedAt ?? trigger),
    times.answeredAt ?? end,
  );
  return {
    handoffId: result.handoffId,
    kind: armed ? 'armed' : 'cold',
    triggerToRunningMs: Math.max(0, runningAt - trigger),
    pauseMs: Math.max(0, runningAt - (times.stoppedAt ?? runningAt)),
    bytesOnLink: armed ? result.bytesAfterTrigger : result.bytesOnLink,
    epoch: result.epoch,
    phases: phases.map(({ name, startedAt, endedAt }) => ({
      name,
      ms: Math.max(0, (endedAt ?? end) - startedAt),
    })),
  };
}

/** Why a guest was not handed over. */
export function stayed(spec: GuestSpec, to: PlaceRef, result: HandoffResult): SojournError {
  const { reason } = result;
  const where =
    result.guest === 'gone'
      ? 'it is still here, but its QEMU has ended'
      : 'it goes on here as if nothing had happened';
  const cancelled = reason?.code === 'handoff-cancelled';
  const linkFailed = LINK_FAILURES.has(reason?.code ?? '');
  const why = asClause(namingOther(reason?.message ?? 'it failed', to.name));
  return new SojournError({
    kind: cancelled ? 'cancelled' : linkFailed ? 'unreachable' : 'requirement',
    code: reason?.code ?? 'handoff-failed',
    message: `${spec.name} was not handed to ${to.name}: ${why}; ${where}`,
    ...(cancelled
      ? {}
      : {
          remedy:
            reason?.remedy ?? 'Mend the cause and try again; "sojourn doctor" helps to find it',
        }),
  });
}

export function notHere(spec: GuestSpec): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'guest-elsewhere',
    message: `${spec.name} is not at this place`,
    remedy: `See "sojourn guest show ${spec.name}" for where it is`,
  });
}

export function notRunning(spec: GuestSpec): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'not-running',
    message: `${spec.name} is not running, and only a running guest can be handed over`,
    remedy: `Start it with "sojourn guest start ${spec.name}"`,
  });
}
