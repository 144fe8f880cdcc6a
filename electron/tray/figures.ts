/**
 * Figures in a menu that is not rebuilt without need: each sample is a little different, and a menu that is rebuilt
 * while it is open closes.
 */

/** Shown time and new time may differ by this factor before the new one is shown. */
const TOLERANCE = 1.3;
/** Below this a difference does not matter to anybody, ms. */
const INDISTINCT_MS = 150;

/** The estimate to show, given the one that is shown, ms. */
export function steadyEstimate(shown: number | undefined, now: number | null): number | undefined {
  if (now === null) return undefined;
  if (shown === undefined || Math.abs(now - shown) > INDISTINCT_MS) {
    if (shown === undefined || now > shown * TOLERANCE || shown > now * TOLERANCE) return now;
  }
  return shown;
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
