/** Recordings as the evaluation sees them: connected time, outages, capacity. */
import type { Trace, TraceRow } from '../../../src/link/index.ts';
import { type Band, bandOf } from '../../../src/link/index.ts';

/** A loss counts from this long on. */
export const OUTAGE_MS = 5000;

export interface Outage {
  readonly startMs: number;
  readonly endMs: number;
}

export interface Session {
  /** Recordings of one kind: the folder's or the format's name. */
  readonly set: string;
  readonly id: string;
  /** Folds of cross-validation never split one of these. */
  readonly group: string;
  readonly band: Band;
  readonly rows: readonly TraceRow[];
  readonly outages: readonly Outage[];
  readonly endMs: number;
  readonly connectedMs: number;
  /** `bytes[i]` were carried before `rows[i]`; one more entry for the end. */
  readonly bytes: Float64Array;
}

const endOf = (row: TraceRow) => row.startMs + row.durationMs;

/** A recording of several links is paused while all of them are silent for this long. */
const PAUSE_MS = 60_000;

/** Times at which no link of a recording had frames. A recording of one link has none: its silence is its own. */
export function pausesOf(traces: readonly Trace[]): Outage[] {
  if (traces.length < 2) return [];
  const all = traces.map(({ rows }) => silencesOf(rows));
  const common = all.reduce((left, right) =>
    left.flatMap((a) =>
      right
        .map((b) => ({
          startMs: Math.max(a.startMs, b.startMs),
          endMs: Math.min(a.endMs, b.endMs),
        }))
        .filter(({ startMs, endMs }) => endMs > startMs),
    ),
  );
  return common.filter(({ startMs, endMs }) => endMs - startMs >= PAUSE_MS);
}

export interface Cut {
  readonly atMs: number;
  readonly why: 'the sender was off' | 'the recording was paused';
}

/**
 * Cuts a trace where silence does not show a loss: it begins while the sender is off or is switched off, or it lasts until the whole
 * recording was paused, so that nobody knows whether the link would have come back. What is left are several sessions. Without `pauses`
 * nothing is cut: every silence counts.
 */
export function sessionsOf(
  set: string,
  trace: Trace,
  pauses: readonly Outage[] | undefined,
): { sessions: Session[]; cuts: Cut[] } {
  const pieces: TraceRow[][] = [[]];
  const cuts: Cut[] = [];
  const { rows } = trace;
  for (let from = 0; from < rows.length; ) {
    let to = from + 1;
    while (rows[to]?.sample.connected === rows[from]?.sample.connected && to < rows.length) to++;
    const run = rows.slice(from, to);
    const [first, last] = [run[0] as TraceRow, run.at(-1) as TraceRow];
    const long = !first.sample.connected && endOf(last) - first.startMs >= OUTAGE_MS;
    const idle = rows
      .slice(Math.max(from - 1, 0), from + 2)
      .some(({ offered }) => offered === false);
    const paused = pauses?.some(
      ({ startMs, endMs }) => startMs >= first.startMs && endMs <= endOf(last),
    );
    if (pauses !== undefined && long && (idle || paused)) {
      cuts.push({
        atMs: first.startMs,
        why: idle ? 'the sender was off' : 'the recording was paused',
      });
      pieces.push([]);
    } else pieces.at(-1)?.push(...run);
    from = to;
  }
  const sessions = pieces
    .filter((piece) => piece.some(({ sample }) => sample.connected))
    .map((piece, index) => sessionOf(set, trace.id, index, piece));
  return { sessions, cuts };
}

export function sessionOf(
  set: string,
  group: string,
  index: number,
  rows: readonly TraceRow[],
): Session {
  const bytes = new Float64Array(rows.length + 1);
  let connectedMs = 0;
  for (const [i, row] of rows.entries()) {
    bytes[i + 1] = (bytes[i] ?? 0) + (row.capacityBytes ?? 0);
    if (row.sample.connected) connectedMs += row.durationMs;
  }
  return {
    set,
    id: index === 0 ? group : `${group}/${index + 1}`,
    group,
    band: commonBand(rows),
    rows,
    outages: outagesOf(rows),
    endMs: endOf(rows.at(-1) as TraceRow),
    connectedMs,
    bytes,
  };
}

function silencesOf(rows: readonly TraceRow[]): Outage[] {
  const silences: { startMs: number; endMs: number }[] = [];
  let silent = false;
  for (const row of rows) {
    const last = silences.at(-1);
    if (row.sample.connected) silent = false;
    else if (silent && last !== undefined) last.endMs = endOf(row);
    else {
      silences.push({ startMs: row.startMs, endMs: endOf(row) });
      silent = true;
    }
  }
  return silences;
}

/** A recording that begins in silence shows no loss there. */
function outagesOf(rows: readonly TraceRow[]): Outage[] {
  const beginMs = rows[0]?.startMs ?? 0;
  return silencesOf(rows).filter(
    ({ startMs, endMs }) => startMs > beginMs && endMs - startMs >= OUTAGE_MS,
  );
}

function commonBand(rows: readonly TraceRow[]): Band {
  const seen = new Map<Band, number>();
  for (const { sample } of rows) {
    const band = bandOf(sample.frequencyMhz);
    if (band !== undefined) seen.set(band, (seen.get(band) ?? 0) + 1);
  }
  return [...seen].sort(([, a], [, b]) => b - a)[0]?.[0] ?? '5';
}

/** When `bytes` that begin to be sent at `fromMs` are across; infinite when the session ends before. */
export function deliveredAtMs(session: Session, fromMs: number, bytes: number): number {
  const { rows, bytes: before } = session;
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(rows[middle] as TraceRow) <= fromMs) low = middle + 1;
    else high = middle;
  }
  const first = rows[low];
  if (first === undefined) return Number.POSITIVE_INFINITY;
  const inFirst = Math.max(fromMs - first.startMs, 0) / (first.durationMs || 1);
  const target = (before[low] as number) + inFirst * (first.capacityBytes ?? 0) + bytes;
  if ((before[rows.length] as number) < target) return Number.POSITIVE_INFINITY;
  let end = low;
  let top = rows.length - 1;
  while (end < top) {
    const middle = (end + top) >> 1;
    if ((before[middle + 1] as number) >= target) top = middle;
    else end = middle + 1;
  }
  const row = rows[end] as TraceRow;
  const share = (target - (before[end] as number)) / (row.capacityBytes || 1);
  return Math.max(row.startMs + share * row.durationMs, fromMs);
}
