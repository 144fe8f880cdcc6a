/** What the source of a handoff is given, and what comes of it. */
import type { GuestSpec } from '../guest/spec.ts';
import type {
  Clock,
  LogPort,
  OwnershipJournalPort,
  SessionPort,
  SourceDatapathPort,
  SourceGuestPort,
} from './ports.ts';
import type { HandoffProgress, TimedPhase } from './progress.ts';
import type { SwitchoverTimes } from './source-attempt.ts';
import type { Reason } from './source-machine.ts';
import type { StandbySnapshot, UpkeepBudget } from './upkeep.ts';

/** Makes a handoff stand by when all has been sent once, until it is triggered. */
export interface StandbyOptions {
  /** From when it aborts on, the guest is to be handed over; before that the handoff only stands by. */
  readonly trigger: AbortSignal;
  /** What upkeep may cost; asked for every burst. */
  readonly budget: (linkBytesPerSecond: number | undefined) => UpkeepBudget;
  /** Whether the first fill has to wait, as for a network that is not metered; asked at every look. */
  readonly mayFill: () => boolean;
  /** Whether the guest shall stand by here when it has moved. */
  readonly armBack: boolean;
  /** After every burst. */
  readonly onFresh: (snapshot: StandbySnapshot) => void;
}

/** How much a handoff may cost its guest; asked at every look, so that it may change under way. */
export interface Manner {
  /** Switch over at once, however long the pause. */
  readonly urgent: boolean;
  /** Slow the guest down where it changes more than the link carries. */
  readonly slowGuest: boolean;
}

export interface SourceOptions {
  readonly handoffId: string;
  readonly spec: GuestSpec;
  /** The epoch under which the guest runs here; the destination's is one more. */
  readonly epoch: number;
  /** Place id of the destination. */
  readonly peer: string;
  /** undefined in a recovery where the guest's QEMU is gone. */
  readonly guest: SourceGuestPort | undefined;
  /** The standing session with the peer; waits for one. Rejects when there will be none, or with the signal. */
  readonly connect: (signal: AbortSignal) => Promise<SessionPort>;
  readonly datapath: SourceDatapathPort;
  readonly journal: OwnershipJournalPort;
  /** Existing private directory for the sockets of this handoff; short enough for `disk0.nbd` in a unix path. */
  readonly directory: string;
  /** Could the guest come back here? Problems are added to those of the destination. */
  readonly wayBack?: () => Promise<
    readonly { readonly message: string; readonly remedy: string }[]
  >;
  /** The guest is about to change place: resolves when nothing here uses its disks any more. Never rejects. */
  readonly releaseDisks?: () => Promise<void>;
  readonly targetPauseMs?: number;
  readonly onProgress?: (progress: HandoffProgress) => void;
  /** Cancels, up to the seal. */
  readonly signal?: AbortSignal;
  /** A person's word on a handoff in doubt. */
  readonly decision?: Promise<'keep-here' | 'give-up-here'>;
  /** From when it aborts on, the accepted pause grows until a guest that does not converge is handed over. */
  readonly insist?: AbortSignal;
  readonly standby?: StandbyOptions;
  readonly manner?: () => Manner;
  readonly now: Clock;
  readonly log: LogPort;
}

export interface HandoffResult {
  readonly handoffId: string;
  readonly outcome: 'handed-over' | 'stayed';
  /** Why it stayed. */
  readonly reason: Reason | undefined;
  /** `running`: it goes on, or is stopped for a reason of its own. `gone`: it is ours, and its QEMU has ended. */
  readonly guest: 'running' | 'gone' | 'elsewhere';
  /** Under which the guest runs now, here or there. */
  readonly epoch: number;
  readonly phases: readonly TimedPhase[];
  readonly times: SwitchoverTimes;
  /** Bytes of disk and memory on the link, after compression, without the frames of the session. */
  readonly bytesOnLink: number;
  /** Of these, from the trigger of a standby on; 0 without one. */
  readonly bytesAfterTrigger: number;
  /** Of these, from the release of the switchover on. */
  readonly bytesAfterRelease: number;
}
