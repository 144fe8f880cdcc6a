/** Takes the steps of actions on a packet: changes it, sends it to ports, groups and controllers. */
import { type PacketInReason as OpenFlowReason, PORT, PORT_CONFIG } from '../openflow/index.ts';
import { popMpls, popPbb, popVlan, pushMpls, pushPbb, pushVlan } from './encapsulation.ts';
import type { FlowEntry } from './flow.ts';
import type { BucketEntry, GroupEntry, Groups } from './groups.ts';
import { type Packet, PacketPool } from './packet.ts';
import type { PortEntry } from './ports.ts';
import { writeField } from './rewrite.ts';
import type { Step } from './steps.ts';
import {
  copyTtlIn,
  copyTtlOut,
  decrementMplsTtl,
  decrementTtl,
  setMplsTtl,
  setTtl,
} from './ttl.ts';

/** Buckets that one packet may go through: groups that point to groups multiply. */
const MAX_BUCKETS_OF_A_PACKET = 4096;
/** Of a packet-in that no flow's own actions caused (7.4.1). */
const NO_COOKIE = 0xffff_ffff_ffff_ffffn;

/** Why a packet goes to the slow path (`ofp_packet_in_reason`, and the one that 1.3 lacks). */
export type PacketInReason = OpenFlowReason | 'too-big';

export interface PacketIn {
  readonly reason: PacketInReason;
  /** The flow whose action it was, or that asked for the TTL to be decremented; else all ones. */
  readonly cookie: bigint;
  readonly table: number;
  readonly inPort: number;
  /** With reason `too-big`: the MTU that it did not fit, bytes. */
  readonly mtu: number;
  /** Bytes that the action asks for; undefined when none says. */
  readonly maxLength: number | undefined;
  /** The packet; valid only during the call. */
  readonly packet: Packet;
}

export interface SwitchDrops {
  malformed: number;
  /** No flow matched, and the table has no table-miss flow (5.4). */
  tableMiss: number;
  unknownPort: number;
  /** Output to the port of arrival without naming IN_PORT (5.12, Output). */
  backToInPort: number;
}

export class Executor {
  readonly drops: SwitchDrops = { malformed: 0, tableMiss: 0, unknownPort: 0, backToInPort: 0 };
  readonly #ports: ReadonlyMap<number, PortEntry>;
  readonly #groups: Groups;
  readonly #onPacketIn: (event: PacketIn) => void;
  readonly #copies = new PacketPool(true);
  #dirty: PortEntry[] = [];
  #bucketsLeft = 0;

  constructor(
    ports: ReadonlyMap<number, PortEntry>,
    groups: Groups,
    onPacketIn: (event: PacketIn) => void,
  ) {
    this.#ports = ports;
    this.#groups = groups;
    this.#onPacketIn = onPacketIn;
  }

  /** Another packet. */
  begin(): void {
    this.#bucketsLeft = MAX_BUCKETS_OF_A_PACKET;
  }

  /** Actions of an instruction, or of a packet-out without a flow. @returns false when the packet is gone. */
  run(packet: Packet, steps: readonly Step[], flow: FlowEntry | undefined): boolean {
    for (let i = 0; i < steps.length; i++)
      if (!this.#take(packet, steps[i] as Step, flow, flow?.cookie ?? NO_COOKIE, false))
        return false;
    return true;
  }

  /** The action set, after which nobody needs the packet. @param flow the last one that it has met. */
  runSet(packet: Packet, steps: readonly Step[], flow: FlowEntry): void {
    for (let i = 0; i < steps.length; i++)
      if (!this.#take(packet, steps[i] as Step, flow, NO_COOKIE, i === steps.length - 1)) return;
  }

  /** To one port that is no reserved one. */
  send(packet: Packet, number: number): void {
    const entry = this.#ports.get(number);
    if (entry === undefined) this.drops.unknownPort++;
    else this.#sendTo(packet, entry, undefined, NO_COOKIE);
  }

  flush(): void {
    while (this.#dirty.length > 0) {
      const dirty = this.#dirty;
      this.#dirty = [];
      for (const entry of dirty) {
        entry.dirty = false;
        entry.port.flush();
      }
    }
  }

  /** @param last nobody needs the packet afterwards. @returns false when its time to live is over. */
  #take(
    packet: Packet,
    step: Step,
    flow: FlowEntry | undefined,
    cookie: bigint,
    last: boolean,
  ): boolean {
    switch (step.op) {
      case 'output':
        this.#output(packet, step, flow, cookie);
        return true;
      case 'write':
        writeField(packet, step.write);
        return true;
      case 'dec-nw-ttl':
        return decrementTtl(packet) || this.#expired(packet, flow, cookie);
      case 'dec-mpls-ttl':
        return decrementMplsTtl(packet) || this.#expired(packet, flow, cookie);
      case 'set-nw-ttl':
        setTtl(packet, step.value);
        return true;
      case 'set-mpls-ttl':
        setMplsTtl(packet, step.value);
        return true;
      case 'copy-ttl-out':
        copyTtlOut(packet);
        return true;
      case 'copy-ttl-in':
        copyTtlIn(packet);
        return true;
      case 'push-vlan':
        pushVlan(packet, step.value);
        return true;
      case 'pop-vlan':
        popVlan(packet);
        return true;
      case 'push-mpls':
        pushMpls(packet, step.value);
        return true;
      case 'pop-mpls':
        popMpls(packet, step.value);
        return true;
      case 'push-pbb':
        pushPbb(packet, step.value);
        return true;
      case 'pop-pbb':
        popPbb(packet);
        return true;
      case 'group':
        this.#runGroup(packet, step.group, flow, last);
        return true;
    }
  }

  #expired(packet: Packet, flow: FlowEntry | undefined, cookie: bigint): false {
    this.#packetIn(packet, 'invalid-ttl', flow, cookie, 0, undefined);
    return false;
  }

  #runGroup(packet: Packet, group: GroupEntry, flow: FlowEntry | undefined, last: boolean): void {
    group.packets++;
    group.bytes += packet.frameBytes;
    if (group.type !== 'all') {
      const bucket = this.#groups.choose(group, packet);
      if (bucket !== undefined) this.#runBucket(packet, bucket, flow, last);
      return;
    }
    const { buckets } = group;
    for (let i = 0; i < buckets.length; i++)
      this.#runBucket(packet, buckets[i] as BucketEntry, flow, last && i === buckets.length - 1);
  }

  #runBucket(
    packet: Packet,
    bucket: BucketEntry,
    flow: FlowEntry | undefined,
    last: boolean,
  ): void {
    if (--this.#bucketsLeft < 0) return;
    bucket.packets++;
    bucket.bytes += packet.frameBytes;
    const { steps, changes } = bucket;
    const needsCopy = changes && !last;
    const subject = needsCopy ? this.#copies.take() : packet;
    if (needsCopy) subject.copyFrom(packet);
    for (let i = 0; i < steps.length; i++) {
      const final = (last || needsCopy) && i === steps.length - 1;
      if (!this.#take(subject, steps[i] as Step, flow, NO_COOKIE, final)) break;
    }
    if (needsCopy) this.#copies.give(subject);
  }

  #output(
    packet: Packet,
    { port: number, maxLength }: Extract<Step, { op: 'output' }>,
    flow: FlowEntry | undefined,
    cookie: bigint,
  ): void {
    if (number === packet.inPort && number !== PORT.controller) {
      this.drops.backToInPort++;
      return;
    }
    if (number > PORT.max && number !== PORT.local) {
      this.#outputReserved(packet, number, maxLength, flow, cookie);
      return;
    }
    const entry = this.#ports.get(number);
    if (entry === undefined) this.drops.unknownPort++;
    else this.#sendTo(packet, entry, flow, cookie);
  }

  #outputReserved(
    packet: Packet,
    number: number,
    maxLength: number,
    flow: FlowEntry | undefined,
    cookie: bigint,
  ): void {
    if (number === PORT.controller) {
      const missed = flow?.isTableMiss === true && cookie !== NO_COOKIE;
      const reason = missed ? 'no-match' : 'action';
      this.#packetIn(packet, reason, flow, cookie, 0, maxLength);
    } else if (number === PORT.inPort) {
      const entry = this.#ports.get(packet.inPort);
      if (entry === undefined) this.drops.unknownPort++;
      else this.#sendTo(packet, entry, flow, cookie);
    } else if (number === PORT.all || number === PORT.flood) {
      for (const [other, entry] of this.#ports)
        if (other !== packet.inPort && other !== PORT.local)
          this.#sendTo(packet, entry, flow, cookie);
    } else this.drops.unknownPort++;
  }

  #sendTo(packet: Packet, entry: PortEntry, flow: FlowEntry | undefined, cookie: bigint): void {
    const { port } = entry;
    if (!entry.sends) {
      port.counters.txDropped++;
      return;
    }
    if (packet.l3Bytes > port.mtu) {
      this.#packetIn(packet, 'too-big', flow, cookie, port.mtu, undefined);
      return;
    }
    port.send(packet);
    if (!entry.dirty) {
      entry.dirty = true;
      this.#dirty.push(entry);
    }
  }

  #packetIn(
    packet: Packet,
    reason: PacketInReason,
    flow: FlowEntry | undefined,
    cookie: bigint,
    mtu: number,
    maxLength: number | undefined,
  ): void {
    const { inPort } = packet;
    const config = this.#ports.get(inPort)?.config ?? 0;
    if ((config & PORT_CONFIG.noPacketIn) !== 0) return;
    this.#onPacketIn({ reason, cookie, table: flow?.table ?? 0, inPort, mtu, maxLength, packet });
  }
}
