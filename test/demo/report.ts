/** The result of a run: the JSON line of schema 1, and the table for people. */
import type { Figures } from './figures.ts';
import type { Phase } from './story.ts';

export interface GuestFacts {
  readonly accelerator: string;
  readonly memoryMiB: number;
  readonly hoa4: string;
  readonly hoa6: string;
}

export interface DemoResult {
  readonly schema: 1;
  readonly ok: boolean;
  readonly accelerator: string;
  readonly guest: { readonly memoryMiB: number; readonly hoa4: string; readonly hoa6: string };
  readonly baseline: Figures['baseline'] | null;
  readonly handoffs: Figures['handoffs'];
  readonly phases: readonly Phase[];
}

/** Milliseconds by which a blackout may exceed plain QEMU's, beside one round trip. */
export const BLACKOUT_MARGIN_MS = 50;

/** What is wrong with a run, one line each; nothing when it is as it must be. */
export function complaints(figures: Figures, roundTripMs: number): string[] {
  const { baseline, handoffs, reports } = figures;
  const found: string[] = [];
  if (handoffs.length !== 2) found.push(`${handoffs.length} handoffs took place instead of 2`);
  for (const each of handoffs) {
    const way = `${each.from} to ${each.to}`;
    if (each.packetsLost > 0) found.push(`${way}: ${each.packetsLost} packets were lost`);
    if (each.packetsSent === 0) found.push(`${way}: no probe was sent`);
    if (each.tcpBroken > 0) found.push(`${way}: ${each.tcpBroken} TCP connections broke`);
    if (!each.diskRecordsOk) found.push(`${way}: the records on the disk are not in order`);
    const limit = (baseline?.plainQemuBlackoutMs ?? 0) + roundTripMs + BLACKOUT_MARGIN_MS;
    if (!(each.blackoutMs <= limit))
      found.push(`${way}: a blackout of ${ms(each.blackoutMs)}, the limit is ${ms(limit)}`);
  }
  if (baseline === undefined) found.push('there is no plain migration to compare with');
  if (reports.received === 0) found.push('the guest did not report');
  if (reports.stepsBack > 0) found.push(`the guest's counter went back ${reports.stepsBack} times`);
  if (reports.boots > 1) found.push('the guest booted again');
  return found;
}

export function demoResult(
  facts: GuestFacts,
  figures: Figures,
  phases: readonly Phase[],
  ok: boolean,
): DemoResult {
  const { accelerator, memoryMiB, hoa4, hoa6 } = facts;
  const { baseline } = figures;
  return {
    schema: 1,
    ok,
    accelerator,
    guest: { memoryMiB, hoa4, hoa6 },
    baseline: baseline === undefined ? null : rounded(baseline),
    handoffs: figures.handoffs.map(rounded),
    phases,
  };
}

/** Milliseconds with one decimal place. */
function rounded<T extends object>(values: T): T {
  const entries = Object.entries(values).map(([key, value]) => [
    key,
    typeof value === 'number' ? Math.round(value * 10) / 10 : value,
  ]);
  return Object.fromEntries(entries);
}

/** What a table says of its own topology. */
export interface TableWords {
  readonly link: string;
  readonly plain: readonly string[];
}

const DEVICE_WORDS: TableWords = {
  link: 'crossed the laptop’s link',
  plain: [
    '* Plain QEMU: how long the guest itself stood still. Without Sojourn its address does not',
    '  reach the other network at all, so everybody who talked to it would have been cut off.',
  ],
};

export function table(
  { baseline, handoffs, reports }: Figures,
  words: TableWords = DEVICE_WORDS,
): string {
  const columns = [
    '',
    ...handoffs.map(({ from, to }) => `${from} to ${to}`),
    ...(baseline === undefined ? [] : ['plain QEMU']),
  ];
  const row = (label: string, cells: string[], plain = '') => [
    label,
    ...cells,
    ...(baseline === undefined ? [] : [plain]),
  ];
  const each = (cell: (one: (typeof handoffs)[number]) => string) => handoffs.map(cell);
  const rows = [
    columns,
    row(
      'asked for it until it ran there',
      each((one) => seconds(one.triggerToRunningMs)),
      baseline && seconds(baseline.plainQemuTotalMs),
    ),
    row(
      'longest silence others noticed',
      each((one) => ms(one.blackoutMs)),
      baseline && `${ms(baseline.plainQemuBlackoutMs)} *`,
    ),
    row(
      'packets sent, 1 ms apart',
      each((one) => `${one.packetsSent}`),
      baseline?.plainQemuPacketsSent?.toString(),
    ),
    row(
      'packets lost',
      each((one) => `${one.packetsLost}`),
      baseline?.plainQemuPacketsLost === undefined
        ? 'all later ones'
        : `${baseline.plainQemuPacketsLost}`,
    ),
    row(
      'TCP connections broken',
      each((one) => `${one.tcpBroken}`),
      baseline?.plainQemuPacketsLost === undefined ? 'all' : '',
    ),
    row(
      'disk as it must be',
      each((one) => (one.diskRecordsOk ? 'yes' : 'NO')),
    ),
    row(
      words.link,
      each((one) => `${(one.bytesOnLink / 1e6).toFixed(1)} MB`),
    ),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? '').length)),
  );
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   ')
      .trimEnd(),
  );
  const running =
    reports.stepsBack === 0 && reports.boots === 1
      ? 'the guest ran in one place at a time and was never restarted'
      : 'THE GUEST WAS NOT IN ONE PLACE AT A TIME, OR WAS RESTARTED';
  return [
    ...lines,
    '',
    `From ${reports.received} reports of the guest: ${running}.`,
    ...words.plain,
  ].join('\n');
}

function ms(value: number): string {
  return Number.isFinite(value) ? `${Math.round(value)} ms` : 'for good';
}

function seconds(value: number): string {
  return `${(value / 1000).toFixed(1)} s`;
}
