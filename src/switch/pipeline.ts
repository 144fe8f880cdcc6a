/**
 * The switch: ports, flow tables and the pipeline of OpenFlow 1.3.5, section 5, behind an exact-match cache.
 *
 *   port -> load -> cache --hit--> program ------------------------------> ports
 *                     `--miss--> table 0 -> ... -> table n -> action set --^   (recorded as a program)
 *
 * A cache entry is keyed by the bits that any installed flow looks at, so packets that no flow can tell
 * apart share one. Every change of flows starts a new generation, which makes all older entries stale.
 * Set-field and TTL actions change the packet in the chunk it arrived in.
 */
import { SojournError } from '../common/index.ts';
import { PORT } from './actions.ts';
import { KEY_WORDS, WORD } from './fields.ts';
import { activeWords, type FlowEntry, type FlowSpec, FlowTable, hashWords } from './flow-table.ts';
import { Packet } from './packet.ts';
import { type Program, type Step, traceProgram } from './program.ts';
import { decrementTtl, setTtl, writeField } from './rewrite.ts';

/** Entries of the flow cache; a power of two. One entry is about 400 bytes. */
const CACHE_ENTRIES = 16_384;
export const TABLE_COUNT = 16;

export interface PortCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
}

export interface SwitchPort {
  readonly number: number;
  /** Largest layer 3 packet the port takes, bytes. */
  readonly mtu: number;
  readonly counters: PortCounters;
  /** Copies the packet into the port's queue or drops it; must not keep the packet. */
  send(packet: Packet): void;
  /** Hands over what `send` has gathered. Called once after each chunk. */
  flush(): void;
}

/** Why a packet goes to the slow path (`ofp_packet_in_reason`, and the one that 1.3 lacks). */
export type PacketInReason = 'action' | 'invalid-ttl' | 'too-big';

export interface PacketIn {
  readonly reason: PacketInReason;
  /** The flow whose action it was, or that asked for the TTL to be decremented. */
  readonly cookie: bigint;
  readonly inPort: number;
  /** With reason `too-big`: the MTU that it did not fit, bytes. */
  readonly mtu: number;
  /** The packet; valid only during the call. */
  readonly packet: Packet;
}

interface CacheEntry extends Program {
  readonly key: Uint32Array;
  generation: number;
}

export interface SwitchDrops {
  malformed: number;
  /** No flow matched, and the table has no table-miss flow (5.4). */
  tableMiss: number;
  unknownPort: number;
  /** Output to the port of arrival without naming IN_PORT (5.12, Output). */
  backToInPort: number;
}

export class Switch {
  readonly tables: readonly FlowTable[] = Array.from(
    { length: TABLE_COUNT },
    () => new FlowTable(),
  );
  readonly drops: SwitchDrops = { malformed: 0, tableMiss: 0, unknownPort: 0, backToInPort: 0 };
  cacheHits = 0;
  cacheMisses = 0;
  readonly #ports = new Map<number, SwitchPort>();
  #dirty: SwitchPort[] = [];
  readonly #cache: (CacheEntry | undefined)[] = new Array(CACHE_ENTRIES);
  #generation = 1;
  readonly #mask = new Uint32Array(KEY_WORDS);
  #words: readonly number[] = [];
  #maskGeneration = 0;
  readonly #onPacketIn: (event: PacketIn) => void;
  readonly #packet = new Packet();
  readonly #injected = new Packet();

  constructor(onPacketIn: (event: PacketIn) => void) {
    this.#onPacketIn = onPacketIn;
  }

  attach(port: SwitchPort): void {
    this.#ports.set(port.number, port);
    this.#generation++;
  }

  detach(number: number): void {
    this.#ports.delete(number);
    this.#generation++;
  }

  /** @throws SojournError `flow-goto-bad` when it goes back to a table (5.1), `flow-match-bad`. */
  addFlow(spec: FlowSpec): FlowEntry {
    for (const instruction of spec.instructions) {
      if (instruction.type !== 'goto-table') continue;
      if (instruction.table > spec.table && instruction.table < TABLE_COUNT) continue;
      throw new SojournError({
        kind: 'usage',
        code: 'flow-goto-bad',
        message: `A flow of table ${spec.table} cannot go to table ${instruction.table}`,
      });
    }
    const entry = this.#table(spec.table).add(spec);
    this.#generation++;
    return entry;
  }

  removeFlow(entry: FlowEntry): void {
    this.#table(entry.table).remove(entry);
    this.#generation++;
  }

  /** An Ethernet frame from a port; call `flush` after the last one of a chunk. */
  receiveFrame(port: SwitchPort, buffer: Buffer, start: number, end: number): void {
    port.counters.rxPackets++;
    port.counters.rxBytes += end - start;
    if (this.#packet.loadFrame(port.number, buffer, start, end)) this.#process(this.#packet);
    else this.drops.malformed++;
  }

  /** A bare IP packet from a port. */
  receiveIp(port: SwitchPort, buffer: Buffer, start: number, end: number): void {
    port.counters.rxPackets++;
    port.counters.rxBytes += end - start;
    if (this.#packet.loadIp(port.number, buffer, start, end)) this.#process(this.#packet);
    else this.drops.malformed++;
  }

  /** Sends a frame of the switch's own through the tables, as if it came from LOCAL; flushes. */
  inject(frame: Buffer): void {
    if (this.#injected.loadFrame(PORT.local, frame, 0, frame.length)) this.#process(this.#injected);
    else this.drops.malformed++;
    this.flush();
  }

  /** Packet-out to one port, past the tables and past the bounds of its queue; flushes. */
  sendFrames(port: number, frames: Iterable<Buffer>): void {
    const packet = this.#injected;
    for (const frame of frames) {
      if (packet.loadFrame(PORT.controller, frame, 0, frame.length)) {
        packet.exempt = true;
        this.#output(packet, port, 0n);
        packet.exempt = false;
      } else this.drops.malformed++;
    }
    this.flush();
  }

  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const port of dirty) port.flush();
  }

  #table(index: number): FlowTable {
    const table = this.tables[index];
    if (table === undefined) throw new RangeError(`there is no table ${index}`);
    return table;
  }

  #process(packet: Packet): void {
    if (this.#maskGeneration !== this.#generation) this.#refreshMask();
    const { key } = packet;
    const mask = this.#mask;
    const words = this.#words;
    const slot = hashWords(key, mask, words) & (CACHE_ENTRIES - 1);
    const cached = this.#cache[slot];
    if (cached !== undefined && cached.generation === this.#generation) {
      let same = true;
      for (let i = 0; i < words.length; i++) {
        const word = words[i] as number;
        if (((key[word] as number) & (mask[word] as number)) >>> 0 !== cached.key[word]) {
          same = false;
          break;
        }
      }
      if (same) {
        this.cacheHits++;
        this.#run(packet, cached);
        return;
      }
    }
    this.cacheMisses++;
    const masked = new Uint32Array(KEY_WORDS);
    for (const word of words) masked[word] = (key[word] as number) & (mask[word] as number);
    const program = traceProgram(this.tables, key);
    this.#cache[slot] = { ...program, key: masked, generation: this.#generation };
    this.#run(packet, program);
  }

  #refreshMask(): void {
    this.#mask.fill(0);
    for (const table of this.tables) table.addMasks(this.#mask);
    // Metadata is zero on arrival (5.1): it tells no packets apart.
    this.#mask.fill(0, WORD.metadata, WORD.metadata + 2);
    this.#words = activeWords(this.#mask);
    this.#maskGeneration = this.#generation;
  }

  #run(packet: Packet, program: Program): void {
    const { steps, flows } = program;
    const bytes = packet.l3Bytes;
    for (let i = 0; i < flows.length; i++) {
      const flow = flows[i] as FlowEntry;
      flow.packets++;
      flow.bytes += bytes;
    }
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Step;
      switch (step.op) {
        case 'output':
          this.#output(packet, step.port, step.cookie);
          break;
        case 'write':
          writeField(packet, step.write);
          break;
        case 'dec-ttl':
          if (decrementTtl(packet)) break;
          this.#packetIn(packet, 'invalid-ttl', step.cookie, 0);
          return;
        case 'set-ttl':
          setTtl(packet, step.ttl);
          break;
      }
    }
    if (program.missed) this.drops.tableMiss++;
  }

  #output(packet: Packet, number: number, cookie: bigint): void {
    if (number === PORT.controller) {
      this.#packetIn(packet, 'action', cookie, 0);
      return;
    }
    if (number === packet.inPort) {
      this.drops.backToInPort++;
      return;
    }
    const port = this.#ports.get(number === PORT.inPort ? packet.inPort : number);
    if (port === undefined) {
      this.drops.unknownPort++;
      return;
    }
    if (packet.l3Bytes > port.mtu) {
      this.#packetIn(packet, 'too-big', cookie, port.mtu);
      return;
    }
    port.send(packet);
    if (!this.#dirty.includes(port)) this.#dirty.push(port);
  }

  #packetIn(packet: Packet, reason: PacketInReason, cookie: bigint, mtu: number): void {
    this.#onPacketIn({ reason, cookie, inPort: packet.inPort, mtu, packet });
  }
}
