import type { LinkSample } from '../sample.ts';

/** One row of a recording. It says what was known at `sample.atMs`, and what the link was like from `startMs` on. */
export interface TraceRow {
  readonly sample: LinkSample;
  /** On the clock of `sample.atMs`, which is later where the row is a mean. */
  readonly startMs: number;
  readonly durationMs: number;
  /** What the link carried or could have carried in it, bytes; only recordings with traffic know it. */
  readonly capacityBytes?: number;
  /** Whether somebody sent: silence without a sender says nothing about the link. Absent: unknown. */
  readonly offered?: boolean;
}

export type TraceFormat = 'vehicles' | 'iw-dumps' | 'sojourn';

/** What one device saw of one link, in the order of time and without long holes. */
export interface Trace {
  readonly id: string;
  readonly format: TraceFormat;
  readonly rows: readonly TraceRow[];
}

/** A hole in a recording that is longer than this begins another trace. */
export const LONGEST_HOLE_MS = 10_000;

/** Traces from rows in the order of time; `id` gets `#2`, `#3`... where a hole begins another. */
export function splitAtHoles(id: string, format: TraceFormat, rows: readonly TraceRow[]): Trace[] {
  const traces: { id: string; format: TraceFormat; rows: TraceRow[] }[] = [];
  let endMs = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    if (row.startMs - endMs > LONGEST_HOLE_MS) {
      const number = traces.length + 1;
      traces.push({ id: number === 1 ? id : `${id}#${number}`, format, rows: [] });
    }
    traces.at(-1)?.rows.push(row);
    endMs = row.startMs + row.durationMs;
  }
  return traces;
}
