import { loadTraces } from '../../../src/link/index.ts';
import { type Cut, pausesOf, type Session, sessionsOf } from './sessions.ts';

/** What one device saw of one link, in its order: what is learned in one session helps in the next. */
export interface Group {
  readonly id: string;
  readonly sessions: readonly Session[];
}

export interface Data {
  readonly groups: readonly Group[];
  readonly cuts: readonly (Cut & { readonly trace: string })[];
}

/**
 * Every recording below a folder; a set is named for its folder, or for its format. `everySilence`: also those are losses that the
 * recording itself explains (see `sessionsOf`).
 */
export async function loadData(folder: string, everySilence = false): Promise<Data> {
  const groups: Group[] = [];
  const cuts: (Cut & { trace: string })[] = [];
  for (const traces of Map.groupBy(await loadTraces(folder), ({ file }) => file).values()) {
    const pauses = pausesOf(traces);
    for (const trace of traces) {
      const set = trace.file.includes('/') ? (trace.file.split('/')[0] as string) : trace.format;
      const found = sessionsOf(set, trace, everySilence ? undefined : pauses);
      cuts.push(...found.cuts.map((cut) => ({ trace: trace.id, ...cut })));
      if (found.sessions.length > 0) groups.push({ id: trace.id, sessions: found.sessions });
    }
  }
  return { groups, cuts };
}

/** Nothing lost, and a signal that nobody would complain about: what a desk is like. */
const GOOD_DBM = -70;

/** Shorter ones show nothing. */
const GOOD_MS = 120_000;

export function isGoodSpot(session: Session): boolean {
  if (session.connectedMs < GOOD_MS) return false;
  if (session.outages.length > 0 || session.rows.some(({ sample }) => !sample.connected))
    return false;
  const levels = session.rows.map(({ sample }) => sample.signalDbm ?? -200).sort((a, b) => a - b);
  const median = levels[levels.length >> 1] ?? -200;
  const [low, high] = [0.1, 0.9].map((share) => levels[Math.floor(share * levels.length)] ?? 0);
  return median >= GOOD_DBM && (high as number) - (low as number) <= 10;
}
