/** The result of a run by a recording: the JSON line, what is wrong with it, and a text for people. */

import type { Figures } from './figures.ts';
import { type EchoSeries, readEchoes } from './raw-logs.ts';
import { type DemoResult, demoResult } from './report.ts';
import type { Phase } from './story.ts';
import type { TraceOutcome } from './trace-scenario.ts';

/** Answers that were under way when the link went are not counted. */
const MARGIN_MS = 500;

export interface TraceResult extends DemoResult {
  /** From the beginning of the recording. */
  readonly outage: {
    readonly fromMs: number;
    readonly toMs: number;
    readonly networkGone: boolean;
    /** Echoes that a correspondent sent to the guest meanwhile. */
    readonly packetsSent: number;
    readonly packetsLost: number;
  } | null;
  readonly decisions: readonly {
    readonly atMs: number;
    readonly action: string;
    readonly why: string;
  }[];
}

export function traceResult(
  outcome: TraceOutcome,
  figures: Figures,
  phases: readonly Phase[],
  client: string,
): TraceResult {
  const { facts, startedAtMs, decisions } = outcome;
  const outage = outageFigures(outcome, readEchoes(client));
  return {
    ...demoResult(facts, figures, phases, false),
    outage,
    decisions: decisions.map(({ at, action, why }) => ({
      atMs: Math.round(Date.parse(at) - startedAtMs),
      action,
      why,
    })),
    ok: traceComplaints(figures, outage).length === 0,
  };
}

function outageFigures(
  { outage, startedAtMs, networkGone }: TraceOutcome,
  series: readonly EchoSeries[],
): TraceResult['outage'] {
  if (outage === undefined) return null;
  const from = startedAtMs + outage.fromMs + MARGIN_MS;
  const to = startedAtMs + outage.toMs - MARGIN_MS;
  let packetsSent = 0;
  let packetsLost = 0;
  for (const { sentAt, answeredAt } of series)
    for (const [number, at] of sentAt) {
      if (at < from || at > to) continue;
      packetsSent += 1;
      if (!answeredAt.has(number)) packetsLost += 1;
    }
  return { ...outage, networkGone, packetsSent, packetsLost };
}

export function traceComplaints(figures: Figures, outage: TraceResult['outage']): string[] {
  const { handoffs, reports } = figures;
  const found: string[] = [];
  if (handoffs.length !== 2) found.push(`${handoffs.length} handoffs took place instead of 2`);
  for (const { from, to, tcpBroken, diskRecordsOk } of handoffs) {
    if (tcpBroken > 0) found.push(`${from} to ${to}: ${tcpBroken} TCP connections broke`);
    if (!diskRecordsOk) found.push(`${from} to ${to}: the records on the disk are not in order`);
  }
  if (outage === null) found.push('the recording has no loss');
  else {
    if (!outage.networkGone) found.push('the laptop had a network all the while');
    if (outage.packetsSent === 0) found.push('nobody asked the guest for anything in the outage');
    if (outage.packetsLost > 0)
      found.push(`in the outage ${outage.packetsLost} of ${outage.packetsSent} packets were lost`);
  }
  if (reports.received === 0) found.push('the guest did not report');
  if (reports.stepsBack > 0) found.push(`the guest's counter went back ${reports.stepsBack} times`);
  if (reports.boots > 1) found.push('the guest booted again');
  return found;
}

export function traceTable({ outage, handoffs, decisions }: TraceResult): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  return [
    ...decisions
      .filter(({ action }) => action !== 'none')
      .map(({ atMs, action, why }) => `${seconds(atMs).padStart(8)}  ${action.padEnd(7)} ${why}`),
    '',
    ...handoffs.map(
      ({ from, to, triggerToRunningMs, blackoutMs, tcpBroken }) =>
        `${from} to ${to}: ran there after ${seconds(triggerToRunningMs)}, longest silence ${Math.round(blackoutMs)} ms, ${tcpBroken} TCP connections broken`,
    ),
    ...(outage === null
      ? []
      : [
          `without network from ${seconds(outage.fromMs)} to ${seconds(outage.toMs)}: ${outage.packetsLost} of ${outage.packetsSent} packets to the guest were lost`,
        ]),
  ].join('\n');
}
