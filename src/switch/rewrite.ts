/** Set-field and TTL actions on a packet, with the checksums that cover what they change. */
import type { SettableField } from './actions.ts';
import { updateChecksum } from './checksum.ts';
import { ETH_TYPE, fieldDefinition, IP_PROTOCOL, WORD } from './fields.ts';
import { type Packet, putU16, u16 } from './packet.ts';

/** A set-field compiled to 32-bit words. */
export interface FieldWrite {
  readonly field: SettableField;
  readonly words: readonly number[];
}

export function compileFieldWrite(field: SettableField, value: bigint): FieldWrite {
  const count = Math.ceil(fieldDefinition(field).bits / 32);
  const words = Array.from({ length: count }, (_, i) =>
    Number((value >> BigInt(32 * (count - 1 - i))) & 0xffffffffn),
  );
  return { field, words };
}

/** A set-field whose packet lacks the header is a no-op, as its flow should have matched on it (5.12). */
export function writeField(packet: Packet, write: FieldWrite): void {
  const { key } = packet;
  const { field, words } = write;
  const first = words[0] as number;
  switch (field) {
    case 'eth_dst':
    case 'eth_src': {
      const word = field === 'eth_dst' ? WORD.ethDst : WORD.ethSrc;
      key[word] = first;
      key[word + 1] = words[1] as number;
      return;
    }
    case 'ipv4_src':
    case 'ipv4_dst':
      if (packet.ethType !== ETH_TYPE.ipv4) return;
      writeAddress(packet, packet.l3 + (field === 'ipv4_src' ? 12 : 16), words, true);
      key[field === 'ipv4_src' ? WORD.source : WORD.destination] = first;
      return;
    case 'ipv6_src':
    case 'ipv6_dst': {
      if (packet.ethType !== ETH_TYPE.ipv6) return;
      writeAddress(packet, packet.l3 + (field === 'ipv6_src' ? 8 : 24), words, false);
      key.set(words, field === 'ipv6_src' ? WORD.source : WORD.destination);
      return;
    }
    case 'ip_dscp':
    case 'ip_ecn':
      writeTrafficClass(packet, field, first);
      return;
    default:
      writeL4Port(packet, field, first);
  }
}

/** @returns false when the packet's time is over: TTL or hop limit 0 or 1 (RFC 1812, 5.3.1; RFC 8200, 3). */
export function decrementTtl(packet: Packet): boolean {
  const { buffer, l3 } = packet;
  if (packet.ethType === ETH_TYPE.ipv4) {
    const ttl = buffer[l3 + 8] as number;
    if (ttl <= 1) return false;
    writeIpv4Word(packet, l3 + 8, u16(buffer, l3 + 8) - 0x100);
  } else if (packet.ethType === ETH_TYPE.ipv6) {
    const limit = buffer[l3 + 7] as number;
    if (limit <= 1) return false;
    buffer[l3 + 7] = limit - 1;
  }
  return true;
}

export function setTtl(packet: Packet, ttl: number): void {
  const { buffer, l3 } = packet;
  if (packet.ethType === ETH_TYPE.ipv4)
    writeIpv4Word(packet, l3 + 8, (ttl << 8) | (buffer[l3 + 9] as number));
  else if (packet.ethType === ETH_TYPE.ipv6) buffer[l3 + 7] = ttl;
}

function writeIpv4Word(packet: Packet, offset: number, value: number): void {
  const { buffer, l3 } = packet;
  const sum = updateChecksum(u16(buffer, l3 + 10), u16(buffer, offset), value);
  putU16(buffer, offset, value);
  putU16(buffer, l3 + 10, sum);
}

function writeAddress(packet: Packet, offset: number, words: readonly number[], v4: boolean): void {
  for (let i = 0; i < words.length * 2; i++) {
    const word = words[i >> 1] as number;
    const value = (i & 1) === 0 ? word >>> 16 : word & 0xffff;
    updateL4(packet, u16(packet.buffer, offset + 2 * i), value, true);
    if (v4) writeIpv4Word(packet, offset + 2 * i, value);
    else putU16(packet.buffer, offset + 2 * i, value);
  }
}

function writeTrafficClass(packet: Packet, field: 'ip_dscp' | 'ip_ecn', value: number): void {
  const { buffer, l3, key } = packet;
  const old = ((key[WORD.protocol] as number) >>> 8) & 0xff;
  const next = field === 'ip_dscp' ? (value << 2) | (old & 3) : (old & 0xfc) | value;
  if (packet.ethType === ETH_TYPE.ipv4) {
    writeIpv4Word(packet, l3, ((buffer[l3] as number) << 8) | next);
  } else if (packet.ethType === ETH_TYPE.ipv6) {
    putU16(buffer, l3, (u16(buffer, l3) & 0xf00f) | (next << 4));
  } else return;
  key[WORD.protocol] = (next << 8) | ((key[WORD.protocol] as number) & 0xff);
}

function writeL4Port(packet: Packet, field: string, value: number): void {
  const { l4, buffer, key } = packet;
  const wanted = field.startsWith('tcp') ? IP_PROTOCOL.tcp : IP_PROTOCOL.udp;
  if (l4 === 0 || ((key[WORD.protocol] as number) & 0xff) !== wanted) return;
  const offset = field.endsWith('src') ? l4 : l4 + 2;
  updateL4(packet, u16(buffer, offset), value, false);
  putU16(buffer, offset, value);
  key[WORD.l4] = ((u16(buffer, l4) << 16) | u16(buffer, l4 + 2)) >>> 0;
}

/** Updates the checksum of TCP, UDP or ICMPv6 for a changed 16-bit word, of the pseudo header or of its own. */
function updateL4(packet: Packet, before: number, after: number, pseudoHeader: boolean): void {
  const { buffer, l4 } = packet;
  if (l4 === 0) return;
  const protocol = (packet.key[WORD.protocol] as number) & 0xff;
  let offset: number;
  if (protocol === IP_PROTOCOL.tcp) offset = l4 + 16;
  else if (protocol === IP_PROTOCOL.udp) offset = l4 + 6;
  else if (protocol === IP_PROTOCOL.icmp6 && pseudoHeader) offset = l4 + 2;
  else return;
  if (offset + 2 > packet.end) return;
  const old = u16(buffer, offset);
  // A UDP checksum of zero means none (RFC 768), so a computed zero is sent as ones.
  if (protocol === IP_PROTOCOL.udp && old === 0) return;
  const sum = updateChecksum(old, before, after);
  putU16(buffer, offset, protocol === IP_PROTOCOL.udp && sum === 0 ? 0xffff : sum);
}
