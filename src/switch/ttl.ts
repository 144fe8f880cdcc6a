/** TTL actions (OpenFlow 1.3.5, 5.12, table 8), with the IPv4 header checksum. */

import { putU16, u16, u32 } from './bytes.ts';
import { updateChecksum } from './checksum.ts';
import { ETH_TYPE } from './fields.ts';
import type { Packet } from './packet.ts';

/** IP in IP (RFC 2003, RFC 2473). */
const IPV4_IN_IP = 4;
const IPV6_IN_IP = 41;

type Layer = 'mpls' | 'ipv4' | 'ipv6';

interface TtlPlace {
  readonly layer: Layer;
  /** Offset of the header or label. */
  readonly offset: number;
}

/** @returns false when the packet's time is over: TTL or hop limit 0 or 1 (RFC 1812, 5.3.1; RFC 8200, 3). */
export function decrementTtl(packet: Packet): boolean {
  const { buffer, l3 } = packet;
  if (packet.l3End === 0) return true;
  const at = packet.ethType === ETH_TYPE.ipv4 ? l3 + 8 : l3 + 7;
  const ttl = buffer[at] as number;
  if (ttl <= 1) return false;
  buffer[at] = ttl - 1;
  if (packet.ethType === ETH_TYPE.ipv4) {
    const sum = updateChecksum(u16(buffer, l3 + 10), ttl << 8, (ttl - 1) << 8);
    putU16(buffer, l3 + 10, sum);
  }
  return true;
}

export function setTtl(packet: Packet, ttl: number): void {
  const place = ipPlace(packet);
  if (place !== undefined) writeTtl(packet, place, ttl);
}

/** @returns false when the label's time is over (RFC 3443, 2.4). */
export function decrementMplsTtl(packet: Packet): boolean {
  const place = labelPlace(packet);
  if (place === undefined) return true;
  const ttl = readTtl(packet, place);
  if (ttl <= 1) return false;
  writeTtl(packet, place, ttl - 1);
  return true;
}

export function setMplsTtl(packet: Packet, ttl: number): void {
  const place = labelPlace(packet);
  if (place !== undefined) writeTtl(packet, place, ttl);
}

/** From the next-to-outermost header with a TTL to the outermost: IP to IP, MPLS to MPLS, IP to MPLS. */
export function copyTtlOut(packet: Packet): void {
  const outer = outermost(packet);
  const inner = outer === undefined ? undefined : nextInner(packet, outer);
  if (outer !== undefined && inner !== undefined) writeTtl(packet, outer, readTtl(packet, inner));
}

export function copyTtlIn(packet: Packet): void {
  const outer = outermost(packet);
  const inner = outer === undefined ? undefined : nextInner(packet, outer);
  if (outer !== undefined && inner !== undefined) writeTtl(packet, inner, readTtl(packet, outer));
}

/** Of the outermost label or the IP header; undefined when the packet has neither. */
export function outermostTtl(packet: Packet): number | undefined {
  const place = outermost(packet);
  return place === undefined ? undefined : readTtl(packet, place);
}

function ipPlace(packet: Packet): TtlPlace | undefined {
  if (packet.l3End === 0) return undefined;
  return { layer: packet.ethType === ETH_TYPE.ipv4 ? 'ipv4' : 'ipv6', offset: packet.l3 };
}

function labelPlace(packet: Packet): TtlPlace | undefined {
  return packet.labelled ? { layer: 'mpls', offset: packet.l3 } : undefined;
}

function outermost(packet: Packet): TtlPlace | undefined {
  return labelPlace(packet) ?? ipPlace(packet);
}

function nextInner(packet: Packet, { layer, offset }: TtlPlace): TtlPlace | undefined {
  const { buffer } = packet;
  if (layer === 'mpls') {
    const bottom = (u32(buffer, offset) & 0x100) !== 0;
    if (bottom) return ipHeaderAt(packet, offset + 4);
    return offset + 8 > packet.end ? undefined : { layer: 'mpls', offset: offset + 4 };
  }
  if (layer === 'ipv4') {
    const protocol = buffer[offset + 9] as number;
    const header = ((buffer[offset] as number) & 0x0f) * 4;
    return isIpInIp(protocol) ? ipHeaderAt(packet, offset + header) : undefined;
  }
  return isIpInIp(buffer[offset + 6] as number) ? ipHeaderAt(packet, offset + 40) : undefined;
}

function isIpInIp(protocol: number): boolean {
  return protocol === IPV4_IN_IP || protocol === IPV6_IN_IP;
}

/** A label does not say what it carries: an IP header is known by its version and length. */
function ipHeaderAt(packet: Packet, offset: number): TtlPlace | undefined {
  const { buffer, end } = packet;
  const first = offset < end ? (buffer[offset] as number) : 0;
  if (first >> 4 === 4 && (first & 0x0f) >= 5 && offset + 20 <= end)
    return { layer: 'ipv4', offset };
  if (first >> 4 === 6 && offset + 40 <= end) return { layer: 'ipv6', offset };
  return undefined;
}

function ttlOffset({ layer, offset }: TtlPlace): number {
  if (layer === 'mpls') return offset + 3;
  return layer === 'ipv4' ? offset + 8 : offset + 7;
}

function readTtl(packet: Packet, place: TtlPlace): number {
  return packet.buffer[ttlOffset(place)] as number;
}

function writeTtl(packet: Packet, place: TtlPlace, ttl: number): void {
  const { buffer } = packet;
  const at = ttlOffset(place);
  if (place.layer !== 'ipv4') {
    buffer[at] = ttl;
    return;
  }
  const sumAt = place.offset + 10;
  const before = u16(buffer, at);
  const after = (ttl << 8) | (before & 0xff);
  putU16(buffer, sumAt, updateChecksum(u16(buffer, sumAt), before, after));
  buffer[at] = ttl;
}
