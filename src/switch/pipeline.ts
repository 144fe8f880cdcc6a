/**
 * The switch: ports, flow tables and the pipeline of OpenFlow 1.3.5, section 5, behind an exact-match cache.
 *
 *   port -> load -> cache --hit--> path -----------------------------------> ports
 *                     `--miss--> table 0 -> ... -> table n -> action set --^   (the path is remembered)
 *
 * A path is the list of flows that were met. What its actions do is done again for every packet, so that only the lookups are
 * saved. Where an action brings to light what was not in the flow key on arrival, as popping a tag does, and
 * another table follows, every packet goes through the tables itself. Actions change the packet in the chunk it
 * arrived in.
 */
import { FRAGMENTS, openFlowError, PORT } from '../openflow/index.ts';
import { Executor, type PacketIn, type SwitchDrops } from './executor.ts';
import { WORD } from './fields.ts';
import type { FlowEntry, FlowProgram, FlowSpec } from './flow.ts';
import { FlowCache, type PathNode } from './flow-cache.ts';
import { FlowTable } from './flow-table.ts';
import { Groups } from './groups.ts';
import { Meters } from './meters.ts';
import { type Packet, PacketPool } from './packet.ts';
import { PortTable } from './port-table.ts';
import type { SwitchPort } from './ports.ts';
import { Programs } from './programs.ts';
import { ActionSet, compileActions, type Step } from './steps.ts';

export type { PacketIn, PacketInReason, SwitchDrops } from './executor.ts';

export const TABLE_COUNT = 254;

export interface SwitchOptions {
  /**
   * Packets are forwarded as they came: Ethernet padding stays, and a packet whose IP or ARP header is malformed is a packet
   * without these fields. Without it padding is cut off and malformed packets are dropped, as a gateway should.
   */
  readonly transparent?: boolean;
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
}

export class Switch {
  readonly tables: readonly FlowTable[] = Array.from(
    { length: TABLE_COUNT },
    () => new FlowTable(),
  );
  readonly groups: Groups;
  readonly meters = new Meters();
  readonly ports: PortTable['entries'];
  /** `FRAGMENTS`. */
  fragments: number = FRAGMENTS.normal;
  readonly #executor: Executor;
  readonly #programs = new Programs({
    tables: TABLE_COUNT,
    groupOf: (id) => this.groups.get(id),
    meterOf: (id) => this.meters.get(id),
  });
  readonly #ports = new PortTable(() => {
    this.groups.portsChanged();
    this.invalidate();
  });
  readonly #cache: FlowCache;
  readonly #packet: Packet;
  readonly #injected: PacketPool;
  /** Counts packets, so that one can tell whether there was another meanwhile. */
  #serial = 0;
  /** Packets under way: handling one can bring up another. */
  #depth = 0;
  readonly #flushing = new Set<SwitchPort>();
  readonly #clock: () => number;
  #now = 0;
  #clockRead = false;

  constructor(onPacketIn: (event: PacketIn) => void, options: SwitchOptions = {}) {
    this.ports = this.#ports.entries;
    this.#clock = options.clock ?? (() => performance.now());
    this.groups = new Groups((port) => this.#ports.isLive(port));
    this.#cache = new FlowCache(this.tables);
    this.#executor = new Executor(this.ports, this.groups, onPacketIn);
    this.#injected = new PacketPool(options.transparent ?? false);
    this.#packet = this.#injected.take();
  }

  get drops(): SwitchDrops {
    return this.#executor.drops;
  }

  get cacheHits(): number {
    return this.#cache.hits;
  }

  get cacheMisses(): number {
    return this.#cache.misses;
  }

  /** Monotonic milliseconds. */
  get now(): number {
    return this.#clock();
  }

  /** A port came, went, or changed its state. */
  set onPortChange(told: PortTable['onChange']) {
    this.#ports.onChange = told;
  }

  attach(port: SwitchPort): void {
    this.#ports.attach(port, this.now);
  }

  detach(number: number): void {
    this.#ports.detach(number);
  }

  /** Somebody has connected to the port, or is gone, or its configuration was changed. */
  portChanged(number: number): void {
    this.#ports.changed(number);
  }

  /**
   * A flow of the switch's owner; one with the same match and priority is replaced and its counters start anew.
   * @throws OpenFlowError for a match or instructions that cannot be.
   */
  addFlow(spec: FlowSpec): FlowEntry {
    const program = this.compile(spec);
    const entry = this.table(spec.table).add(spec, program, this.now);
    this.invalidate();
    return entry;
  }

  removeFlow(entry: FlowEntry): boolean {
    const removed = this.table(entry.table).remove(entry);
    this.invalidate();
    return removed;
  }

  /** @throws OpenFlowError OFPET_BAD_ACTION, OFPET_BAD_INSTRUCTION, OFPET_METER_MOD_FAILED. */
  compile(spec: FlowSpec): FlowProgram {
    return this.#programs.compile(spec);
  }

  /** Groups or meters were added, changed or removed. */
  resourcesChanged(): void {
    this.#programs.forget();
    this.invalidate();
  }

  /** @throws OpenFlowError OFPFMFC_BAD_TABLE_ID. */
  table(index: number): FlowTable {
    const table = this.tables[index];
    if (table === undefined)
      throw openFlowError('flow-mod-failed', 'bad-table-id', `there is no table ${index}`);
    return table;
  }

  /** What was decided before holds no more. */
  invalidate(): void {
    this.#cache.invalidate();
  }

  /**
   * An Ethernet frame from a port; call `flushSoon` after the last one of a chunk.
   * @param hops switches of this process that it has come through.
   */
  receiveFrame(port: SwitchPort, buffer: Buffer, start: number, end: number, hops = 0): void {
    port.counters.rxPackets++;
    port.counters.rxBytes += end - start;
    const packet = this.#begin();
    if (packet.loadFrame(port.number, buffer, start, end)) {
      packet.hops = hops;
      this.#receive(port, packet);
    } else this.drops.malformed++;
    this.#end(packet);
  }

  /** A bare IP packet from a port. */
  receiveIp(port: SwitchPort, buffer: Buffer, start: number, end: number): void {
    port.counters.rxPackets++;
    port.counters.rxBytes += end - start;
    const packet = this.#begin();
    if (packet.loadIp(port.number, buffer, start, end)) this.#receive(port, packet);
    else this.drops.malformed++;
    this.#end(packet);
  }

  /** Sends a frame of the switch's own, which it may change, through the tables; flushes. */
  inject(frame: Buffer, inPort: number = PORT.local): void {
    const packet = this.#injected.take();
    if (packet.loadFrame(inPort, frame, 0, frame.length)) this.#process(packet);
    else this.drops.malformed++;
    this.#injected.give(packet);
    this.flush();
  }

  /** Packet-out to one port, past the tables and past the bounds of its queue; flushes. */
  sendFrames(port: number, frames: Iterable<Buffer>): void {
    const packet = this.#injected.take();
    for (const frame of frames) {
      if (packet.loadFrame(PORT.controller, frame, 0, frame.length)) {
        packet.exempt = true;
        this.#executor.send(packet, port);
        packet.exempt = false;
      } else this.drops.malformed++;
    }
    this.#injected.give(packet);
    this.flush();
  }

  /**
   * Packet-out (7.3.7): takes steps on a frame, which they may change; an output to TABLE goes through the tables; flushes.
   * @returns false when it is no frame.
   */
  execute(frame: Buffer, inPort: number, steps: readonly Step[]): boolean {
    const packet = this.#injected.take();
    const loaded = packet.loadFrame(inPort, frame, 0, frame.length);
    this.#executor.begin();
    for (const step of loaded ? steps : []) {
      if (step.op === 'output' && step.port === PORT.table) this.inject(packet.toFrame(), inPort);
      else if (!this.#executor.run(packet, [step], undefined)) break;
    }
    this.#injected.give(packet);
    this.flush();
    return loaded;
  }

  /** Hands over what the ports have gathered, unless a packet is under way: then it is done behind that. */
  flush(): void {
    if (this.#depth > 0) return;
    this.#clockRead = false;
    this.#executor.flush();
  }

  /**
   * Flushes when all that has arrived by now has been read. After a stall that is a great number of chunks (over TLS one a
   * record), and a write for each is worse than slow: it wakes whoever reads it, who on a busy machine takes this processor.
   * @param port may have something to flush that no packet has brought it.
   */
  flushSoon(port: SwitchPort): void {
    if (this.#flushing.size === 0) {
      setImmediate(() => {
        const ports = [...this.#flushing];
        this.#flushing.clear();
        this.flush();
        for (const each of ports) each.flush();
      });
    }
    this.#flushing.add(port);
  }

  /** A packet may arrive while another is under way: what is done for that has led to it. */
  #begin(): Packet {
    return this.#depth === 0 ? this.#packet : this.#injected.take();
  }

  #end(packet: Packet): void {
    if (packet !== this.#packet) this.#injected.give(packet);
  }

  #receive(port: SwitchPort, packet: Packet): void {
    if (this.#ports.isDeaf(port.number)) {
      port.counters.rxDropped++;
      return;
    }
    this.#process(packet);
  }

  #process(packet: Packet): void {
    if (this.fragments === FRAGMENTS.drop && packet.fragment) return;
    if (!this.#clockRead) {
      this.#now = this.#clock();
      this.#clockRead = true;
    }
    this.#executor.begin();
    this.#serial++;
    this.#depth++;
    const path = this.#cache.lookup(packet.key);
    if (path === undefined) this.#walk(packet);
    else this.#follow(packet, path);
    this.#depth--;
  }

  #follow(packet: Packet, path: PathNode): void {
    const { before, flow, final } = path;
    for (let i = 0; i < before.length; i++) if (!this.#take(packet, before[i] as FlowEntry)) return;
    if (this.#take(packet, flow) && final !== undefined && final.length > 0)
      this.#executor.runSet(packet, final, flow);
  }

  /** Counts the packet and does what a flow says of it, up to the next table. @returns whether it goes on. */
  #take(packet: Packet, flow: FlowEntry): boolean {
    flow.count(packet.frameBytes, this.#now);
    const { meter, steps, metadata } = flow.program;
    if (meter !== undefined && !meter.pass(packet, this.#now)) return false;
    if (steps.length > 0 && !this.#executor.run(packet, steps, flow)) return false;
    if (metadata !== undefined) {
      const { key } = packet;
      for (let i = 0; i < 2; i++) {
        const old = (key[WORD.metadata + i] as number) & ~(metadata.mask[i] as number);
        key[WORD.metadata + i] = old | (metadata.value[i] as number);
      }
    }
    return true;
  }

  #walk(packet: Packet): void {
    const cache = this.#cache;
    const serial = this.#serial;
    const slot = cache.reserve(packet.key);
    let set: ActionSet | undefined;
    let node: PathNode | undefined;
    let cacheable = true;
    for (let index: number | undefined = 0; index !== undefined; ) {
      const table = this.tables[index] as FlowTable;
      const flow: FlowEntry | undefined = table.lookup(packet.key);
      // Of the action set nothing is left then (5.4).
      if (flow === undefined) {
        table.missed++;
        this.drops.tableMiss++;
        return;
      }
      node = cache.node(node, flow);
      const { program } = flow;
      if (!this.#take(packet, flow)) return;
      if (program.clear) set?.clear();
      if (program.write !== undefined) {
        set ??= new ActionSet();
        set.write(program.write);
      }
      index = program.next;
      const remarks = program.meter?.remarks ?? false;
      if (index !== undefined && (program.reveals || remarks)) cacheable = false;
    }
    if (node === undefined) return;
    node.final ??= compileActions(set?.ordered() ?? [], (id) => this.groups.get(id));
    // Another packet since may have taken the place that was reserved.
    if (cacheable && serial === this.#serial) cache.store(slot, node);
    this.#executor.runSet(packet, node.final, node.flow);
  }
}
