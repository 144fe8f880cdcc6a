/** Set-field on a packet, with the checksums that cover what changes. */
import { type FieldName, IP_PROTOCOL, oxmField } from '../openflow/index.ts';
import { putU16, putU32, u16, u32 } from './bytes.ts';
import { updateChecksum } from './checksum.ts';
import { crc32c } from './crc32c.ts';
import { ETH_TYPE, PRESENT, VLAN_PRESENT, WORD } from './fields.ts';
import type { Packet } from './packet.ts';
import { neighbourOption } from './parse.ts';

/** A set-field compiled to 32-bit words, the most significant first. */
export interface FieldWrite {
  readonly field: FieldName;
  readonly words: readonly number[];
}

export function compileFieldWrite(field: FieldName, value: bigint): FieldWrite {
  const count = Math.ceil(oxmField(field).bits / 32);
  const words = Array.from({ length: count }, (_, i) =>
    Number((value >> BigInt(32 * (count - 1 - i))) & 0xffffffffn),
  );
  return { field, words };
}

/** Whether writing the field changes what the packet is, so that its layers are read again. */
export function changesLayers(field: FieldName): boolean {
  return field === 'eth_type' || field === 'ip_proto' || /^icmpv._type$|^mpls_bos$/.test(field);
}

/** A set-field whose packet lacks the header is a no-op, as its flow should have matched on it (5.12). */
export function writeField(packet: Packet, { field, words }: FieldWrite): void {
  const { key, l3 } = packet;
  const value = words[0] as number;
  const present = key[WORD.protocol] as number;
  switch (field) {
    case 'eth_dst':
    case 'eth_src':
      key.set(words, field === 'eth_dst' ? WORD.ethDst : WORD.ethSrc);
      return;
    case 'ipv4_src':
    case 'ipv4_dst':
      if ((present & PRESENT.ip) === 0 || packet.ethType !== ETH_TYPE.ipv4) return;
      writeAddress(packet, l3 + (field === 'ipv4_src' ? 12 : 16), words);
      key[field === 'ipv4_src' ? WORD.source : WORD.destination] = value;
      return;
    case 'ipv6_src':
    case 'ipv6_dst':
      if ((present & PRESENT.ip) === 0 || packet.ethType !== ETH_TYPE.ipv6) return;
      writeAddress(packet, l3 + (field === 'ipv6_src' ? 8 : 24), words);
      key.set(words, field === 'ipv6_src' ? WORD.source : WORD.destination);
      return;
    case 'tcp_src':
    case 'udp_src':
    case 'tcp_dst':
    case 'udp_dst':
    case 'sctp_src':
    case 'sctp_dst':
      writePort(packet, field, value);
      return;
    case 'ip_dscp':
    case 'ip_ecn':
    case 'ip_proto':
      if ((present & PRESENT.ip) !== 0) writeIpField(packet, field, value);
      return;
    case 'tunnel_id':
      key.set(words, WORD.tunnel);
      return;
    case 'eth_type':
      packet.grow(0);
      putU16(packet.buffer, packet.typeAt, value);
      packet.reload();
      return;
    case 'vlan_vid':
    case 'vlan_pcp':
      writeTag(packet, field, value);
      return;
    case 'mpls_label':
    case 'mpls_tc':
    case 'mpls_bos':
      if ((present & PRESENT.mpls) !== 0) writeLabel(packet, field, value);
      return;
    case 'pbb_isid':
      if ((present & PRESENT.pbb) === 0) return;
      putU32(packet.buffer, l3, ((u32(packet.buffer, l3) & 0xff000000) | value) >>> 0);
      key[WORD.source] = value;
      return;
    default:
      writeOther(packet, field, words);
  }
}

/** Of the DSCP alone, for meters. */
export function writeDscp(packet: Packet, dscp: number): void {
  writeIpField(packet, 'ip_dscp', dscp);
}

function writeOther(packet: Packet, field: FieldName, words: readonly number[]): void {
  const { key, l3, l4 } = packet;
  const value = words[0] as number;
  const present = key[WORD.protocol] as number;
  if (field.startsWith('arp_')) {
    if ((present & PRESENT.arp) !== 0) writeArp(packet, field, words);
  } else if (field.startsWith('icmp')) {
    const protocol = field.startsWith('icmpv4') ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmp6;
    if (l4 === 0 || (present & 0xff) !== protocol) return;
    const word = u16(packet.buffer, l4);
    const isType = field.endsWith('type');
    writeL4Word(packet, l4, isType ? (value << 8) | (word & 0xff) : (word & 0xff00) | value);
    packet.reload();
  } else if (field === 'ipv6_flabel') {
    if ((present & PRESENT.ip) === 0 || packet.ethType !== ETH_TYPE.ipv6) return;
    putU32(packet.buffer, l3, ((u32(packet.buffer, l3) & 0xfff00000) | value) >>> 0);
    key[WORD.flowLabel] = (((key[WORD.flowLabel] as number) & 0xfff00000) | value) >>> 0;
  } else if (field === 'ipv6_nd_target') {
    if ((present & PRESENT.neighbour) === 0) return;
    for (let i = 0; i < 8; i++) writeL4Word(packet, l4 + 8 + 2 * i, half(words, i, 8));
    key.set(words, WORD.ndTarget);
  } else writeNeighbourOption(packet, field, words);
}

function writeNeighbourOption(packet: Packet, field: FieldName, words: readonly number[]): void {
  const { key, l4 } = packet;
  const wanted = field === 'ipv6_nd_sll' ? 135 : 136;
  if (((key[WORD.protocol] as number) & PRESENT.neighbourOption) === 0) return;
  if (packet.buffer[l4] !== wanted) return;
  const option = neighbourOption(packet, l4, wanted);
  for (let i = 0; i < 3; i++) writeL4Word(packet, option + 2 + 2 * i, half(words, i, 3));
  key.set(words, wanted === 135 ? WORD.hardware1 : WORD.hardware2);
}

/** RFC 826. */
function writeArp(packet: Packet, field: FieldName, words: readonly number[]): void {
  const { key, buffer, l3 } = packet;
  const value = words[0] as number;
  switch (field) {
    case 'arp_op':
      putU16(buffer, l3 + 6, value);
      key[WORD.protocol] = ((key[WORD.protocol] as number) & 0xffff0000) | value;
      return;
    case 'arp_spa':
      putU32(buffer, l3 + 14, value);
      key[WORD.source] = value;
      return;
    case 'arp_tpa':
      putU32(buffer, l3 + 24, value);
      key[WORD.destination] = value;
      return;
    default: {
      const sender = field === 'arp_sha';
      const at = l3 + (sender ? 8 : 18);
      for (let i = 0; i < 3; i++) putU16(buffer, at + 2 * i, half(words, i, 3));
      key.set(words, sender ? WORD.hardware1 : WORD.hardware2);
    }
  }
}

/** The i-th 16-bit word of a field that has `count` of them. */
function half(words: readonly number[], i: number, count: number): number {
  const at = i + (count & 1);
  const word = words[at >> 1] as number;
  return (at & 1) === 0 ? word >>> 16 : word & 0xffff;
}

function writeTag(packet: Packet, field: FieldName, value: number): void {
  if (!packet.tagged) return;
  const { buffer, key } = packet;
  const at = packet.l2 + 14;
  const tci = u16(buffer, at);
  const next =
    field === 'vlan_vid' ? (tci & 0xf000) | (value & 0xfff) : (tci & 0x1fff) | (value << 13);
  putU16(buffer, at, next);
  key[WORD.ethType] = (((next & 0xefff) << 16) | VLAN_PRESENT | packet.ethType) >>> 0;
}

function writeLabel(packet: Packet, field: FieldName, value: number): void {
  const { buffer, l3 } = packet;
  const [shift, mask] =
    field === 'mpls_label' ? [12, 0xfffff000] : field === 'mpls_tc' ? [9, 0xe00] : [8, 0x100];
  const next = ((u32(buffer, l3) & ~mask) | (value << shift)) >>> 0;
  putU32(buffer, l3, next);
  packet.key[WORD.source] = (next & 0xffffff00) >>> 0;
}

function writeIpv4Word(packet: Packet, offset: number, value: number): void {
  const { buffer, l3 } = packet;
  const sum = updateChecksum(u16(buffer, l3 + 10), u16(buffer, offset), value);
  putU16(buffer, offset, value);
  putU16(buffer, l3 + 10, sum);
}

function writeAddress(packet: Packet, offset: number, words: readonly number[]): void {
  const v4 = packet.ethType === ETH_TYPE.ipv4;
  // With a routing header the checksum covers the last destination (RFC 8200, 8.1).
  const covered = v4 || !packet.routed || offset === packet.l3 + 8;
  for (let i = 0; i < words.length * 2; i++) {
    const word = words[i >> 1] as number;
    const value = (i & 1) === 0 ? word >>> 16 : word & 0xffff;
    if (covered) updateL4(packet, u16(packet.buffer, offset + 2 * i), value, true);
    if (v4) writeIpv4Word(packet, offset + 2 * i, value);
    else putU16(packet.buffer, offset + 2 * i, value);
  }
}

function writeIpField(packet: Packet, field: FieldName, value: number): void {
  const { buffer, l3, key } = packet;
  const v4 = packet.ethType === ETH_TYPE.ipv4;
  const word = key[WORD.protocol] as number;
  if (field === 'ip_proto') {
    // The protocol is in the pseudo header of the checksum that is there.
    updateL4(packet, word & 0xff, value, true);
    if (v4) writeIpv4Word(packet, l3 + 8, ((buffer[l3 + 8] as number) << 8) | value);
    else buffer[packet.protocolAt] = value;
    packet.reload();
    return;
  }
  const old = (word >>> 8) & 0xff;
  const next = field === 'ip_dscp' ? (value << 2) | (old & 3) : (old & 0xfc) | value;
  if (v4) writeIpv4Word(packet, l3, ((buffer[l3] as number) << 8) | next);
  else putU16(buffer, l3, (u16(buffer, l3) & 0xf00f) | (next << 4));
  key[WORD.protocol] = (word & 0xffff00ff) | (next << 8);
}

function writePort(packet: Packet, field: FieldName, value: number): void {
  const { l4, buffer, key } = packet;
  const wanted = field.startsWith('tcp')
    ? IP_PROTOCOL.tcp
    : field.startsWith('udp')
      ? IP_PROTOCOL.udp
      : IP_PROTOCOL.sctp;
  if (l4 === 0 || ((key[WORD.protocol] as number) & 0xff) !== wanted) return;
  const offset = field.endsWith('src') ? l4 : l4 + 2;
  if (wanted === IP_PROTOCOL.sctp) writeSctpPort(packet, offset, value);
  else writeL4Word(packet, offset, value);
  key[WORD.l4] = u32(buffer, l4);
}

/** A wrong checksum stays as wrong as it was, so that the receiver sees it. */
function writeSctpPort(packet: Packet, offset: number, value: number): void {
  const { buffer, l4, l3End } = packet;
  const sumAt = l4 + 8;
  // Of a fragment the bytes that the checksum covers are not all here.
  if (packet.fragment || sumAt + 4 > l3End) {
    putU16(buffer, offset, value);
    return;
  }
  const before = crc32c(buffer, l4, l3End, sumAt);
  putU16(buffer, offset, value);
  const after = crc32c(buffer, l4, l3End, sumAt);
  buffer.writeUInt32LE((buffer.readUInt32LE(sumAt) ^ before ^ after) >>> 0, sumAt);
}

/** Writes a 16-bit word of the layer 4 header. */
function writeL4Word(packet: Packet, offset: number, value: number): void {
  updateL4(packet, u16(packet.buffer, offset), value, false);
  putU16(packet.buffer, offset, value);
}

/** Updates the checksum of TCP, UDP or ICMP for a changed 16-bit word, of the pseudo header or of its own. */
function updateL4(packet: Packet, before: number, after: number, pseudoHeader: boolean): void {
  const { buffer, l4 } = packet;
  if (l4 === 0) return;
  const protocol = (packet.key[WORD.protocol] as number) & 0xff;
  let offset: number;
  if (protocol === IP_PROTOCOL.tcp) offset = l4 + 16;
  else if (protocol === IP_PROTOCOL.udp) offset = l4 + 6;
  else if (protocol === IP_PROTOCOL.icmp6) offset = l4 + 2;
  else if (protocol === IP_PROTOCOL.icmp && !pseudoHeader) offset = l4 + 2;
  else return;
  if (offset + 2 > packet.l3End) return;
  const old = u16(buffer, offset);
  // A UDP checksum of zero means none (RFC 768), so a computed zero is sent as ones.
  if (protocol === IP_PROTOCOL.udp && old === 0) return;
  const sum = updateChecksum(old, before, after);
  putU16(buffer, offset, protocol === IP_PROTOCOL.udp && sum === 0 ? 0xffff : sum);
}
