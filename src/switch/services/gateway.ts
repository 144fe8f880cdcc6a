/**
 * The gateway as its neighbours see it: what it answers to a guest, and what it answers to the host behind a TAP.
 * Frames in, frames out; no I/O and no clock.
 */
import type { GuestNetwork } from '../../guest/spec.ts';
import { cidrToBigInt, ipToBytes, macToBytes } from '../addresses.ts';
import { ETH_TYPE, IP_PROTOCOL } from '../fields.ts';
import { GATEWAY_LINK_LOCAL, GATEWAY_MAC, GUEST_MTU } from './constants.ts';
import { answerDhcp, type DhcpLease } from './dhcp.ts';
import { ARP_REPLY, ARP_REQUEST, arpReply, decodeArp, encodeArp, ethernet } from './ethernet.ts';
import { echoReply } from './icmp.ts';
import { udp4 } from './ip.ts';
import {
  decodeNeighborSolicitation,
  ND,
  neighborAdvertisement,
  routerAdvertisement,
} from './nd.ts';

const gatewayMac = macToBytes(GATEWAY_MAC);
const linkLocal = ipToBytes(GATEWAY_LINK_LOCAL);
const BROADCAST_MAC = Buffer.alloc(6, 0xff);
const BROADCAST_IP = Buffer.alloc(4, 0xff);
const ALL_NODES_MAC = macToBytes('33:33:00:00:00:01');

/** A guest's view of the gateway, in wire form. */
export interface GuestGateway {
  readonly mac: Buffer;
  readonly hoa4: Buffer;
  readonly gateway4: Buffer;
  /** First 8 bytes of the guest's own /64. */
  readonly prefix6: Buffer;
  /** The gateway's global address, `prefix::1`: what ICMPv6 errors for distant hosts come from. */
  readonly gateway6: Buffer;
  readonly lease: DhcpLease;
  readonly dns6: readonly Buffer[];
}

export function guestGateway(network: GuestNetwork, mac: string): GuestGateway {
  const dns = network.dns.map(ipToBytes);
  const prefix = cidrToBigInt(network.hoa6Prefix).value.toString(16).padStart(32, '0');
  const prefix6 = Buffer.from(prefix, 'hex').subarray(0, 8);
  const hoa4 = ipToBytes(network.hoa4);
  const gateway4 = ipToBytes(network.gateway4);
  return {
    mac: macToBytes(mac),
    hoa4,
    gateway4,
    prefix6,
    gateway6: Buffer.concat([prefix6, Buffer.from('0000000000000001', 'hex')]),
    lease: {
      address: hoa4,
      prefixLength: network.hoa4PrefixLength,
      gateway: gateway4,
      dns: dns.filter((address) => address.length === 4),
      mtu: GUEST_MTU,
      mac: macToBytes(mac),
    },
    dns6: dns.filter((address) => address.length === 16),
  };
}

/** The gateway's answer to a frame of the guest's that the port security let through. */
export function answerGuest(frame: Buffer, guest: GuestGateway): Buffer | undefined {
  const type = frame.readUInt16BE(12);
  const packet = frame.subarray(14);
  if (type === ETH_TYPE.arp) return answerGuestArp(packet, guest);
  if (type === ETH_TYPE.ipv4) return answerGuest4(packet, guest);
  if (type === ETH_TYPE.ipv6) return answerGuest6(packet, guest);
  return undefined;
}

/** The answer to a frame of the host behind a TAP; `owns` says whether an address is a guest's or a gateway's. */
export function answerHost(frame: Buffer, owns: (address: Buffer) => boolean): Buffer | undefined {
  const type = frame.readUInt16BE(12);
  const packet = frame.subarray(14);
  const sender = frame.subarray(6, 12);
  if (type === ETH_TYPE.arp) {
    const arp = decodeArp(packet);
    if (arp === undefined || arp.operation !== ARP_REQUEST || !owns(arp.targetIp)) return undefined;
    return arpReply(arp, gatewayMac);
  }
  const solicitation = decodeNeighborSolicitation(packet);
  if (type !== ETH_TYPE.ipv6 || solicitation === undefined || !owns(solicitation.target))
    return undefined;
  const { packet: answer } = neighborAdvertisement(solicitation, gatewayMac);
  return ethernet(sender, gatewayMac, ETH_TYPE.ipv6, answer);
}

/** A router advertisement nobody asked for, so that the guest's default route never expires. */
export function unsolicitedAdvertisement(guest: GuestGateway): Buffer {
  const packet = routerAdvertisement({
    source: linkLocal,
    mac: gatewayMac,
    prefix: guest.prefix6,
    mtu: GUEST_MTU,
    dns: guest.dns6,
  });
  return ethernet(ALL_NODES_MAC, gatewayMac, ETH_TYPE.ipv6, packet);
}

/** An ARP request of the gateway's for the guest's own address, straight to the guest. */
export function presenceRequest(guest: GuestGateway): Buffer {
  const request = encodeArp({
    operation: ARP_REQUEST,
    senderMac: gatewayMac,
    senderIp: guest.gateway4,
    targetMac: guest.mac,
    targetIp: guest.hoa4,
  });
  return ethernet(guest.mac, gatewayMac, ETH_TYPE.arp, request);
}

/** Whether a frame of the guest's answers `presenceRequest`. */
export function isPresenceReply(frame: Buffer, guest: GuestGateway): boolean {
  if (frame.readUInt16BE(12) !== ETH_TYPE.arp) return false;
  const arp = decodeArp(frame.subarray(14));
  return arp?.operation === ARP_REPLY && arp.targetIp.equals(guest.gateway4);
}

/** An IP packet of the gateway's as a frame. The addresses are those of whoever it is routed to, later. */
export function gatewayFrame(packet: Buffer): Buffer {
  const type = (packet[0] as number) >> 4 === 4 ? ETH_TYPE.ipv4 : ETH_TYPE.ipv6;
  return ethernet(Buffer.alloc(6), gatewayMac, type, packet);
}

/**
 * Every address but the guest's own is the gateway's (proxy ARP, RFC 1027): the guest's prefix is not on its link.
 * A probe for the guest's own address (RFC 5227, 2.1.1) stays without an answer, or it would see a conflict.
 */
function answerGuestArp(packet: Buffer, guest: GuestGateway): Buffer | undefined {
  const arp = decodeArp(packet);
  if (arp === undefined || arp.operation !== ARP_REQUEST) return undefined;
  if (arp.targetIp.equals(guest.hoa4)) return undefined;
  return arpReply(arp, gatewayMac);
}

function answerGuest4(packet: Buffer, guest: GuestGateway): Buffer | undefined {
  const header = ((packet[0] as number) & 0x0f) * 4;
  if (packet[9] === IP_PROTOCOL.udp) {
    if (packet.length < header + 8 || packet.readUInt32BE(header) !== ((68 << 16) | 67))
      return undefined;
    const reply = answerDhcp(packet.subarray(header + 8), guest.lease);
    if (reply === undefined) return undefined;
    const destination = reply.broadcast ? BROADCAST_IP : guest.hoa4;
    const answer = udp4({ source: guest.gateway4, destination }, 67, 68, reply.payload);
    const mac = reply.broadcast ? BROADCAST_MAC : guest.mac;
    return ethernet(mac, gatewayMac, ETH_TYPE.ipv4, answer);
  }
  const reply = packet.subarray(16, 20).equals(guest.gateway4) ? echoReply(packet) : undefined;
  return reply === undefined ? undefined : ethernet(guest.mac, gatewayMac, ETH_TYPE.ipv4, reply);
}

function answerGuest6(packet: Buffer, guest: GuestGateway): Buffer | undefined {
  if (packet[6] !== IP_PROTOCOL.icmp6) return undefined;
  const type = packet[40];
  // RFC 4861, 6.1.1: one with another hop limit came from off the link.
  if (type === ND.routerSolicitation && packet[7] === 255) return unsolicitedAdvertisement(guest);
  if (type === ND.neighborSolicitation) return answerGuestNd(packet, guest);
  const destination = packet.subarray(24, 40);
  if (!destination.equals(linkLocal) && !destination.equals(guest.gateway6)) return undefined;
  const reply = echoReply(packet);
  return reply === undefined ? undefined : ethernet(guest.mac, gatewayMac, ETH_TYPE.ipv6, reply);
}

/** The gateway has its own addresses, and every one outside of the guest's /64 and of the link. */
function answerGuestNd(packet: Buffer, guest: GuestGateway): Buffer | undefined {
  const solicitation = decodeNeighborSolicitation(packet);
  if (solicitation === undefined) return undefined;
  const { target } = solicitation;
  const own = target.equals(linkLocal) || target.equals(guest.gateway6);
  const guests = target.subarray(0, 8).equals(guest.prefix6);
  const onLink = target[0] === 0xfe && ((target[1] as number) & 0xc0) === 0x80;
  if (!own && (guests || onLink)) return undefined;
  const { packet: answer, multicast } = neighborAdvertisement(solicitation, gatewayMac);
  return ethernet(multicast ? ALL_NODES_MAC : guest.mac, gatewayMac, ETH_TYPE.ipv6, answer);
}
