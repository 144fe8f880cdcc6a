/**
 * Judges one trial from what was seen from outside, and shares no code with what it judges. Its input is a text of lines,
 * times in ms of CLOCK_MONOTONIC:
 *
 *   report MS BOOT COUNTER RECORDS     a report of the guest arrived at the correspondent (every 50 ms)
 *   broken MS WHY                      the TCP connection to the guest, open since the start, is no more
 *   asked                              from here on its disk records are read over the network
 *   fetched BASE64 | unfetched WHY     the answer
 *   ran FROM TO [PID NS]...            processor time of the virtual CPUs of each QEMU in between (meter.ts)
 *   killed MS PID NS                   a QEMU was killed whose virtual CPUs had used so much in all
 *   fault MS TEXT, mended MS           the fault; from `mended` on all parts are there again
 *   limit MS                           the guest may not have stood still for longer since the fault
 *   boots any                          the guest has been booted before, on the same disk
 *   end MS running | end MS stopped    what the places say of the guest in the end
 *
 * Reports tell which guest speaks. The processor time tells that only one runs, also where the network lets nobody but one
 * be heard: a copy that runs in silence is found all the same.
 */
import { crc32 } from 'node:zlib';

/** The acceptance: the guest runs again this long after the parts are back. */
export const BACK_MS = 30_000;
/** Less in a window of the meter is QEMU's own work on a virtual CPU that stands still, ns. */
const ACTIVE_NS = 300_000;
/** What a virtual CPU uses before the meter sees it for the first time, at most, ns. */
const STARTUP_NS = 1_000_000;
/** Less is a virtual CPU that stands still for sure, ns: a guest at rest wakes up for each of its reports. */
const ALIVE_NS = 20_000;
/** Two that alternate this often within `SPAN_MS` run at the same time. */
const ALTERNATIONS = 3;
const SPAN_MS = 1_000;
const RECORD_BYTES = 128;
const COVERED_BYTES = 118;

export interface Verdict {
  /** What one guest, in one place at a time, cannot have done; empty when all is well. */
  readonly problems: readonly string[];
  readonly reports: number;
  /** Time between two reports, at most. */
  readonly longestSilenceMs: number;
  /** From the fault on, time in which no virtual CPU ran, at most. */
  readonly longestStandstillMs: number;
  readonly records: number;
}

interface Report {
  readonly at: number;
  readonly boot: string;
  readonly counter: number;
  readonly records: number;
}

interface Window {
  readonly from: number;
  readonly to: number;
  readonly used: ReadonlyMap<string, number>;
}

interface Seen {
  readonly reports: Report[];
  readonly windows: Window[];
  readonly problems: string[];
  readonly killed: { readonly at: number; readonly pid: string; readonly usedNs: number }[];
  fetched: Buffer | undefined;
  recordsBefore: number;
  faultAt: number | undefined;
  mendedAt: number | undefined;
  limitMs: number | undefined;
  anyBoot: boolean;
  end: string | undefined;
}

export function judge(text: string): Verdict {
  const seen: Seen = {
    ...{ reports: [], windows: [], problems: [], killed: [], recordsBefore: 0 },
    ...{ fetched: undefined, faultAt: undefined, mendedAt: undefined, limitMs: undefined },
    ...{ anyBoot: false, end: undefined },
  };
  for (const line of text.split('\n')) take(seen, line);
  const { reports, windows, problems } = seen;
  problems.push(...oneGuest(reports), ...oneAtATime(windows));
  if (reports.length === 0) problems.push('no reports');
  let records = 0;
  if (seen.end === 'running') records = expectRunning(seen);
  else if (seen.end === 'stopped') expectStopped(seen);
  else problems.push('nobody said how it ended');
  const longestStandstillMs = standstill(windows, seen.faultAt ?? 0);
  if (seen.limitMs !== undefined && longestStandstillMs > seen.limitMs)
    problems.push(`stood still for ${Math.round(longestStandstillMs)} ms`);
  const times = reports.map(({ at }) => at);
  const longestSilenceMs = Math.max(0, ...times.slice(1).map((at, i) => at - (times[i] ?? at)));
  return { problems, reports: reports.length, longestSilenceMs, longestStandstillMs, records };
}

function take(seen: Seen, line: string): void {
  const [word, ...rest] = line.split(' ');
  const [first = '', second = '', third = '', fourth = ''] = rest;
  switch (word) {
    case 'report': {
      const report = { at: number(first), boot: second, counter: number(third) };
      seen.reports.push({ ...report, records: number(fourth) });
      return;
    }
    case 'broken':
      seen.problems.push(`the TCP connection broke: ${rest.slice(1).join(' ')}`);
      return;
    case 'fetched':
      seen.fetched = Buffer.from(first, 'base64');
      return;
    case 'ran': {
      const used = new Map<string, number>();
      for (let i = 2; i + 1 < rest.length; i += 2) used.set(`${rest[i]}`, number(`${rest[i + 1]}`));
      seen.windows.push({ from: number(first), to: number(second), used });
      return;
    }
    case 'killed':
      seen.killed.push({ at: number(first), pid: second, usedNs: number(`${rest[2]}`) });
      return;
    case 'asked':
      seen.recordsBefore = seen.reports.at(-1)?.records ?? 0;
      return;
    case 'fault':
      seen.faultAt = number(first);
      return;
    case 'mended':
      seen.mendedAt = number(first);
      return;
    case 'limit':
      seen.limitMs = number(first);
      return;
    case 'boots':
      seen.anyBoot = first === 'any';
      return;
    case 'end':
      seen.end = second;
      return;
    case 'traffic':
    case 'unfetched':
    case '':
      return;
    default:
      seen.problems.push(`a line that nobody knows: ${line.slice(0, 80)}`);
  }
}

function number(text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) throw new Error(`no number: ${text}`);
  return value;
}

/** One guest counts on, whatever becomes of single reports: a second or an older one says what was said before. */
function oneGuest(reports: readonly Report[]): string[] {
  const problems: string[] = [];
  let before = reports[0];
  for (const report of reports.slice(1)) {
    if (before === undefined) break;
    if (report.boot !== before.boot) problems.push(`another boot after report ${before.counter}`);
    else if (report.counter === before.counter)
      problems.push(`report ${report.counter} came twice`);
    else if (report.counter < before.counter)
      problems.push(`a step back: report ${report.counter} after ${before.counter}`);
    else if (report.records < before.records)
      problems.push(`a step back: ${report.records} records after ${before.records}`);
    before = report;
  }
  return problems;
}

/** A handoff is one change from one QEMU to another; more than a few in a second mean that both run. */
function oneAtATime(windows: readonly Window[]): string[] {
  const active = windows.map(({ used }) =>
    [...used].filter(([, ns]) => ns >= ACTIVE_NS).map(([pid]) => pid),
  );
  const pids = [...new Set(active.flat())];
  for (const one of pids)
    for (const other of pids) {
      if (one >= other) continue;
      let first = 0;
      for (let last = 0; last < windows.length; last += 1) {
        while (at(windows, last).to - at(windows, first).from > SPAN_MS && first < last) first += 1;
        const span = active.slice(first, last + 1);
        const both = Math.min(misplaced(span, one, other), misplaced(span, other, one));
        if (both >= ALTERNATIONS)
          return [`two guests ran at once: ${one} and ${other} at ${at(windows, last).to}`];
      }
    }
  return [];
}

function at(windows: readonly Window[], index: number): Window {
  const found = windows[index];
  if (found === undefined) throw new Error('no such window');
  return found;
}

/** Windows that contradict "first `before` ran, then `after`", at the moment of change that fits best. */
function misplaced(span: readonly (readonly string[])[], before: string, after: string): number {
  let wrong = span.filter((pids) => pids.includes(before)).length;
  let least = wrong;
  for (const pids of span) {
    // A window in which it changed contradicts nothing: both have run in it, one after the other.
    if (pids.includes(before)) wrong -= 1;
    least = Math.min(least, wrong);
    if (pids.includes(after)) wrong += 1;
    least = Math.min(least, wrong);
  }
  return least;
}

/** Longest time without any virtual CPU at work. */
function standstill(windows: readonly Window[], since: number): number {
  let longest = 0;
  let from: number | undefined;
  for (const { from: begin, to, used } of windows) {
    if (to < since) continue;
    if ([...used.values()].some((ns) => ns >= ALIVE_NS)) {
      from = undefined;
      continue;
    }
    from ??= Math.max(begin, since);
    longest = Math.max(longest, to - from);
  }
  return longest;
}

function expectRunning(seen: Seen): number {
  const { reports, problems, mendedAt, fetched, recordsBefore, anyBoot } = seen;
  if (mendedAt !== undefined) {
    const back = reports.find((report) => report.at > mendedAt);
    if (back === undefined) problems.push('no report after all was mended');
    else if (back.at - mendedAt > BACK_MS)
      problems.push(`silent for ${Math.round(back.at - mendedAt)} ms after all was mended`);
  }
  if (fetched === undefined) {
    problems.push('its disk records could not be read');
    return 0;
  }
  const { records, problem } = checkRecords(fetched, anyBoot);
  if (problem !== undefined) problems.push(`disk: ${problem}, ${records} good ones before it`);
  if (records < recordsBefore)
    problems.push(`disk: ${records} records, of which ${recordsBefore} were safe`);
  return records;
}

/** It stopped because its own QEMU was killed, and nothing has run since. */
function expectStopped({ killed, windows, problems }: Seen): void {
  const death = killed.at(-1);
  if (death === undefined) {
    problems.push('the guest is stopped, and nobody killed it');
    return;
  }
  const owner = windows
    .filter(({ from }) => from < death.at)
    .flatMap(({ used }) => [...used].filter(([, ns]) => ns >= ACTIVE_NS).map(([pid]) => pid))
    .at(-1);
  // What it did after the meter's last look: it may have run for some milliseconds only.
  const metered = windows.reduce((sum, { used }) => sum + (used.get(death.pid) ?? 0), 0);
  const ranLast = death.usedNs - metered >= STARTUP_NS + ACTIVE_NS;
  if (owner !== death.pid && !ranLast)
    problems.push(`the guest is stopped, although ${owner} ran it and ${death.pid} was killed`);
  const later = windows.find(
    ({ from, used }) => from > death.at && [...used.values()].some((ns) => ns >= ACTIVE_NS),
  );
  if (later !== undefined) problems.push('a guest ran although it was killed');
}

/** resources/guest/services/records.c: 128 bytes each, numbered from 1, with a CRC-32 of what is before it. */
function checkRecords(data: Buffer, anyBoot: boolean): { records: number; problem?: string } {
  const count = Math.floor(data.length / RECORD_BYTES);
  let boot: string | undefined;
  for (let index = 0; index < count; index += 1) {
    const record = data.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES);
    const text = record.toString('latin1');
    const stated = text.slice(COVERED_BYTES + 1, COVERED_BYTES + 9);
    const calculated = crc32(record.subarray(0, COVERED_BYTES)).toString(16).padStart(8, '0');
    boot ??= text.slice(11, 47);
    if (stated !== calculated) return { records: index, problem: `checksum of ${index + 1}` };
    if (Number(text.slice(0, 10)) !== index + 1)
      return { records: index, problem: `a gap: ${text.slice(0, 10)} in place of ${index + 1}` };
    if (!anyBoot && text.slice(11, 47) !== boot)
      return { records: index, problem: `another boot wrote ${index + 1}` };
  }
  if (count === 0) return { records: 0, problem: 'no records' };
  // The guest appends while it sends.
  return { records: count };
}
