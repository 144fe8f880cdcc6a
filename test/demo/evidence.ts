/** The evidence folder: all that an outsider needs to compute the figures again. Its README says what is in it. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { SojournError } from '../../src/common/index.ts';
import type { QmpLogEntry } from '../../src/guest/index.ts';
import type { WayStatistics } from '../lab/emulator/index.ts';

const README = `Evidence of one run of Sojourn's demo. Times are milliseconds since 1970 unless a line says ns; ns are of
CLOCK_MONOTONIC, and "clock" lines (monotonic ns, realtime ns) tie them to the time of day.

events.jsonl           what the demo did and when: {"realtimeMs", "event", ...}
client/capture.pcap    all packets at the correspondent, the first 160 bytes of each
client/echo-V.log      UDP echo: sent NS N, got NS N; late NS COUNT: so many left at once
client/icmp-V-H.log    ICMP echo during handoff H: sent NS N, got NS N
client/stream-V.log    the guest's own datagrams: order NS CHUNK COUNT, got NS CHUNK N GUEST-US
client/tcp-V.log       a TCP connection: open NS PORT, line NS N BOOT-ID, sent NS N, echo NS N, broken NS WHY
client/reports-V.log   got NS COUNTER BOOT-ID RECORDS GUEST-MONOTONIC-MS GUEST-REALTIME-MS
device/, site/         (or site-a/, site-b/) of the guest at that place: command-*.txt, QEMU's command lines, one argument a line;
                       *.qmp.jsonl, QMP: {"timeMs", "direction", "line"}; logs of agent, QEMU and console
baseline/              the same of the plain QEMU migration; with the translation also client/, as above, but inside one subnet
wire/                  with the translation: all packets at the router toward each site, the first bytes of each
handoff-H.jsonl        what sojourn handoff --json printed
records-H.txt          the guest's disk records, read after handoff H
link.jsonl             counters of the laptop's link: {"realtimeMs", "label", "statistics"}
counters.jsonl         counters of interfaces, protocols and datapaths before and after each handoff
result.json            the figures that the demo printed

V is v4 or v6, H 1 (there) or 2 (back). To compute the figures again:
  node test/demo/recompute.ts THIS-FOLDER
Their definitions are in test/demo/figures.ts.
`;

/** Where a guest runs: at the ends of the laptop's link, or at the sites of the translation. */
export const PLACES = ['device', 'site', 'site-a', 'site-b'] as const;
export type Side = (typeof PLACES)[number] | 'baseline';

export const demoEvent = z.looseObject({
  realtimeMs: z.number(),
  event: z.string(),
  /** Which handoff, from 1, where it belongs to one. */
  handoff: z.int().optional(),
});
export type DemoEvent = z.infer<typeof demoEvent>;

export function realtimeMs(): number {
  return performance.timeOrigin + performance.now();
}

export class Evidence {
  readonly directory: string;

  /** What an earlier run left there is replaced. Throws SojournError (`usage`) when something else is there. */
  constructor(directory: string, places: readonly Side[] = ['device', 'site']) {
    this.directory = directory;
    clear(directory);
    for (const folder of ['client', 'baseline', ...places])
      mkdirSync(join(directory, folder), { recursive: true });
    writeFileSync(join(directory, 'README.txt'), README);
    for (const file of ['events.jsonl', 'link.jsonl']) writeFileSync(join(directory, file), '');
  }

  get client(): string {
    return join(this.directory, 'client');
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Notes an event; returns its time. */
  event(event: string, details: Readonly<Record<string, unknown>> = {}): number {
    const at = realtimeMs();
    this.#line('events.jsonl', { realtimeMs: at, event, ...details });
    return at;
  }

  /** Notes what was found out later. */
  eventAt(at: number, event: string, details: Readonly<Record<string, unknown>>): void {
    this.#line('events.jsonl', { realtimeMs: at, event, ...details });
  }

  link(label: string, statistics: Readonly<Record<string, Pick<WayStatistics, 'bytesOut'>>>): void {
    this.#line('link.jsonl', { realtimeMs: realtimeMs(), label, statistics });
  }

  counters(label: string, counters: Readonly<Record<string, unknown>>): void {
    this.#line('counters.jsonl', { realtimeMs: realtimeMs(), label, ...counters });
  }

  /** A QEMU command line, one argument a line. */
  commandLine(side: Side, name: string, argv: readonly string[]): void {
    writeFileSync(this.path(side, `command-${name}.txt`), `${argv.join('\n')}\n`);
  }

  qmpLog(side: Side, name: string): (entry: QmpLogEntry) => void {
    const path = join(side, `${name}.qmp.jsonl`);
    return (entry) => this.#line(path, entry);
  }

  #line(file: string, value: object): void {
    appendFileSync(join(this.directory, file), `${JSON.stringify(value)}\n`);
  }
}

export function readJsonLines<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): z.infer<Schema>[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => schema.parse(JSON.parse(line)));
}

/** Logs of two runs in one folder would be taken for one run. */
function clear(directory: string): void {
  if (!existsSync(directory) || readdirSync(directory).length === 0) return;
  const readme = join(directory, 'README.txt');
  if (!existsSync(readme) || readFileSync(readme, 'utf8') !== README)
    throw new SojournError({
      kind: 'usage',
      code: 'evidence-not-empty',
      message: `The folder ${directory} has something else than evidence of an earlier run in it`,
      remedy: 'Name a new or an empty folder',
    });
  rmSync(directory, { recursive: true });
}

/** Larger logs than this are left out, bytes. */
const MAX_LOG_BYTES = 256 * 1024 * 1024;

/** Copies the logs in an agent's state directory, the path in their name. */
export function collectLogs(state: string, to: string): void {
  if (!existsSync(state)) return;
  for (const entry of readdirSync(state, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(log|jsonl)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    if (statSync(path).size > MAX_LOG_BYTES) continue;
    copyFileSync(path, join(to, relative(state, path).replaceAll('/', '-')));
  }
}
