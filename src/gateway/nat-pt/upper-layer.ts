/** Checksums of the upper layer when the addresses under it change (RFC 7915, 4.5 and 5.5). */
import { checksum, onesSum, pseudoHeaderSum, updateChecksum } from '../../switch/index.ts';
import { PROTOCOL } from './headers.ts';

/** One's complement sum of both addresses. */
export function addressSum(source: Buffer, destination: Buffer): number {
  const one = onesSum(source, 0, source.length);
  return onesSum(destination, 0, destination.length, one);
}

/**
 * Adjusts the checksum of TCP or UDP in `payload`, which begins with its header, for other addresses. A wrong checksum stays
 * wrong. What is cut off before its checksum is left as it is, and so is every other protocol.
 * @returns false for UDP without a checksum.
 */
export function adjustPorts(
  payload: Buffer,
  protocol: number,
  before: number,
  after: number,
): boolean {
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) return true;
  const at = protocol === PROTOCOL.tcp ? 16 : 6;
  if (payload.length < at + 2) return true;
  const old = payload.readUInt16BE(at);
  if (protocol === PROTOCOL.udp && old === 0) return false;
  const adjusted = updateChecksum(old, before, after);
  payload.writeUInt16BE(protocol === PROTOCOL.udp && adjusted === 0 ? 0xffff : adjusted, at);
  return true;
}

/** Of a whole UDP datagram behind an IPv6 header that has none (RFC 8200, 8.1). */
export function fillUdpChecksum(packet: Buffer): void {
  packet.writeUInt16BE(0, 46);
  const pseudo = pseudoHeaderSum(packet, 0, PROTOCOL.udp, packet.length - 40);
  packet.writeUInt16BE(checksum(packet, 40, packet.length, pseudo) || 0xffff, 46);
}

/**
 * The type of an echo changes, and ICMPv6 has a pseudo header, which ICMP has not: `before` and `after` are the sums of what is
 * covered beside the message.
 */
export function adjustEcho(payload: Buffer, type: number, before: number, after: number): void {
  if (payload.length < 4) {
    payload[0] = type;
    return;
  }
  const old = payload.readUInt16BE(2);
  const word = payload.readUInt16BE(0);
  payload[0] = type;
  const typed = updateChecksum(old, word, payload.readUInt16BE(0));
  payload.writeUInt16BE(updateChecksum(typed, before, after), 2);
}

/** What the checksum of an ICMPv6 message of `bytes` covers beside it. */
export function icmp6Sum(addresses: number, bytes: number): number {
  const length = Buffer.alloc(8);
  length.writeUInt32BE(bytes, 0);
  length.writeUInt32BE(PROTOCOL.icmp6, 4);
  return onesSum(length, 0, 8, addresses);
}
