/**
 * When to release the switchover: a pure function of samples. What is still to cross the link if the guest stopped
 * now is the residue; residue over measured rate is the part of the pause that the link causes.
 *
 *   residue = bytes queued before the link + (remaining pages + dirtied since QEMU's last look) * compression
 *
 * It releases when the pause is within the target. A longer one, up to what plain QEMU accepts (300 ms), is taken when
 * the residue has stopped shrinking: the longer the pause, the longer it is given the chance to shrink. Else it goes on, and says honestly when going on does not help: a
 * guest that writes faster than the link carries never converges. Then it goes on until it is cancelled, or
 * forced: `insist` lets the accepted pause grow step by step, since some pause is what the user then asked for.
 */

/** Pause for the residue that is not worth waiting to reduce, ms. */
export const TARGET_PAUSE_MS = 10;
/** Pause that a person does not notice, ms; taken after this long without progress, ms. */
const UNNOTICED_PAUSE_MS = 60;
const UNNOTICED_AFTER_MS = 400;
/** `downtime-limit` of plain QEMU, ms: the most that is accepted without being told to insist. */
export const ACCEPTED_PAUSE_MS = 300;
/** A look at the guest that is not at least this much better than the best so far is no progress. */
const PROGRESS_FACTOR = 0.8;
/** The accepted pause is taken after this long without progress, ms. */
const ACCEPTED_AFTER_MS = 1_500;
/**
 * Of a standby, which is as fresh as it gets when it is triggered: an unnoticed pause is taken at once, an accepted one when
 * somebody has waited this long, ms.
 */
const STANDBY_ACCEPTED_AFTER_MS = 200;
/** Beyond it: this long and this many passes without progress, and the verdict is "does not converge". */
export const STUCK_MS = 20_000;
export const STUCK_PASSES = 4;
/** When insisting, the accepted pause doubles this often, ms, up to the maximum, ms. */
export const INSIST_STEP_MS = 5_000;
export const INSIST_MAX_PAUSE_MS = 60_000;

export interface ResidueSample {
  /** Milliseconds, any monotonic origin. */
  readonly at: number;
  /** `ram.remaining` of query-migrate, bytes. */
  readonly remainingBytes: number;
  /** `ram.dirty-sync-count`: 1 during the bulk pass. */
  readonly passes: number;
  /** `ram.dirty-pages-rate` times page size, bytes a second. */
  readonly dirtyBytesPerSecond: number;
  /** Accepted from QEMU or the mirror, not yet acknowledged by the destination; bytes on the link. */
  readonly queuedBytes: number;
  /** Bytes on the link per byte of memory, lately; 1 when nothing compresses. */
  readonly compression: number;
  /** What the link carries, bytes a second; undefined until measured. */
  readonly bytesPerSecond: number | undefined;
}

export interface ResidueState {
  /** Of the first sample; undefined before. */
  readonly startedAt: number | undefined;
  readonly lastPasses: number;
  readonly passSince: number;
  /** What one pass left behind, over its duration; QEMU's own rate is silent for the first second. */
  readonly seenRate: number;
  readonly bestBytes: number;
  readonly bestAt: number;
  readonly bestPasses: number;
  readonly insistSince: number | undefined;
}

export interface ResidueVerdict {
  readonly action: 'wait' | 'release';
  readonly residueBytes: number;
  /** Pause the link would cause now, ms; undefined while the rate is unknown. */
  readonly pauseMs: number | undefined;
  readonly converging: boolean;
}

export const initialResidue: ResidueState = {
  startedAt: undefined,
  lastPasses: 0,
  passSince: 0,
  seenRate: 0,
  bestBytes: Number.POSITIVE_INFINITY,
  bestAt: 0,
  bestPasses: 0,
  insistSince: undefined,
};

export interface ResidueOptions {
  readonly insist: boolean;
  readonly targetMs?: number;
  /** What has to cross is small already, and somebody waits. */
  readonly standby?: boolean;
  /** Whatever the pause. */
  readonly urgent?: boolean;
}

export function judgeResidue(
  state: ResidueState,
  sample: ResidueSample,
  options: ResidueOptions,
): { readonly state: ResidueState; readonly verdict: ResidueVerdict } {
  const newPass = sample.passes !== state.lastPasses;
  const passSince = newPass ? sample.at : state.passSince;
  const onePass = sample.passes === state.lastPasses + 1 && state.lastPasses > 0;
  const passMs = Math.max(1, sample.at - state.passSince);
  const seenRate = onePass ? (sample.remainingBytes * 1000) / passMs : state.seenRate;
  const dirtyRate = Math.max(sample.dirtyBytesPerSecond, seenRate);
  const dirtied = (dirtyRate * (sample.at - passSince)) / 1000;
  const residueBytes = Math.round(
    sample.queuedBytes + (sample.remainingBytes + dirtied) * sample.compression,
  );
  const pauseMs =
    sample.bytesPerSecond === undefined || sample.bytesPerSecond <= 0
      ? undefined
      : (residueBytes / sample.bytesPerSecond) * 1000;

  // Looks are compared only once the bulk is over: during it the residue shrinks by itself.
  const bulk = sample.passes < 2;
  const progress = bulk || residueBytes < state.bestBytes * PROGRESS_FACTOR;
  const bestBytes = bulk ? Number.POSITIVE_INFINITY : Math.min(residueBytes, state.bestBytes);
  const bestAt = progress ? sample.at : state.bestAt;
  const bestPasses = progress ? sample.passes : state.bestPasses;
  const insistSince = options.insist ? (state.insistSince ?? sample.at) : undefined;

  const startedAt = state.startedAt ?? sample.at;
  const stuckFor = sample.at - bestAt;
  const waited = options.standby ? sample.at - startedAt : stuckFor;
  const acceptable = acceptedPause(insistSince === undefined ? undefined : sample.at - insistSince);
  const small = pauseMs !== undefined && pauseMs <= (options.targetMs ?? TARGET_PAUSE_MS);
  const [unnoticedAfter, acceptedAfter] = options.standby
    ? [0, STANDBY_ACCEPTED_AFTER_MS]
    : [UNNOTICED_AFTER_MS, ACCEPTED_AFTER_MS];
  const settled =
    pauseMs !== undefined &&
    ((pauseMs <= UNNOTICED_PAUSE_MS && waited >= unnoticedAfter) ||
      (pauseMs <= acceptable && (waited >= acceptedAfter || insistSince !== undefined)));
  const stuck = stuckFor >= STUCK_MS && sample.passes - bestPasses >= STUCK_PASSES;
  return {
    state: {
      startedAt,
      lastPasses: sample.passes,
      passSince,
      seenRate,
      bestBytes,
      bestAt,
      bestPasses,
      insistSince,
    },
    verdict: {
      action: !bulk && (small || settled || options.urgent) ? 'release' : 'wait',
      residueBytes,
      pauseMs,
      converging: !stuck,
    },
  };
}

/** `insistingMs`: for how long the user has insisted; undefined when not at all. */
function acceptedPause(insistingMs: number | undefined): number {
  if (insistingMs === undefined) return ACCEPTED_PAUSE_MS;
  const doublings = 1 + Math.floor(insistingMs / INSIST_STEP_MS);
  return Math.min(ACCEPTED_PAUSE_MS * 2 ** doublings, INSIST_MAX_PAUSE_MS);
}
