/**
 * Figures in a menu that is not rebuilt without need: each sample is a little different, and a menu that is rebuilt
 * while it is open closes.
 */

export interface ShownEstimate {
  readonly ms: number;
  /** Since when it is shown. */
  readonly sinceMs: number;
}

/** A new time is shown when it differs by this factor, */
const TOLERANCE = 1.3;
/** and by this much, ms, */
const INDISTINCT_MS = 150;
/** and the old one has been shown this long, ms; */
const SHOWN_MS = 15_000;
/** or at once when it is this much worse. */
const ALARMING = 3;

/** The estimate to show, given the one that is shown; undefined when nothing honest can be said. */
export function steadyEstimate(
  shown: ShownEstimate | undefined,
  ms: number | null,
  nowMs: number,
): ShownEstimate | undefined {
  if (ms === null) return undefined;
  const fresh = { ms, sinceMs: nowMs };
  if (shown === undefined) return fresh;
  const differs =
    Math.abs(ms - shown.ms) > INDISTINCT_MS &&
    (ms > shown.ms * TOLERANCE || shown.ms > ms * TOLERANCE);
  if (!differs) return shown;
  return nowMs - shown.sinceMs >= SHOWN_MS || ms > shown.ms * ALARMING ? fresh : shown;
}

/** In steps of ten, since a fill takes minutes. */
export function coarsePercent(percent: number | null): number | null {
  return percent === null ? null : Math.floor(percent / 10) * 10;
}

export type LinkQuality = 'good' | 'slow' | 'verySlow' | 'known' | 'lost';

const SLOW_MS = 150;
const VERY_SLOW_MS = 500;

export function linkQuality(connected: boolean, rttMs: number | null): LinkQuality {
  if (!connected) return 'lost';
  if (rttMs === null) return 'known';
  return rttMs < SLOW_MS ? 'good' : rttMs < VERY_SLOW_MS ? 'slow' : 'verySlow';
}
