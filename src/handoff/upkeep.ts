/**
 * How a standby is kept fresh, and what it is worth: pure functions of figures. Upkeep goes by bursts: QEMU makes a pass
 * over what the guest has changed, all of it crosses the link, then nobody reads from QEMU until the next burst. QEMU's
 * migration thread waits in its write meanwhile, which costs neither the guest nor a processor anything.
 */

import { ACCEPTED_PAUSE_MS } from './residue.ts';

/** What keeping one guest fresh may cost. */
export interface UpkeepBudget {
  /** On the link after compression, bytes a second, on average. */
  readonly bytesPerSecond: number;
  /** Between two bursts, ms: the longer one where nothing calls for more, as with an idle guest. */
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  /** A burst ends here, bytes on the link: a guest that never has all sent gets its turn again later. */
  readonly burstBytes: number;
}

export interface UpkeepConditions {
  readonly onBattery: boolean;
  readonly metered: boolean;
  /** What the link carries, bytes a second; undefined while unknown. */
  readonly linkBytesPerSecond: number | undefined;
  /** Standbys that share the link, this one included. */
  readonly standbys: number;
  /** The link is about to be lost: a small residue matters more than what it costs. */
  readonly tight?: boolean;
}

/** A standby never gets less than this, bytes a second: what an idle guest needs, twice over. */
const MIN_BYTES_PER_SECOND = 24 * 1024;
/** While the link is about to be lost, ms. */
const TIGHT_INTERVAL_MS = 500;
/** While nothing is known of the link, bytes a second for all. */
const UNKNOWN_LINK = 128 * 1024;

/**
 * What is left of the link has to do for the guest and its user: a standby takes seven tenths at the most, and less where it is paid for. On
 * battery bursts are rarer, so that the radio sleeps between them.
 */
export function upkeepBudget(conditions: UpkeepConditions): UpkeepBudget {
  const { onBattery, metered, linkBytesPerSecond, standbys, tight = false } = conditions;
  const share = tight ? 0.8 : metered ? 0.1 : onBattery ? 0.25 : 0.7;
  const all = (linkBytesPerSecond ?? UNKNOWN_LINK) * share;
  const bytesPerSecond = Math.max(MIN_BYTES_PER_SECOND, all / Math.max(1, standbys));
  const sparing = (onBattery || metered) && !tight;
  const [minIntervalMs, longestMs] = sparing ? [1_000, 5_000] : [100, 1_500];
  const maxIntervalMs = tight ? TIGHT_INTERVAL_MS : longestMs;
  return {
    bytesPerSecond,
    minIntervalMs,
    maxIntervalMs,
    burstBytes: Math.round(bytesPerSecond * Math.max(1, (2 * maxIntervalMs) / 1000)),
  };
}

/** Residue that the link carries in this time is not worth a burst of its own, ms. */
const WORTHWHILE_MS = 45;

export interface BurstFigures {
  /** What the last burst put on the link, bytes, and how long it lasted, ms. */
  readonly bytes: number;
  readonly tookMs: number;
  /** What the guest changes, on the link, bytes a second. */
  readonly dirtyOnLink: number;
  readonly linkBytesPerSecond: number | undefined;
}

/** Pause until the next burst, ms. Never so short that the budget would be overdrawn. */
export function pauseBeforeBurst(budget: UpkeepBudget, figures: BurstFigures): number {
  const { bytes, tookMs, dirtyOnLink, linkBytesPerSecond } = figures;
  const { minIntervalMs, maxIntervalMs, bytesPerSecond } = budget;
  const worthwhile = ((linkBytesPerSecond ?? bytesPerSecond) * WORTHWHILE_MS) / 1000;
  const wanted = dirtyOnLink > 0 ? (worthwhile / dirtyOnLink) * 1000 : maxIntervalMs;
  const paid = (bytes / bytesPerSecond) * 1000 - tookMs;
  return Math.max(Math.min(Math.max(wanted, minIntervalMs), maxIntervalMs), paid);
}

/** What is known of a standby at the end of a burst. */
export interface StandbySnapshot {
  /** When this was so, and up to when the destination has everything that the guest did, ms since 1970. */
  readonly at: number;
  readonly freshAt: number;
  /** Memory that was still to be sent then, and what is on its way or waits of the disks, bytes. */
  readonly remainingBytes: number;
  readonly backlogBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** Bytes on the link per byte of memory. */
  readonly compression: number;
  readonly upkeepBytesPerSecond: number;
  readonly linkBytesPerSecond: number | undefined;
  readonly rttMs: number | undefined;
}

export interface StandbyFigures {
  readonly residueBytes: number;
  readonly residueBytesOnLink: number;
  readonly dirtyBytesPerSecond: number;
  readonly freshMs: number;
  readonly upkeepBytesPerSecond: number;
  /** False where it changes more than the link carries: then the estimate is nearly all pause. */
  readonly converges: boolean;
  /** null while the link is not measured. */
  readonly estimateMs: number | null;
}

/** Beside the link: the look at the residue, the stop, both QEMUs' work on the device state, two records on disk; ms. */
const WORK_MS = 90;
/** Device state of a small guest, bytes on the link. */
const STATE_BYTES = 16 * 1024;
/** Round trips: the residue there, `loaded` back, the seal there; and half a one that a cold queue costs. */
const ROUND_TRIPS = 2;

/** How things stand at `now`, ms since 1970. `totalBytes`: the guest's memory, more than which cannot have changed. */
export function standbyFigures(
  snapshot: StandbySnapshot,
  now: number,
  totalBytes: number,
): StandbyFigures {
  const { at, freshAt, remainingBytes, backlogBytes, dirtyBytesPerSecond, compression } = snapshot;
  const { linkBytesPerSecond, rttMs, upkeepBytesPerSecond } = snapshot;
  const freshMs = Math.max(0, now - freshAt);
  const dirtied = (dirtyBytesPerSecond * Math.max(0, now - at)) / 1000;
  const memory = Math.min(totalBytes, remainingBytes + dirtied);
  const residueBytesOnLink = Math.round(memory * compression + backlogBytes);
  const figures = {
    residueBytes: Math.round(memory + backlogBytes),
    residueBytesOnLink,
    dirtyBytesPerSecond,
    freshMs,
    upkeepBytesPerSecond,
  };
  if (linkBytesPerSecond === undefined || linkBytesPerSecond <= 0)
    return { ...figures, converges: true, estimateMs: null };
  const rate = linkBytesPerSecond;
  const spare = rate - dirtyBytesPerSecond * compression;
  const inPause = Math.min(residueBytesOnLink, (rate * ACCEPTED_PAUSE_MS) / 1000);
  const before = residueBytesOnLink - inPause;
  const converges = before === 0 || spare > 0;
  // One that does not converge is handed over by a pause as long as it takes, if that is wanted.
  const seconds = before / (converges ? Math.max(spare, 1) : rate) + (inPause + STATE_BYTES) / rate;
  const estimateMs = Math.round(seconds * 1000 + ROUND_TRIPS * (rttMs ?? 0) + WORK_MS);
  return { ...figures, converges, estimateMs };
}
