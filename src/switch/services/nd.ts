/** Neighbor Discovery for IPv6 (RFC 4861) as far as a router for one guest with a /64 of its own needs it (RFC 8273). */
import { icmp6 } from './ip.ts';

export const ND = {
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
} as const;

const ALL_NODES = Buffer.from('ff020000000000000000000000000001', 'hex');
/** Seconds; the most a router may announce (RFC 4861, 6.2.1). */
const ROUTER_LIFETIME = 9000;
/** The prefix belongs to the guest for good (RFC 4861, 4.6.2: all ones). */
const INFINITE = 0xffffffff;

export interface NeighborSolicitation {
  readonly source: Buffer;
  readonly target: Buffer;
}

/**
 * Reads a neighbor solicitation from a whole IPv6 packet, with the checks of RFC 4861, 7.1.1 that do not need the checksum.
 */
export function decodeNeighborSolicitation(packet: Buffer): NeighborSolicitation | undefined {
  if (packet.length < 64 || packet[6] !== 58 || packet[7] !== 255) return undefined;
  if (packet[40] !== ND.neighborSolicitation || packet[41] !== 0) return undefined;
  const target = packet.subarray(48, 64);
  if (target[0] === 0xff) return undefined;
  return { source: packet.subarray(8, 24), target };
}

/** A router's neighbor advertisement (4.4). To the unspecified address it goes to all nodes, unsolicited. */
export function neighborAdvertisement(
  solicitation: NeighborSolicitation,
  mac: Buffer,
): { packet: Buffer; multicast: boolean } {
  const multicast = solicitation.source.every((byte) => byte === 0);
  const routerFlag = 0x80;
  const solicited = multicast ? 0 : 0x40;
  const override = 0x20;
  const head = Buffer.from([ND.neighborAdvertisement, 0, 0, 0, routerFlag | solicited | override]);
  const linkLayer = Buffer.concat([Buffer.from([2, 1]), mac]);
  const message = Buffer.concat([head, Buffer.alloc(3), solicitation.target, linkLayer]);
  const destination = multicast ? ALL_NODES : solicitation.source;
  return { packet: icmp6({ source: solicitation.target, destination }, message), multicast };
}

export interface RouterAdvertisement {
  readonly source: Buffer;
  readonly mac: Buffer;
  readonly prefix: Buffer;
  readonly mtu: number;
  readonly dns: readonly Buffer[];
}

/**
 * A router advertisement to all nodes (4.2): the /64 for autonomous configuration, not on-link (RFC 8273, 4), source
 * link-layer address, MTU, and name servers (RFC 8106, 5.1).
 */
export function routerAdvertisement(options: RouterAdvertisement): Buffer {
  const head = Buffer.alloc(16);
  head[0] = ND.routerAdvertisement;
  head[4] = 64;
  head.writeUInt16BE(ROUTER_LIFETIME, 6);
  const mtu = Buffer.alloc(8);
  mtu.set([5, 1]);
  mtu.writeUInt32BE(options.mtu, 4);
  const prefix = Buffer.alloc(32);
  const autonomous = 0x40;
  prefix.set([3, 4, 64, autonomous]);
  prefix.writeUInt32BE(INFINITE, 4);
  prefix.writeUInt32BE(INFINITE, 8);
  options.prefix.copy(prefix, 16, 0, 8);
  const parts = [head, Buffer.from([1, 1]), options.mac, mtu, prefix];
  if (options.dns.length > 0) {
    const servers = Buffer.alloc(8);
    servers.set([25, 1 + 2 * options.dns.length]);
    servers.writeUInt32BE(INFINITE, 4);
    parts.push(servers, ...options.dns);
  }
  return icmp6({ source: options.source, destination: ALL_NODES }, Buffer.concat(parts));
}
