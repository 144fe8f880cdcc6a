/**
 * Hours at a desk, made from minutes: blocks of the residuals of stationary good spots, put together at random around each spot's own
 * level (moving-block bootstrap, Kuensch 1989). Blocks keep what follows each other together: fades, changes of rate, idle seconds.
 */
import type { TraceRow } from '../../../src/link/index.ts';
import { type Group, isGoodSpot } from './data.ts';
import { generator } from './fit.ts';
import { type Session, sessionOf } from './sessions.ts';

const BLOCK_ROWS = 20;
const HOURS = 12;

export function deskGroups(groups: readonly Group[], seed = 7): Group[] {
  const spots = groups.flatMap(({ sessions }) => sessions).filter(isGoodSpot);
  const random = generator(seed);
  return spots.map((spot) => {
    const sources = spots.filter(({ set, band }) => set === spot.set && band === spot.band);
    const rows = longer(spot, sources, (HOURS * 3_600_000) / spots.length, random);
    return { id: `desk of ${spot.id}`, sessions: [sessionOf(spot.set, spot.id, 0, rows)] };
  });
}

function longer(
  spot: Session,
  sources: readonly Session[],
  durationMs: number,
  random: () => number,
): TraceRow[] {
  const own = medianDbm(spot);
  const rows: TraceRow[] = [];
  let rxBytes = 0;
  let startMs = 0;
  while (startMs < durationMs) {
    const source = sources[Math.floor(random() * sources.length)] ?? spot;
    const shift = own - medianDbm(source);
    const from = 1 + Math.floor(random() * (source.rows.length - BLOCK_ROWS - 1));
    for (let i = from; i < from + BLOCK_ROWS; i++) {
      const row = source.rows[i] as TraceRow;
      const before = source.rows[i - 1]?.sample.rxBytes;
      const now = row.sample.rxBytes;
      if (before !== undefined && now !== undefined) rxBytes += Math.max(now - before, 0);
      rows.push({
        ...row,
        startMs,
        sample: {
          ...row.sample,
          atMs: startMs + (row.sample.atMs - row.startMs),
          signalDbm: (row.sample.signalDbm ?? own) + shift,
          bssid: spot.rows[0]?.sample.bssid ?? 'ap',
          frequencyMhz: spot.rows[0]?.sample.frequencyMhz ?? 5180,
          ...(now === undefined ? {} : { rxBytes }),
        },
      });
      startMs += row.durationMs;
    }
  }
  return rows;
}

function medianDbm({ rows }: Session): number {
  const levels = rows.map(({ sample }) => sample.signalDbm ?? -100).sort((a, b) => a - b);
  return levels[levels.length >> 1] ?? -100;
}
