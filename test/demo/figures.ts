/**
 * The figures of a run, from its evidence. Definitions:
 *
 * - A handoff lasts from the moment it was asked for (`handoff-start`) to the moment the command returned
 *   (`handoff-end`). From at least 1 s before to at least 1 s after, UDP echoes, ICMP echoes and the guest's
 *   own datagrams are each 1 ms apart, IPv4 and IPv6 in turn.
 * - blackoutMs: the longest time between two answers that the correspondent got one after the other around
 *   the switchover, that is, overlapping STOP at the old place to 100 ms after RESUME at the new one (QMP).
 *   The worst of UDP and ICMP, IPv4 and IPv6.
 * - packetsSent, packetsLost: numbered probes of both directions: UDP and ICMP echoes sent from the
 *   beginning of the handoff to half a second after its end, and all of the guest's own numbered datagrams
 *   that were ordered while it was watched. Lost is what never came.
 * - tcpBroken: connections that broke, lost or repeated a numbered line, met another boot of the guest, or
 *   brought no line any more after the handoff.
 * - triggerToRunningMs: from the beginning of the handoff to RESUME at the new place.
 * - bytesOnLink: all frames on the device's access link during the handoff, both ways, the guest's own
 *   traffic and the probes included.
 * - diskRecordsOk: records on the guest's disk, read after the handoff, are whole, without gaps, and at
 *   least as many as the guest had reported to be safe before.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type DemoEvent, demoEvent, PLACES, readJsonLines } from './evidence.ts';
import { type Pause, runEvents, switchoverPause } from './qmp-log.ts';
import {
  type Connection,
  type EchoSeries,
  type Report,
  readConnections,
  readEchoes,
  readReports,
  readStreams,
} from './raw-logs.ts';
import { checkRecords } from './records.ts';

/** How long after RESUME an answer may still belong to the switchover. */
export const SETTLE_MS = 100;
/** Echo probes count until so long after a handoff; what is sent later may be cut off by the end. */
export const TAIL_MS = 500;
/** A series whose last answer is so much older than the switchover was started for another handoff. */
const OTHER_WATCH_MS = 1000;
/** A connection without a new line (one is due every 50 ms) for this long after a handoff is broken. */
const SILENCE_MS = 3000;

export interface HandoffFigures {
  readonly from: string;
  readonly to: string;
  readonly kind: 'cold' | 'armed';
  readonly triggerToRunningMs: number;
  readonly blackoutMs: number;
  readonly packetsSent: number;
  readonly packetsLost: number;
  readonly tcpBroken: number;
  readonly bytesOnLink: number;
  readonly diskRecordsOk: boolean;
}

export interface BaselineFigures {
  readonly plainQemuBlackoutMs: number;
  readonly plainQemuTotalMs: number;
  /** Of the echoes of somebody in the same subnet, where there was somebody. */
  readonly plainQemuPacketsSent?: number;
  readonly plainQemuPacketsLost?: number;
}

export interface ReportFigures {
  readonly received: number;
  /** Counters that did not grow: the guest would have run in two places, or gone back in time. */
  readonly stepsBack: number;
  readonly boots: number;
}

export interface Figures {
  readonly baseline: BaselineFigures | undefined;
  readonly handoffs: readonly HandoffFigures[];
  readonly reports: ReportFigures;
}

/** A handoff as the events tell it. */
export interface HandoffWindow {
  readonly number: number;
  readonly from: (typeof PLACES)[number];
  readonly to: (typeof PLACES)[number];
  readonly kind: 'cold' | 'armed';
  readonly startedAt: number;
  readonly endedAt: number;
  /** The guest's own datagrams are ordered between these. */
  readonly watchedFrom: number;
  readonly watchedUntil: number;
}

const side = z.enum(PLACES);
const kind = z.enum(['cold', 'armed']).default('cold');

export function handoffWindows(events: readonly DemoEvent[]): HandoffWindow[] {
  const time = (name: string, handoff: number): number => {
    const found = events.find((each) => each.event === name && each.handoff === handoff);
    if (found === undefined) throw new Error(`events.jsonl has no ${name} of handoff ${handoff}`);
    return found.realtimeMs;
  };
  return events
    .filter(({ event }) => event === 'handoff-end')
    .map((end) => {
      const number = z.int().parse(end.handoff);
      return {
        number,
        from: side.parse(end.from),
        to: side.parse(end.to),
        kind: kind.parse(end.kind),
        startedAt: time('handoff-start', number),
        endedAt: end.realtimeMs,
        watchedFrom: time('watch-start', number),
        watchedUntil: time('watch-end', number),
      };
    });
}

/** Throws when the folder lacks what a figure needs. */
export function computeFigures(evidence: string): Figures {
  const events = readJsonLines(join(evidence, 'events.jsonl'), demoEvent);
  const client = join(evidence, 'client');
  const probes = {
    series: readEchoes(client),
    chunks: readStreams(client),
    connections: readConnections(client),
    reports: readReports(client),
  };
  const handoffs = handoffWindows(events).map((window): HandoffFigures => {
    const { number, from, to, startedAt, endedAt } = window;
    const pause = switchoverPause(
      runEvents(join(evidence, from)),
      runEvents(join(evidence, to)),
      startedAt,
      endedAt,
    );
    if (pause === undefined)
      throw new Error(`the QMP logs do not show the switchover of handoff ${number}`);
    const echoes = countEchoes(probes.series, startedAt, endedAt + TAIL_MS);
    const chunks = probes.chunks.filter(
      ({ orderedAt }) => orderedAt >= window.watchedFrom && orderedAt <= window.watchedUntil,
    );
    const expected = sum(chunks.map((chunk) => chunk.expected));
    const arrived = sum(chunks.map((chunk) => chunk.arrivedAt.size));
    return {
      from,
      to,
      kind: window.kind,
      triggerToRunningMs: pause.resumedAt - startedAt,
      blackoutMs: Math.max(0, ...probes.series.map((series) => longestGap(series, pause))),
      packetsSent: echoes.sent + expected,
      packetsLost: echoes.lost + expected - arrived,
      tcpBroken: probes.connections.filter((one) => isBroken(one, window)).length,
      bytesOnLink: linkBytes(evidence, number),
      diskRecordsOk: recordsOk(evidence, number, startedAt, probes.reports),
    };
  });
  return { baseline: baseline(evidence, events), handoffs, reports: checkReports(probes.reports) };
}

function countEchoes(
  series: readonly EchoSeries[],
  from: number,
  until: number,
): { sent: number; lost: number } {
  let sent = 0;
  let lost = 0;
  for (const { sentAt, answeredAt } of series)
    for (const [number, at] of sentAt) {
      if (at < from || at > until) continue;
      sent += 1;
      if (!answeredAt.has(number)) lost += 1;
    }
  return { sent, lost };
}

/** Infinity when the answers ended; 0 when the series did not watch this switchover. */
function longestGap({ answeredAt }: EchoSeries, { stoppedAt, resumedAt }: Pause): number {
  const arrivals = [...answeredAt.values()].sort((a, b) => a - b);
  const first = arrivals[0] ?? Number.POSITIVE_INFINITY;
  const last = arrivals.at(-1) ?? Number.NEGATIVE_INFINITY;
  if (first > resumedAt || last < stoppedAt - OTHER_WATCH_MS) return 0;
  if (last < resumedAt) return Number.POSITIVE_INFINITY;
  let longest = 0;
  for (let index = 1; index < arrivals.length; index += 1) {
    const [a = 0, b = 0] = [arrivals[index - 1], arrivals[index]];
    if (b >= stoppedAt && a <= resumedAt + SETTLE_MS) longest = Math.max(longest, b - a);
  }
  return longest;
}

function isBroken(connection: Connection, { startedAt, endedAt, watchedUntil }: HandoffWindow) {
  const { openedAt, brokenAt, lines, oddAt } = connection;
  if (openedAt === undefined || openedAt > startedAt) return true;
  if (brokenAt !== undefined && brokenAt <= watchedUntil) return true;
  const until = Math.max(watchedUntil, endedAt + SILENCE_MS);
  if (oddAt.some((at) => at <= until)) return true;
  const seen = lines.filter(({ at }) => at <= until);
  if (!seen.some(({ at }) => at > endedAt)) return true;
  return seen.some(
    ({ number, boot }, index) =>
      number !== (seen[0]?.number ?? 0) + index || boot !== seen[0]?.boot,
  );
}

const linkLine = z.object({
  label: z.string(),
  statistics: z.record(z.string(), z.looseObject({ bytesOut: z.number() })),
});

function linkBytes(evidence: string, handoff: number): number {
  const all = readJsonLines(join(evidence, 'link.jsonl'), linkLine);
  const total = (label: string): number => {
    const found = all.find((line) => line.label === label);
    if (found === undefined) throw new Error(`link.jsonl has no ${label}`);
    return sum(Object.values(found.statistics).map(({ bytesOut }) => bytesOut));
  };
  return total(`handoff-${handoff}-end`) - total(`handoff-${handoff}-start`);
}

function recordsOk(
  evidence: string,
  handoff: number,
  startedAt: number,
  reports: readonly Report[][],
): boolean {
  const reported = reports
    .flat()
    .filter(({ at }) => at <= startedAt)
    .map(({ records }) => records);
  const check = checkRecords(readFileSync(join(evidence, `records-${handoff}.txt`)));
  return check.problem === undefined && check.records >= Math.max(1, ...reported);
}

function checkReports(all: readonly Report[][]): ReportFigures {
  const stepsBack = all.map(
    (reports) =>
      reports.filter(({ counter }, index) => counter <= (reports[index - 1]?.counter ?? 0)).length,
  );
  return {
    received: sum(all.map((reports) => reports.length)),
    stepsBack: sum(stepsBack),
    boots: new Set(all.flat().map(({ boot }) => boot)).size,
  };
}

function baseline(evidence: string, events: readonly DemoEvent[]): BaselineFigures | undefined {
  const start = events.find(({ event }) => event === 'baseline-start')?.realtimeMs;
  const end = events.find(({ event }) => event === 'baseline-end')?.realtimeMs;
  if (start === undefined || end === undefined) return undefined;
  const both = runEvents(join(evidence, 'baseline'));
  const pause = switchoverPause(both, both, start, end);
  if (pause === undefined) throw new Error('the QMP logs do not show the plain migration');
  // Where somebody in the same subnet watched, what they noticed, else how long the guest stood still.
  const watched = readEchoes(join(evidence, 'baseline', 'client'));
  const echoes = countEchoes(watched, start, end + TAIL_MS);
  return {
    plainQemuBlackoutMs:
      watched.length === 0
        ? pause.resumedAt - pause.stoppedAt
        : Math.max(0, ...watched.map((series) => longestGap(series, pause))),
    plainQemuTotalMs: pause.resumedAt - start,
    ...(watched.length > 0 && {
      plainQemuPacketsSent: echoes.sent,
      plainQemuPacketsLost: echoes.lost,
    }),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
