/**
 * What a gateway does that OpenFlow cannot say in flows, at the controller: it answers ARP, DHCP, neighbour and router
 * solicitations, and it translates ICMP errors with the packets that they quote. Whatever switch the gateway is, it hands
 * these packets over (`flows.ts`) and gets back what to send. All other traffic needs no controller; while there is none, guests
 * keep their leases and neighbours, and only path-MTU discovery and new questions wait.
 */
import type { GatewayServices } from '../../mobility/controller/index.ts';
import type { DesiredFlow, Gateway, Mapping } from '../../mobility/flows/index.ts';
import {
  ETH_TYPE,
  NO_BUFFER,
  type PacketInMessage,
  type PacketOut,
  PORT,
} from '../../openflow/index.ts';
import { macToBytes, updateChecksum } from '../../switch/index.ts';
import {
  answerGuest,
  arpReply,
  decodeArp,
  decodeNeighborSolicitation,
  ethernet,
  GATEWAY_MAC,
  guestGateway,
  neighborAdvertisement,
  TokenBucket,
  unsolicitedAdvertisement,
} from '../../switch/services/index.ts';
import { type GatewayAddresses, gatewayAddresses } from './addresses.ts';
import { gatewayServiceFlows, guestServiceFlows } from './flows.ts';
import { guestNetworkOf } from './guest-network.ts';
import { rewriteIcmpError } from './icmp-errors.ts';

/** Packets of one guest, or of one gateway's network, that are looked at; more are dropped. */
const PER_SECOND = 200;
const BURST = 400;
/** A guest hears of its router again well before it would forget it (9,000 s), ms. */
const ADVERTISE_EVERY_MS = 1_500_000;

export interface GatewayPacketsOptions {
  /** Of all guests, as the controller has them. */
  readonly homePrefixes: () => readonly string[];
  /** All that the controller knows; a mapping that has not changed is the same object. */
  readonly mappings: () => readonly Mapping[];
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

type Out = (message: Omit<PacketOut, 'type'>) => void;

export class GatewayPackets implements GatewayServices {
  readonly #options: GatewayPacketsOptions;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #advertisedAt = new Map<string, number>();
  #known: { mappings: readonly Mapping[]; addresses: Map<string, GatewayAddresses> } | undefined;

  constructor(options: GatewayPacketsOptions) {
    this.#options = options;
  }

  gatewayFlows(gateway: Gateway): readonly DesiredFlow[] {
    return gatewayServiceFlows(gateway, this.#options.homePrefixes());
  }

  guestFlows(gateway: Gateway, mapping: Mapping): readonly DesiredFlow[] {
    return guestServiceFlows(gateway, mapping, this.#options.homePrefixes());
  }

  packetIn(gateway: Gateway, guest: Mapping | undefined, message: PacketInMessage, out: Out): void {
    const inPort = Number(message.match.in_port ?? 0n);
    const frame = Buffer.from(message.data);
    // A part of a packet cannot be translated; the flows ask for whole ones.
    if (frame.length < 14 + 20 || message.totalLength !== frame.length) return;
    if (!this.#admits(`${gateway.id} ${guest?.number ?? ''}`)) return;
    const send = (port: number, data: Buffer) =>
      out({
        buffer: NO_BUFFER,
        inPort: PORT.controller,
        actions: [{ type: 'output', port }],
        data,
      });
    if (isIcmpError(frame)) this.#translate(gateway, inPort, frame, send);
    else if (guest !== undefined) this.#answer(gateway, guest, frame, send);
    else if (inPort === gateway.uplink?.port) this.#answerNetwork(gateway, frame, send);
  }

  #admits(key: string): boolean {
    const now = this.#options.now();
    const bucket = this.#buckets.get(key) ?? new TokenBucket(PER_SECOND, BURST, now);
    this.#buckets.set(key, bucket);
    return bucket.take(now);
  }

  #answer(gateway: Gateway, guest: Mapping, frame: Buffer, send: Send): void {
    const here = guest.places[gateway.id];
    const network = guestNetworkOf(guest, this.#options.homePrefixes());
    if (here === undefined || network === undefined) return;
    const wire = guestGateway(network, guest.mac);
    const answer = answerGuest(frame, wire);
    if (answer === undefined) return;
    send(here.port, answer);
    const [key, now] = [`${gateway.id} ${guest.number}`, this.#options.now()];
    if (now - (this.#advertisedAt.get(key) ?? Number.NEGATIVE_INFINITY) < ADVERTISE_EVERY_MS)
      return;
    this.#advertisedAt.set(key, now);
    send(here.port, unsolicitedAdvertisement(wire));
  }

  /** Mobile addresses are at the uplink's own link-layer address. */
  #answerNetwork(gateway: Gateway, frame: Buffer, send: Send): void {
    const { uplink } = gateway;
    if (uplink?.mac === undefined) return;
    const mac = macToBytes(uplink.mac);
    const { toHome } = this.#addresses(gateway.id);
    const packet = frame.subarray(14);
    const arp = frame.readUInt16BE(12) === ETH_TYPE.arp ? decodeArp(packet) : undefined;
    if (arp !== undefined && toHome(arp.targetIp) !== undefined)
      send(uplink.port, arpReply(arp, mac));
    const solicitation =
      frame.readUInt16BE(12) === ETH_TYPE.ipv6 ? decodeNeighborSolicitation(packet) : undefined;
    if (solicitation === undefined || toHome(solicitation.target) === undefined) return;
    const { packet: answer } = neighborAdvertisement(solicitation, mac);
    send(uplink.port, ethernet(frame.subarray(6, 12), mac, ETH_TYPE.ipv6, answer));
  }

  /** Between the two rewritings every address is a HoA, as in the tables. */
  #translate(gateway: Gateway, inPort: number, frame: Buffer, send: Send): void {
    const { uplink, hosts, id } = gateway;
    const { toHome, toMobile, find } = this.#addresses(id);
    const fromNetwork = inPort === uplink?.port;
    const original = frame.subarray(14);
    const packet = fromNetwork ? (rewriteIcmpError(original, toHome) ?? original) : original;
    const target = find(destinationOf(packet));
    const here = target?.places[id];
    const type = frame.readUInt16BE(12);
    if (target !== undefined && target.place === id && here !== undefined) {
      const passed = decrementHops(packet);
      if (passed !== undefined)
        send(here.port, ethernet(macToBytes(target.mac), macToBytes(GATEWAY_MAC), type, passed));
      return;
    }
    if (fromNetwork && target === undefined) {
      if (hosts !== undefined) send(hosts.port, Buffer.concat([frame.subarray(0, 14), packet]));
      return;
    }
    if (uplink === undefined) return;
    const outside = rewriteIcmpError(packet, toMobile) ?? packet;
    if (inPort === hosts?.port) {
      send(uplink.port, Buffer.concat([frame.subarray(0, 14), outside]));
      return;
    }
    const passed = decrementHops(outside);
    if (passed === undefined || uplink.mac === undefined || uplink.nextHop === undefined) return;
    const [mac, nextHop] = [macToBytes(uplink.mac), macToBytes(uplink.nextHop)];
    send(uplink.port, ethernet(nextHop, mac, type, passed));
  }

  #addresses(gateway: string): GatewayAddresses {
    const mappings = this.#options.mappings();
    const known = this.#known;
    const same =
      known?.mappings.length === mappings.length &&
      mappings.every((mapping, index) => mapping === known.mappings[index]);
    const addresses = same ? known.addresses : new Map<string, GatewayAddresses>();
    this.#known = { mappings, addresses };
    const found = addresses.get(gateway) ?? gatewayAddresses(gateway, mappings);
    addresses.set(gateway, found);
    return found;
  }
}

type Send = (port: number, frame: Buffer) => void;

function isIcmpError(frame: Buffer): boolean {
  const type = frame.readUInt16BE(12);
  if (type === ETH_TYPE.ipv4) {
    const at = 14 + ((frame[14] as number) & 0x0f) * 4;
    return frame[23] === 1 && [3, 11, 12].includes(frame[at] ?? 0);
  }
  return type === ETH_TYPE.ipv6 && frame[20] === 58 && (frame[54] ?? 255) < 128;
}

function destinationOf(packet: Buffer): Buffer {
  return (packet[0] as number) >> 4 === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40);
}

/** A copy that has come one hop further; undefined when it may not. */
function decrementHops(packet: Buffer): Buffer | undefined {
  const isFour = (packet[0] as number) >> 4 === 4;
  const at = isFour ? 8 : 7;
  if ((packet[at] as number) <= 1) return undefined;
  const copy = Buffer.from(packet);
  const before = copy.readUInt16BE(8);
  copy[at] = (copy[at] as number) - 1;
  if (isFour)
    copy.writeUInt16BE(updateChecksum(copy.readUInt16BE(10), before, copy.readUInt16BE(8)), 10);
  return copy;
}
