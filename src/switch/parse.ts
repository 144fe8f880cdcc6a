/** Reads the layers of a packet into its flow key. */
import { IPV6_EXTENSION } from '../openflow/index.ts';
import { u16, u32 } from './bytes.ts';
import { ETH_TYPE, IP_PROTOCOL, PRESENT, VLAN_PRESENT, WORD } from './fields.ts';
import type { Packet } from './packet.ts';

/** Extension headers followed in one IPv6 packet; more than any honest stack sends. */
const MAX_EXTENSION_HEADERS = 16;
/** Bytes of the fixed header of ICMPv6 neighbour discovery with its target (RFC 4861, 4.3 and 4.4). */
const NEIGHBOUR_BYTES = 24;

/**
 * Fills in the key from VLAN tags on, and the offsets.
 * @param ethType of a packet without an Ethernet header. @returns false when the packet is malformed and not to be kept.
 */
export function parseLayers(packet: Packet, ethType?: number): boolean {
  packet.l4 = 0;
  packet.l3End = 0;
  packet.routed = false;
  packet.fragment = false;
  packet.typeAt = packet.l2 + 12;
  const type = ethType ?? parseTags(packet);
  if (type < 0) return packet.keepsAll;
  packet.l3 = packet.typeAt + 2;
  packet.key[WORD.ethType] = (packet.key[WORD.ethType] as number) | type;
  let wellFormed = true;
  if (type === ETH_TYPE.ipv4) wellFormed = parseIpv4(packet);
  else if (type === ETH_TYPE.ipv6) wellFormed = parseIpv6(packet);
  else if (type === ETH_TYPE.arp) wellFormed = parseArp(packet);
  else if (type === ETH_TYPE.mpls || type === ETH_TYPE.mplsMulticast) parseMpls(packet);
  else if (type === ETH_TYPE.pbb) parsePbb(packet);
  if (!wellFormed) return packet.keepsAll;
  if (packet.l3End !== 0 && !packet.keepsAll) packet.end = packet.l3End;
  return true;
}

export function isVlan(ethType: number): boolean {
  return ethType === ETH_TYPE.vlan || ethType === ETH_TYPE.serviceVlan;
}

/** VLAN fields are those of the outermost tag, eth_type is what follows the innermost (7.2.3.8). */
function parseTags(packet: Packet): number {
  const { buffer, key, end } = packet;
  let at = packet.typeAt;
  let type = u16(buffer, at);
  let outermost = true;
  while (isVlan(type)) {
    if (at + 6 > end) return -1;
    if (outermost) {
      const tci = u16(buffer, at + 2);
      // The CFI bit of the wire has no field; its place in the key says that there is a tag.
      key[WORD.ethType] = ((((tci & 0xe000) | (tci & 0x0fff)) << 16) | VLAN_PRESENT) >>> 0;
      outermost = false;
    }
    at += 4;
    type = u16(buffer, at);
  }
  packet.typeAt = at;
  return type;
}

/** RFC 791, 3.1. */
function parseIpv4(packet: Packet): boolean {
  const { key, buffer, l3 } = packet;
  if (packet.end - l3 < 20) return false;
  const first = buffer[l3] as number;
  const header = (first & 0x0f) * 4;
  const total = u16(buffer, l3 + 2);
  if (first >> 4 !== 4 || header < 20 || total < header || total > packet.end - l3) return false;
  packet.l3End = l3 + total;
  packet.protocolAt = l3 + 9;
  const protocol = buffer[l3 + 9] as number;
  // The wire's dscp << 2 | ecn, moved up by a byte, is the key's layout already.
  key[WORD.protocol] = PRESENT.ip | ((buffer[l3 + 1] as number) << 8) | protocol;
  key[WORD.source] = u32(buffer, l3 + 12);
  key[WORD.destination] = u32(buffer, l3 + 16);
  const fragment = u16(buffer, l3 + 6) & 0x3fff;
  packet.fragment = fragment !== 0;
  if ((fragment & 0x1fff) === 0) parseL4(packet, protocol, l3 + header);
  return true;
}

/** RFC 8200, 3 and 4. */
function parseIpv6(packet: Packet): boolean {
  const { key, buffer, l3 } = packet;
  if (packet.end - l3 < 40) return false;
  const payload = u16(buffer, l3 + 4);
  if ((buffer[l3] as number) >> 4 !== 6 || payload + 40 > packet.end - l3) return false;
  packet.l3End = l3 + 40 + payload;
  packet.protocolAt = l3 + 6;
  const first = u32(buffer, l3);
  for (let i = 0; i < 4; i++) {
    key[WORD.source + i] = u32(buffer, l3 + 8 + 4 * i);
    key[WORD.destination + i] = u32(buffer, l3 + 24 + 4 * i);
  }
  key[WORD.flowLabel] = first & 0xfffff;
  const trafficClass = ((first >>> 20) & 0xff) << 8;
  const next = buffer[l3 + 6] as number;
  if (isExtension(next)) return parseExtensions(packet, next, trafficClass);
  key[WORD.protocol] = PRESENT.ip | trafficClass | next;
  parseL4(packet, next, l3 + 40);
  return true;
}

const HEADER = { hop: 0, routing: 43, fragment: 44, esp: 50, auth: 51, noNext: 59, options: 60 };

function isExtension(next: number): boolean {
  return (
    next === HEADER.hop ||
    next === HEADER.options ||
    (next >= HEADER.routing && next <= HEADER.fragment) ||
    (next >= HEADER.esp && next <= HEADER.auth) ||
    next === HEADER.noNext
  );
}

/** Bit and place of a header in the order of RFC 8200, 4.1; destination options may come twice. */
const EXTENSION: Readonly<Record<number, { bit: number; rank: number }>> = {
  [HEADER.hop]: { bit: IPV6_EXTENSION.hop, rank: 1 },
  [HEADER.options]: { bit: IPV6_EXTENSION.dest, rank: 2 },
  [HEADER.routing]: { bit: IPV6_EXTENSION.router, rank: 3 },
  [HEADER.fragment]: { bit: IPV6_EXTENSION.fragment, rank: 4 },
  [HEADER.auth]: { bit: IPV6_EXTENSION.auth, rank: 5 },
  [HEADER.esp]: { bit: IPV6_EXTENSION.esp, rank: 6 },
  [HEADER.noNext]: { bit: IPV6_EXTENSION.noNext, rank: 8 },
};
/** Of destination options behind the others. */
const LAST_OPTIONS_RANK = 7;

/** The headers between the fixed one and the upper layer, with their bits (7.2.3.8, ipv6_exthdr). */
function parseExtensions(packet: Packet, first: number, trafficClass: number): boolean {
  const { key, buffer, l3End } = packet;
  let next = first;
  let offset = packet.l3 + 40;
  let seen = 0;
  let rank = 0;
  let optionHeaders = 0;
  let whole = true;
  let wellFormed = true;
  for (let i = 0; i < MAX_EXTENSION_HEADERS && isExtension(next); i++) {
    const header = EXTENSION[next] as { bit: number; rank: number };
    const repeated = next === HEADER.options ? optionHeaders > 1 : (seen & header.bit) !== 0;
    if (repeated) seen |= IPV6_EXTENSION.unrepeated;
    const last = next === HEADER.options && rank >= header.rank;
    const place = last ? LAST_OPTIONS_RANK : header.rank;
    if (next === HEADER.options) optionHeaders++;
    if (!repeated && place < rank) seen |= IPV6_EXTENSION.unsequenced;
    rank = Math.max(rank, place);
    seen |= header.bit;
    // Nothing can be read behind these two.
    if (next === HEADER.esp || next === HEADER.noNext) break;
    if (offset + 8 > l3End) {
      wellFormed = false;
      break;
    }
    const current = next;
    packet.protocolAt = offset;
    next = buffer[offset] as number;
    const length = buffer[offset + 1] as number;
    if (current === HEADER.fragment) {
      const field = u16(buffer, offset + 2);
      packet.fragment ||= (field & 0xfff9) !== 0;
      whole = (field & 0xfff8) === 0;
      offset += 8;
    } else {
      if (current === HEADER.routing) packet.routed ||= (buffer[offset + 3] as number) > 0;
      offset += current === HEADER.auth ? (length + 2) * 4 : (length + 1) * 8;
    }
    if (offset > l3End) wellFormed = false;
    if (!whole || !wellFormed) break;
  }
  key[WORD.flowLabel] = (((key[WORD.flowLabel] as number) & 0xfffff) | (seen << 20)) >>> 0;
  key[WORD.protocol] = PRESENT.ip | trafficClass | next;
  if (!wellFormed) return false;
  if (whole) parseL4(packet, next, offset);
  return true;
}

function parseL4(packet: Packet, protocol: number, l4: number): void {
  const { key, buffer } = packet;
  const room = packet.l3End - l4;
  if (
    protocol === IP_PROTOCOL.tcp ||
    protocol === IP_PROTOCOL.udp ||
    protocol === IP_PROTOCOL.sctp
  ) {
    if (room < 8) return;
    key[WORD.l4] = u32(buffer, l4);
  } else if (protocol === IP_PROTOCOL.icmp || protocol === IP_PROTOCOL.icmp6) {
    if (room < 4) return;
    const type = buffer[l4] as number;
    key[WORD.l4] = (type << 16) | (buffer[l4 + 1] as number);
    if (protocol === IP_PROTOCOL.icmp6 && (type === 135 || type === 136))
      parseNeighbour(packet, l4, type);
  } else return;
  key[WORD.protocol] = (key[WORD.protocol] as number) | PRESENT.l4;
  packet.l4 = l4;
}

/** RFC 4861, 4.3 and 4.4. */
function parseNeighbour(packet: Packet, l4: number, type: number): void {
  const { key, buffer } = packet;
  if (packet.l3End - l4 < NEIGHBOUR_BYTES) return;
  for (let i = 0; i < 4; i++) key[WORD.ndTarget + i] = u32(buffer, l4 + 8 + 4 * i);
  key[WORD.protocol] = (key[WORD.protocol] as number) | PRESENT.neighbour;
  const option = neighbourOption(packet, l4, type);
  if (option === 0) return;
  const word = type === 135 ? WORD.hardware1 : WORD.hardware2;
  key[word] = u16(buffer, option + 2);
  key[word + 1] = u32(buffer, option + 4);
  key[WORD.protocol] = (key[WORD.protocol] as number) | PRESENT.neighbourOption;
}

/** Offset of the link-layer address option: source in a solicitation, target in an advertisement; 0 without one. */
export function neighbourOption(packet: Packet, l4: number, type: number): number {
  const { buffer, l3End } = packet;
  const wanted = type === 135 ? 1 : 2;
  let offset = l4 + NEIGHBOUR_BYTES;
  while (offset + 8 <= l3End) {
    const bytes = (buffer[offset + 1] as number) * 8;
    if (buffer[offset] === wanted && bytes === 8) return offset;
    if (bytes === 0) return 0;
    offset += bytes;
  }
  return 0;
}

/** RFC 826, with Ethernet and IPv4 only. */
function parseArp(packet: Packet): boolean {
  const { key, buffer, l3 } = packet;
  if (packet.end - l3 < 28) return false;
  if (u32(buffer, l3) !== 0x00010800 || u16(buffer, l3 + 4) !== 0x0604) return false;
  key[WORD.protocol] = PRESENT.arp | u16(buffer, l3 + 6);
  key[WORD.hardware1] = u16(buffer, l3 + 8);
  key[WORD.hardware1 + 1] = u32(buffer, l3 + 10);
  key[WORD.source] = u32(buffer, l3 + 14);
  key[WORD.hardware2] = u16(buffer, l3 + 18);
  key[WORD.hardware2 + 1] = u32(buffer, l3 + 20);
  key[WORD.destination] = u32(buffer, l3 + 24);
  return true;
}

/** RFC 3032, 2.1: the label stack entry on top. */
function parseMpls(packet: Packet): void {
  const { key, buffer, l3 } = packet;
  if (packet.end - l3 < 4) return;
  key[WORD.source] = (u32(buffer, l3) & 0xffffff00) >>> 0;
  key[WORD.protocol] = PRESENT.mpls;
}

/** IEEE 802.1ah, 9.7: the I-TAG, with the addresses of the customer behind it. */
function parsePbb(packet: Packet): void {
  const { key, buffer, l3 } = packet;
  if (packet.end - l3 < 4) return;
  key[WORD.source] = u32(buffer, l3) & 0xffffff;
  key[WORD.protocol] = PRESENT.pbb;
}
