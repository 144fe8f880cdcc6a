/** One handoff of a guest from here, on its way or standing by. */
import type { HandoffProgress as ApiProgress, PlaceRef } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type {
  HandoffResult,
  Manner,
  StandbyOptions,
  StandbySnapshot,
} from '../../handoff/index.ts';
import { idleProgress } from './departure-report.ts';

/** Phases of a handoff in which its guest runs here whatever happens. */
export const CALM: ReadonlySet<ApiProgress['phase']> = new Set([
  'preflight',
  'prepare',
  'disk',
  'memory',
  'armed',
]);

export interface Departure {
  readonly guestId: string;
  readonly handoffId: string;
  readonly to: PlaceRef;
  readonly since: Date;
  progress: ApiProgress;
  readonly cancel: AbortController;
  /** What a person decides when the other place does not answer. */
  readonly decision: PromiseWithResolvers<'keep-here' | 'give-up-here'>;
  /** Resolves when it is settled where the guest is. */
  readonly settled: PromiseWithResolvers<void>;
  /** Present while it stands by, and when it has stood by before it was triggered. */
  readonly standby: Standing | undefined;
  /** Rejects with why the guest stayed; undefined in a recovery. */
  outcome: Promise<HandoffResult> | undefined;
  onProgress: (progress: ApiProgress) => void;
  manner: Manner;
}

/** A departure that waits for its trigger. */
export interface Standing {
  readonly trigger: AbortController;
  triggeredAt: number | undefined;
  /** It was armed when it was triggered. */
  armed: boolean;
}

export interface StandbyRequest {
  readonly bothWays: boolean;
  readonly budget: StandbyOptions['budget'];
  readonly mayFill: () => boolean;
  readonly onFresh: (snapshot: StandbySnapshot) => void;
  readonly onProgress: (progress: ApiProgress) => void;
}

export const CALMLY: Manner = { urgent: false, slowGuest: false };

export function newDeparture(
  spec: GuestSpec,
  handoffId: string,
  to: PlaceRef,
  standby?: Standing,
): Departure {
  const since = new Date();
  return {
    guestId: spec.id,
    handoffId,
    to,
    since,
    progress: idleProgress(since.getTime()),
    cancel: new AbortController(),
    decision: Promise.withResolvers(),
    settled: Promise.withResolvers(),
    standby,
    outcome: undefined,
    onProgress: () => undefined,
    manner: CALMLY,
  };
}

export function isMoving({ standby }: Departure): boolean {
  return standby === undefined || standby.triggeredAt !== undefined;
}

export function underWay(spec: GuestSpec): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'handoff-under-way',
    message: `A handoff of ${spec.name} is under way already`,
    remedy: `Wait until it has ended, or cancel it with "sojourn handoff ${spec.name} --cancel"`,
  });
}
