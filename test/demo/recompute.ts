/**
 * Computes every figure of a demo run, or of a cell of the handoff bench, again, from its evidence folder and in another
 * way than they did: `node test/demo/recompute.ts DIR`. Packets, silences and connections come from the capture at the
 * correspondent; pauses from the QMP logs; machine and memory from QEMU's command lines; what was asked for
 * and when from events.jsonl. It shares no code with the demo but the reader of captures. Prints one JSON
 * object. Times are milliseconds; definitions are those of figures.ts.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ICMP, ICMPV6, type Packet, readCapture, TCP, UDP } from './pcap.ts';

const ECHO_PORT = 7;
const LINES_PORT = 7000;
const CONTROL_PORT = 7003;
const TAIL_MS = 500;
const SETTLE_MS = 100;

const directory = process.argv[2] ?? '';
const text = (...path: string[]) => readFileSync(join(directory, ...path), 'utf8');
// biome-ignore lint/suspicious/noExplicitAny: the folder is this program's only input and a wrong one may crash it
const jsonLines = (...path: string[]): any[] =>
  text(...path)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** Times of an event in the QMP logs of one side. */
function qemuTimes(side: string, event: string): number[] {
  return readdirSync(join(directory, side))
    .filter((file) => file.endsWith('.qmp.jsonl'))
    .flatMap((file) => jsonLines(side, file))
    .map(({ line }) => JSON.parse(line))
    .filter((message) => message.event === event)
    .map(({ timestamp }) => timestamp.seconds * 1e3 + timestamp.microseconds / 1e3)
    .sort((a, b) => a - b);
}

interface Series {
  readonly asked: Map<string, number>;
  readonly answers: Map<string, number>;
}
const series = new Map<string, Series>();
/** Of the guest's own datagrams: by port of the correspondent and IP version. */
const streams = new Map<string, { orderedAt: number; count: number; numbers: Set<number> }>();
const connections = new Map<string, { openedAt: number; resetAt?: number; lastDataAt: number }>();

function seriesOf(name: string): Series {
  const found = series.get(name) ?? { asked: new Map(), answers: new Map() };
  series.set(name, found);
  return found;
}

function keepFirst(map: Map<string, number>, key: string, at: number): void {
  if (!map.has(key)) map.set(key, at);
}

/** ICMP numbers have 16 bits and ping may send more: the turn is found from the time, 1 ms each. */
const lastSequence = new Map<string, number>();
function icmp(packet: Packet, request: number, reply: number): void {
  const { payload, at, version } = packet;
  if (payload.length < 8) return;
  const type = payload[0];
  if (type !== request && type !== reply) return;
  const name = `icmp${version} ${payload.readUInt16BE(4)}`;
  const near = lastSequence.get(name) ?? 0;
  let number = (near & ~0xffff) | payload.readUInt16BE(6);
  if (number < near - 0x8000) number += 0x1_0000;
  if (number > near + 0x8000) number -= 0x1_0000;
  if (type === request) lastSequence.set(name, number);
  keepFirst(seriesOf(name)[type === request ? 'asked' : 'answers'], `${number}`, at);
}

function udp({ payload, at, version }: Packet): void {
  if (payload.length < 16) return;
  const [from, to] = [payload.readUInt16BE(0), payload.readUInt16BE(2)];
  const words = payload.toString('latin1', 8).split(/[ \n]/);
  if (words[0] === 'probe') {
    if (to === ECHO_PORT) keepFirst(seriesOf(`udp${version}`).asked, words[1] ?? '', at);
    if (from === ECHO_PORT) keepFirst(seriesOf(`udp${version}`).answers, words[1] ?? '', at);
  }
  if (to === CONTROL_PORT && words[0] === 'stream-to' && !streams.has(`${version} ${from}`))
    streams.set(`${version} ${from}`, {
      orderedAt: at,
      count: Number(words[1]),
      numbers: new Set(),
    });
  if (from === CONTROL_PORT && words[0] === 'stream')
    streams.get(`${version} ${to}`)?.numbers.add(Number(words[2]));
}

function tcp({ payload, at, version }: Packet): void {
  if (payload.length < 20) return;
  const [from, to, flags] = [
    payload.readUInt16BE(0),
    payload.readUInt16BE(2),
    payload.readUInt8(13),
  ];
  const [fin, syn, reset] = [flags & 1, flags & 2, flags & 4];
  if (to === LINES_PORT && syn !== 0)
    connections.set(`${version} ${from}`, { openedAt: at, lastDataAt: 0 });
  const connection = connections.get(`${version} ${from === LINES_PORT ? to : from}`);
  if (connection === undefined || (from !== LINES_PORT && to !== LINES_PORT)) return;
  if (reset !== 0 || fin !== 0) connection.resetAt ??= at;
  const headerBytes = (payload.readUInt8(12) >> 4) * 4;
  if (from === LINES_PORT && payload.length > headerBytes) connection.lastDataAt = at;
}

/** In the place of what was read before. */
function readPackets(capture: string): void {
  for (const map of [series, streams, connections, lastSequence]) map.clear();
  for (const packet of readCapture(capture)) {
    if (packet.protocol === UDP) udp(packet);
    else if (packet.protocol === TCP) tcp(packet);
    else if (packet.protocol === ICMP) icmp(packet, 8, 0);
    else if (packet.protocol === ICMPV6) icmp(packet, 128, 129);
  }
}
readPackets(join(directory, 'client', 'capture.pcap'));

function longestSilence(stoppedAt: number, resumedAt: number): number {
  const silences = [...series.values()].flatMap(({ answers }) => {
    const times = [...answers.values()].sort((a, b) => a - b);
    const [first, last] = [times[0], times.at(-1)];
    const watching = first !== undefined && first <= resumedAt;
    if (!watching || last === undefined || last < stoppedAt - 1000) return [];
    if (last < resumedAt) return [Number.POSITIVE_INFINITY];
    return times
      .map((time, n) => [times[n - 1] ?? time, time] as const)
      .filter(([before, after]) => after >= stoppedAt && before <= resumedAt + SETTLE_MS)
      .map(([before, after]) => after - before);
  });
  return Math.max(0, ...silences);
}

function recordsInOrder(file: string): boolean {
  const lines = text(file).split('\n').filter(Boolean);
  return (
    lines.length > 0 &&
    lines.every((line, index) => {
      const [number = '', boot = ''] = line.split(' ');
      const sum = crc32(line.slice(0, 118)).toString(16).padStart(8, '0');
      const sameBoot = boot === lines[0]?.split(' ')[1];
      return Number(number) === index + 1 && sameBoot && line.slice(119) === sum;
    })
  );
}

function linkBytes(label: string): number {
  const { statistics } = jsonLines('link.jsonl').find((line) => line.label === label);
  let sum = 0;
  for (const way of Object.values<{ bytesOut: number }>(statistics)) sum += way.bytesOut;
  return sum;
}

const events = jsonLines('events.jsonl');
const timeOf = (event: string, handoff?: number): number =>
  events.find((each) => each.event === event && each.handoff === handoff)?.realtimeMs;

const handoffs = events
  .filter(({ event }) => event === 'handoff-end')
  .map(({ handoff, from, to }) => {
    const [start, end] = [timeOf('handoff-start', handoff), timeOf('handoff-end', handoff)];
    const [watched, unwatched] = [timeOf('watch-start', handoff), timeOf('watch-end', handoff)];
    const resumed = qemuTimes(to, 'RESUME').find((at) => at >= start && at <= end) ?? Number.NaN;
    const stopped = qemuTimes(from, 'STOP').findLast((at) => at >= start && at <= resumed);
    let [sent, lost] = [0, 0];
    for (const { asked, answers } of series.values())
      for (const [number, at] of asked) {
        if (at < start || at > end + TAIL_MS) continue;
        sent += 1;
        if (!answers.has(number)) lost += 1;
      }
    for (const { orderedAt, count, numbers } of streams.values()) {
      if (orderedAt < watched || orderedAt > unwatched) continue;
      sent += count;
      lost += count - numbers.size;
    }
    const broken = [...connections.values()].filter(
      ({ openedAt, resetAt, lastDataAt }) =>
        openedAt > start || (resetAt ?? Number.POSITIVE_INFINITY) < unwatched || lastDataAt < end,
    );
    return {
      ...{ from, to, kind: handoffKind(handoff), packetsSent: sent, packetsLost: lost },
      triggerToRunningMs: resumed - start,
      blackoutMs: longestSilence(stopped ?? Number.NaN, resumed),
      tcpBroken: broken.length,
      bytesOnLink: linkBytes(`handoff-${handoff}-end`) - linkBytes(`handoff-${handoff}-start`),
      diskRecordsOk: recordsInOrder(`records-${handoff}.txt`),
    };
  });

/** What the command said of itself; other methods than Sojourn have none. */
function handoffKind(handoff: number): string | undefined {
  const file = `handoff-${handoff}.jsonl`;
  if (!existsSync(join(directory, file))) return undefined;
  return jsonLines(file).findLast(({ result }) => result !== undefined)?.result.kind;
}

/** Of an armed cell of the bench: KB/s on the link and percent of a core above the unarmed guest. */
function upkeep(): { upkeepKBps: number; upkeepCpuPct: number } | undefined {
  const windows = events.find(({ event }) => event === 'upkeep');
  if (windows === undefined) return undefined;
  const more = (field: string) =>
    windows.armed[field] / windows.armed.seconds - windows.unarmed[field] / windows.unarmed.seconds;
  return { upkeepKBps: more('linkBytes') / 1e3, upkeepCpuPct: more('cpuSeconds') * 100 };
}

const baselineStart = timeOf('baseline-start');
const baselineEnd = timeOf('baseline-end');
const plainResume = qemuTimes('baseline', 'RESUME').find(
  (at) => at >= baselineStart && at <= baselineEnd,
);
const plainStop = qemuTimes('baseline', 'STOP').findLast((at) => at <= (plainResume ?? 0));

/** Somebody in the same subnet, where there was one, noticed more than that the guest stood still. */
const neighbour = join(directory, 'baseline', 'client', 'capture.pcap');
let plainBlackoutMs = (plainResume ?? Number.NaN) - (plainStop ?? Number.NaN);
if (existsSync(neighbour)) {
  readPackets(neighbour);
  plainBlackoutMs = longestSilence(plainStop ?? Number.NaN, plainResume ?? Number.NaN);
}

const first = existsSync(join(directory, 'site-a')) ? 'site-a' : 'device';
const argv = text(first, 'command-start.txt');
const guest = events.find(({ event }) => event === 'guest');
process.stdout.write(
  `${JSON.stringify({
    accelerator: /^-accel\n(\w+)/m.exec(argv)?.[1],
    guest: {
      memoryMiB: Number(/^-m\nsize=(\d+)M/m.exec(argv)?.[1]),
      hoa4: guest.hoa4,
      hoa6: guest.hoa6,
    },
    baseline:
      baselineStart === undefined
        ? null
        : {
            plainQemuBlackoutMs: plainBlackoutMs,
            plainQemuTotalMs: (plainResume ?? Number.NaN) - baselineStart,
          },
    handoffs,
    upkeep: upkeep(),
  })}\n`,
);
