/** What comes out of a cell, the file that keeps it, and the table for people. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../../src/common/index.ts';
import { type Case, type Cell, cellName, LOADS, type Load, METHODS } from './cases.ts';

const figure = z.number().nullable();

/**
 * One line of `--json`; milliseconds, bytes, KB/s of 1000 bytes, percent of one core. All figures but the upkeep are those
 * of test/demo/figures.ts, taken alike for every method:
 *
 * - `triggerToRunningMs`: from the call (of `sojourn handoff`'s call to the agent; of plain: of the first QMP command,
 *   which sets the disk mirror up; of `virsh`, which starts in some 20 ms) to RESUME at the destination's QEMU (QMP).
 * - `blackoutMs`, `packetsLost`, `tcpBroken`: what the correspondent saw: UDP echoes 1 ms apart and a TCP connection.
 * - `bytesAfterTrigger`: frames on the device's link, both ways, probes included, until the call has returned.
 * - `upkeepKBps`, `upkeepCpuPct` (armed only): frames on the device's link, and the processor time of all processes of
 *   both places (agents, datapaths, TAP adapter, QEMUs), above those of the same guest with the same load unarmed.
 *
 * A cell that took too long has null figures and `note`, with MB of 1,000,000 bytes as QEMU, or Sojourn's own progress,
 * counts what is left.
 */
export const result = z.object({
  case: z.object({
    mbit: z.number(),
    rttMs: z.number(),
    load: z.enum(Object.keys(LOADS) as [Load, ...Load[]]),
  }),
  method: z.enum(METHODS),
  triggerToRunningMs: figure,
  blackoutMs: figure,
  packetsLost: figure,
  tcpBroken: figure,
  bytesAfterTrigger: figure,
  upkeepKBps: figure,
  upkeepCpuPct: figure,
  note: z.string().optional(),
});
export type Result = z.infer<typeof result>;

export interface Upkeep {
  readonly upkeepKBps: number;
  readonly upkeepCpuPct: number;
}

/** `leftBytes`: NaN when nobody could be asked. */
export function notConverged(cell: Cell, leftBytes: number, upkeep: Upkeep | undefined): Result {
  const left = Number.isFinite(leftBytes) ? (leftBytes / 1e6).toFixed(1) : 'an unknown number of';
  return {
    ...cell,
    triggerToRunningMs: null,
    blackoutMs: null,
    packetsLost: null,
    tcpBroken: null,
    bytesAfterTrigger: null,
    upkeepKBps: upkeep === undefined ? null : tenth(upkeep.upkeepKBps),
    upkeepCpuPct: upkeep === undefined ? null : tenth(upkeep.upkeepCpuPct),
    note: `did not converge, ${left} MB left`,
  };
}

export function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

const kept = z.object({ measuredAt: z.iso.datetime(), result });

/** Results by cell in a JSON-lines file: what a run that is broken off has measured is not measured again. */
export class ResultsFile {
  readonly #path: string;
  readonly #kept = new Map<string, z.infer<typeof kept>>();

  /** Throws ZodError or SyntaxError when the file is not one of these. */
  constructor(path: string) {
    this.#path = path;
    if (!existsSync(path)) return;
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const each = kept.parse(JSON.parse(line));
      this.#kept.set(cellName(each.result), each);
    }
  }

  find(cell: Cell): Result | undefined {
    return this.#kept.get(cellName(cell))?.result;
  }

  async keep(one: Result): Promise<void> {
    this.#kept.set(cellName(one), { measuredAt: new Date().toISOString(), result: one });
    const lines = [...this.#kept.values()].map((each) => `${JSON.stringify(each)}\n`);
    await mkdir(dirname(this.#path), { recursive: true });
    await writeFileAtomically(this.#path, lines.join(''));
  }
}

const HEADINGS = [
  'link',
  'load',
  'method',
  'trigger to running',
  'blackout',
  'lost',
  'TCP broken',
  'bytes after trigger',
  'upkeep',
  'upkeep CPU',
] as const;
/** Text columns are aligned to the left. */
const LEFT_COLUMNS = 3;

export function table(results: readonly Result[]): string {
  const rows = [[...HEADINGS], ...results.map(row)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((r) => (r[column] ?? '').length)),
  );
  const lines = rows.map((cells, index) => {
    const padded = cells.map((cell, column) =>
      column < LEFT_COLUMNS ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    const note = results[index - 1]?.note;
    return `${padded.join('  ')}${note === undefined ? '' : `  ${note}`}`.trimEnd();
  });
  return lines.join('\n');
}

function row(one: Result): string[] {
  const text = (value: number | null, format: (value: number) => string) =>
    value === null ? '-' : format(value);
  return [
    linkText(one.case),
    one.case.load,
    one.method,
    text(one.triggerToRunningMs, (ms) => `${(ms / 1000).toFixed(3)} s`),
    text(one.blackoutMs, (ms) => `${ms.toFixed(1)} ms`),
    text(one.packetsLost, String),
    text(one.tcpBroken, String),
    text(one.bytesAfterTrigger, (bytes) => `${(bytes / 1e6).toFixed(3)} MB`),
    text(one.upkeepKBps, (rate) => `${rate.toFixed(1)} KB/s`),
    text(one.upkeepCpuPct, (percent) => `${percent.toFixed(1)} %`),
  ];
}

export function linkText({ mbit, rttMs }: Case): string {
  return `${mbit} Mbit/s, ${rttMs} ms`;
}
