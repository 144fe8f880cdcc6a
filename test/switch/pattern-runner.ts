/**
 * Runs the patterns of os-ken's switch tester against an embedded switch: OpenFlow messages in, packets in, and what must have
 * become of them. `patterns/build.py` has compiled them to bytes.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decodeMessage, type Message, OpenFlowError } from '../../src/openflow/index.ts';
import { readField } from '../../src/switch/fields.ts';
import {
  OpenFlowSwitch,
  type Packet,
  type PacketInEvent,
  type SwitchPort,
  zeroCounters,
} from '../../src/switch/index.ts';

export interface Pattern {
  readonly file: string;
  readonly name: string;
  /** Hexadecimal, as all bytes here. */
  readonly messages: readonly string[];
  readonly tests: readonly PatternTest[];
}

export interface PatternTest {
  readonly in: string;
  /** Every packet has other Ethernet addresses. */
  readonly randomAddresses?: boolean;
  /** The packet at port 2. */
  readonly out?: string;
  readonly packetIn?: string;
  /** Tables that must have looked and not found. */
  readonly miss?: readonly number[];
  readonly packetsPerSecond?: number;
  readonly seconds?: number;
  readonly rates?: readonly {
    readonly fields: { readonly in_port: number; readonly ip_dscp?: number };
    readonly kbps?: number;
    readonly pktps?: number;
  }[];
}

/** Of a rate, as the tester of os-ken has it; it counts 1024 bits a kilobit. */
const TOLERANCE = 0.1;
const KILOBIT = 1024;
/** Of simulated time; the tester takes thirty. */
const SECONDS = 4;
const PORTS = [1, 2, 3];

export function readPatterns(path: string | URL): Pattern[] {
  return JSON.parse(gunzipSync(readFileSync(path)).toString()) as Pattern[];
}

class Sink implements SwitchPort {
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  readonly number: number;
  /** Undefined when only rates are asked for. */
  frames: Buffer[] | undefined = [];
  readonly tally = new Map<number, { packets: number; bytes: number }>();

  constructor(number: number) {
    this.number = number;
  }

  send(packet: Packet): void {
    if (this.frames !== undefined) {
      this.frames.push(packet.toFrame());
      return;
    }
    const dscp = Number(readField(packet.key, 'ip_dscp'));
    const { packets, bytes } = this.tally.get(dscp) ?? { packets: 0, bytes: 0 };
    this.tally.set(dscp, { packets: packets + 1, bytes: bytes + packet.frameBytes });
  }

  flush(): void {}
}

/** @returns what is wrong; undefined when the pattern passes. */
export function runPattern({ messages, tests }: Pattern): string | undefined {
  let now = 0;
  const subject = new OpenFlowSwitch({ datapathId: 1n, clock: () => now });
  const sinks = PORTS.map((number) => new Sink(number));
  for (const sink of sinks) subject.engine.attach(sink);
  const packetIns: PacketInEvent[] = [];
  subject.listen({
    packetIn: (event) => packetIns.push(event),
    flowRemoved: () => {},
    portStatus: () => {},
  });
  try {
    for (const message of messages)
      apply(subject, decodeMessage(Buffer.from(message, 'hex')).message);
  } catch (error) {
    if (error instanceof OpenFlowError) return `refused: ${error.message}`;
    throw error;
  }
  const receive = (frame: Buffer) => {
    subject.engine.receiveFrame(sinks[0] as Sink, frame, 0, frame.length);
    subject.engine.flush();
  };
  for (const test of tests) {
    const frame = Buffer.from(test.in, 'hex');
    if (test.rates !== undefined) {
      const { packetsPerSecond = 1000 } = test;
      const seconds = Math.min(test.seconds ?? SECONDS, SECONDS);
      for (const sink of sinks) sink.frames = undefined;
      const copy = Buffer.from(frame);
      for (let n = 0; n < packetsPerSecond * seconds; n++) {
        now = (n * 1000) / packetsPerSecond;
        frame.copy(copy);
        // Addresses of no meaning that are all different.
        if (test.randomAddresses === true) {
          copy.writeUInt32BE(Math.imul(n, 0x9e3779b1) >>> 0, 2);
          copy.writeUInt32BE(Math.imul(n, 0x85ebca77) >>> 0, 8);
        }
        receive(copy);
      }
      const wrong = checkRates(test, sinks, seconds);
      if (wrong !== undefined) return wrong;
      continue;
    }
    // The second time the cache has the answer.
    for (let round = 0; round < 2; round++) {
      for (const sink of sinks) sink.frames = [];
      packetIns.length = 0;
      const before = tableStats(subject);
      receive(Buffer.from(frame));
      const wrong = checkOne(test, { sinks, packetIns, before, after: tableStats(subject) });
      if (wrong !== undefined) return `${wrong}${round === 0 ? '' : ' (cached)'}`;
    }
  }
  return undefined;
}

function apply(subject: OpenFlowSwitch, message: Message): void {
  if (message.type === 'flow-mod') subject.flowMod(message);
  else if (message.type === 'group-mod') subject.groupMod(message);
  else if (message.type === 'meter-mod') subject.meterMod(message);
  else throw new TypeError(`a pattern does not send ${message.type}`);
}

function tableStats(subject: OpenFlowSwitch) {
  const reply = subject.multipart({ kind: 'table' });
  if (reply.kind !== 'table') throw new TypeError(reply.kind);
  return reply.tables;
}

interface Outcome {
  readonly sinks: readonly Sink[];
  readonly packetIns: readonly PacketInEvent[];
  readonly before: ReturnType<typeof tableStats>;
  readonly after: ReturnType<typeof tableStats>;
}

function checkOne(test: PatternTest, { sinks, packetIns, before, after }: Outcome) {
  const sent = sinks.flatMap(({ number, frames }) =>
    (frames ?? []).map((frame) => `${number}:${frame.toString('hex')}`),
  );
  const told = packetIns.map(({ reason, frame }) => `${reason}:${frame.toString('hex')}`);
  const expected = {
    sent: test.out === undefined ? [] : [`2:${test.out}`],
    told: test.packetIn === undefined ? [] : [`action:${test.packetIn}`],
  };
  if (sent.join() !== expected.sent.join()) return `sent ${sent}, not ${expected.sent}`;
  if (told.join() !== expected.told.join()) return `packet-in ${told}, not ${expected.told}`;
  if (test.miss === undefined) return undefined;
  const grew = (table: number, what: 'lookups' | 'matched') =>
    (after[table]?.[what] as bigint) > (before[table]?.[what] as bigint);
  if (!test.miss.some((table) => grew(table, 'lookups'))) return 'no table looked';
  if (test.miss.some((table) => grew(table, 'lookups') && grew(table, 'matched')))
    return 'a table matched';
  return undefined;
}

function checkRates({ rates = [] }: PatternTest, sinks: readonly Sink[], seconds: number) {
  for (const { fields, kbps, pktps } of rates) {
    const tally = sinks.find(({ number }) => number === fields.in_port)?.tally ?? new Map();
    let [packets, bytes] = [0, 0];
    for (const [dscp, counted] of tally) {
      if (fields.ip_dscp !== undefined && fields.ip_dscp !== dscp) continue;
      packets += counted.packets;
      bytes += counted.bytes;
    }
    const [measured, expected] =
      pktps === undefined
        ? [(bytes * 8) / KILOBIT / seconds, kbps as number]
        : [packets / seconds, pktps];
    if (Math.abs(measured - expected) > expected * TOLERANCE)
      return `${measured} at port ${fields.in_port}, not ${expected}`;
  }
  return undefined;
}
