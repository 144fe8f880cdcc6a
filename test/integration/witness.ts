/** Somebody at the correspondent who listens to the guest, and notices whatever one guest could not have said. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checkRecords } from '../demo/records.ts';
import { endProcess, type Namespace } from '../lab/index.ts';

const PROGRAM = fileURLToPath(new URL('witness-process.ts', import.meta.url));
const FETCH_TRIES = 20;

export interface Report {
  /** When it arrived, ms of CLOCK_MONOTONIC. */
  readonly at: number;
  readonly boot: string;
  readonly counter: number;
  /** Records that are safe on the guest's disk. */
  readonly records: number;
}

/** The witness's clock. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export class Witness extends EventEmitter<{
  heard: [];
  fetched: [answer: string];
  /** Everything as it came, for a judge who trusts nobody (test/bench/faults/judge). */
  line: [line: string];
}> {
  readonly reports: Report[] = [];
  /** Signs of two guests at once, of one that was set back, of one that was restarted, of broken connections. */
  readonly problems: string[] = [];
  /** When a datagram of any kind arrived last. */
  lastAt = 0;
  /** Signs of the guest's other datagrams, many datagrams each. */
  trafficSeen = 0;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    super();
    this.#process = child;
    if (child.stdout === null) throw new Error('the witness has no output');
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line));
  }

  /** Resolves when the guest has reported. */
  static async start(namespace: Namespace, address: string, deadlineMs: number): Promise<Witness> {
    const argv = [process.execPath, PROGRAM, address];
    const witness = new Witness(await namespace.spawn(argv, { stdout: 'pipe' }));
    await witness.next(1, deadlineMs);
    return witness;
  }

  get last(): Report {
    const report = this.reports.at(-1);
    if (report === undefined) throw new Error('the guest has not reported');
    return report;
  }

  /** To the guest's control service: `dirty`, `disk`, `stream-to`. */
  ask(text: string): void {
    this.#process.stdin?.write(`ask ${text}\n`);
  }

  /** Resolves with the last of so many more reports. Rejects when they do not come. */
  async next(count: number, deadlineMs: number): Promise<Report> {
    const wanted = this.reports.length + count;
    await this.until(() => this.reports.length >= wanted, deadlineMs, `${count} more reports`);
    return this.last;
  }

  /** Resolves when the guest has made so many more records durable. */
  async nextRecords(count: number, deadlineMs: number): Promise<void> {
    const wanted = this.last.records + count;
    await this.until(() => this.last.records >= wanted, deadlineMs, `${count} more records`);
  }

  /** When the first datagram arrived after `since`, which may be in the past. */
  async firstAfter(since: number, deadlineMs: number): Promise<number> {
    let first: number | undefined;
    await this.until(
      () => {
        if (this.lastAt > since) first ??= this.lastAt;
        return first !== undefined;
      },
      deadlineMs,
      'any datagram',
    );
    return first ?? Number.NaN;
  }

  /** The longest time without a report among those that arrived after `since`, with the silence that ended then, ms. */
  longestSilence(since: number): number {
    const from = Math.max(
      0,
      this.reports.findLastIndex(({ at }) => at <= since),
    );
    const times = this.reports.slice(from).map(({ at }) => at);
    return Math.max(0, ...times.slice(1).map((at, index) => at - (times[index] ?? at)));
  }

  /** Reports that should have come between those that arrived after `since`, and did not. */
  missing(since: number): number {
    const counters = this.reports.filter(({ at }) => at > since).map(({ counter }) => counter);
    const [first, last] = [counters.at(0), counters.at(-1)];
    return first === undefined || last === undefined ? 0 : last - first + 1 - counters.length;
  }

  /** Reads the guest's disk records over the network. Returns what is wrong with them, nothing if all is well. */
  async recordProblem(boots: 'one' | 'any' = 'one'): Promise<string | undefined> {
    const { records: safe } = this.last;
    for (let left = FETCH_TRIES; ; left -= 1) {
      const answer = new Promise<string>((resolve) => this.once('fetched', resolve));
      this.#process.stdin?.write('fetch\n');
      const [word, data = ''] = (await answer).split(' ');
      if (word !== 'fetched' && left > 0) continue;
      const { records, problem } = checkRecords(Buffer.from(data, 'base64'), boots);
      // The guest appends while it sends: what was safe before the question has to be there.
      if (problem === 'a part of a record' && left > 0) continue;
      if (problem !== undefined) return `${problem} (${word}, ${records} good ones)`;
      return records < safe ? `${records} records, of which ${safe} were safe` : undefined;
    }
  }

  async close(): Promise<void> {
    await endProcess(this.#process);
  }

  async until(condition: () => boolean, deadlineMs: number, what: string): Promise<void> {
    if (condition()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      if (condition()) resolve();
    };
    const timer = setTimeout(
      () => reject(new Error(`the guest did not show ${what} within ${deadlineMs} ms`)),
      deadlineMs,
    );
    this.on('heard', look);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.off('heard', look);
    }
  }

  #take(line: string): void {
    this.emit('line', line);
    const [word, time = '', boot = '', counter = '', records = ''] = line.split(' ');
    if (word === 'fetched' || word === 'unfetched') this.emit('fetched', line);
    else if (word === 'broken') this.problems.push(`TCP: ${line}`);
    else {
      this.lastAt = Number(time);
      if (word === 'traffic') this.trafficSeen += 1;
      if (word === 'report')
        this.#report({ at: this.lastAt, boot, counter: Number(counter), records: Number(records) });
      this.emit('heard');
    }
  }

  #report(report: Report): void {
    const before = this.reports.at(-1);
    this.reports.push(report);
    if (before === undefined) return;
    if (report.boot !== before.boot) this.problems.push(`another boot after ${before.counter}`);
    else if (report.counter <= before.counter)
      this.problems.push(`report ${report.counter} after ${before.counter}`);
    else if (report.records < before.records)
      this.problems.push(`${report.records} records after ${before.records}`);
  }
}
