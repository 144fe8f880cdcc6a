/** IPv4 (RFC 791), IPv6 (RFC 8200) and UDP (RFC 768) headers for what the gateway says itself. */
import { checksum, pseudoHeaderSum } from '../checksum.ts';
import { IP_PROTOCOL } from '../fields.ts';

export interface IpAddresses {
  readonly source: Buffer;
  readonly destination: Buffer;
}

const DEFAULT_TTL = 64;

/** `identification` 0 is right for a packet that is never fragmented (RFC 6864, 4.1); DF is set. */
export function ipv4(
  { source, destination }: IpAddresses,
  protocol: number,
  payload: Buffer,
  ttl = DEFAULT_TTL,
): Buffer {
  const packet = Buffer.alloc(20 + payload.length);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0x4000, 6);
  packet[8] = ttl;
  packet[9] = protocol;
  source.copy(packet, 12);
  destination.copy(packet, 16);
  packet.writeUInt16BE(checksum(packet, 0, 20), 10);
  payload.copy(packet, 20);
  return packet;
}

export function ipv6(
  { source, destination }: IpAddresses,
  next: number,
  payload: Buffer,
  hopLimit = DEFAULT_TTL,
): Buffer {
  const packet = Buffer.alloc(40 + payload.length);
  packet[0] = 0x60;
  packet.writeUInt16BE(payload.length, 4);
  packet[6] = next;
  packet[7] = hopLimit;
  source.copy(packet, 8);
  destination.copy(packet, 24);
  payload.copy(packet, 40);
  return packet;
}

export function udp4(
  addresses: IpAddresses,
  sourcePort: number,
  destinationPort: number,
  payload: Buffer,
): Buffer {
  const datagram = Buffer.alloc(8 + payload.length);
  datagram.writeUInt16BE(sourcePort, 0);
  datagram.writeUInt16BE(destinationPort, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  payload.copy(datagram, 8);
  const packet = ipv4(addresses, IP_PROTOCOL.udp, datagram);
  const pseudo = pseudoHeaderSum(packet, 0, IP_PROTOCOL.udp, datagram.length);
  packet.writeUInt16BE(checksum(packet, 20, packet.length, pseudo) || 0xffff, 26);
  return packet;
}

/** An ICMPv6 packet with its checksum (RFC 4443, 2.3) filled in. */
export function icmp6(addresses: IpAddresses, message: Buffer, hopLimit = 255): Buffer {
  const packet = ipv6(addresses, IP_PROTOCOL.icmp6, message, hopLimit);
  packet.writeUInt16BE(0, 42);
  const pseudo = pseudoHeaderSum(packet, 0, IP_PROTOCOL.icmp6, message.length);
  packet.writeUInt16BE(checksum(packet, 40, packet.length, pseudo), 42);
  return packet;
}

/** An ICMP packet with its checksum (RFC 792) filled in. */
export function icmp4(addresses: IpAddresses, message: Buffer): Buffer {
  const packet = ipv4(addresses, IP_PROTOCOL.icmp, message);
  packet.writeUInt16BE(0, 22);
  packet.writeUInt16BE(checksum(packet, 20, packet.length), 22);
  return packet;
}

/**
 * Fragments an IPv4 packet (RFC 791, 3.2). Options are copied to every fragment, which is allowed for all of them.
 */
export function fragment4(packet: Buffer, mtu: number): Buffer[] {
  const header = ((packet[0] as number) & 0x0f) * 4;
  const first = packet.readUInt16BE(6);
  const base = (first & 0x1fff) * 8;
  const moreBehind = (first & 0x2000) !== 0;
  const step = Math.floor((mtu - header) / 8) * 8;
  const fragments: Buffer[] = [];
  for (let offset = header; offset < packet.length; offset += step) {
    const end = Math.min(offset + step, packet.length);
    const part = Buffer.concat([packet.subarray(0, header), packet.subarray(offset, end)]);
    const more = end < packet.length || moreBehind;
    part.writeUInt16BE(part.length, 2);
    part.writeUInt16BE((more ? 0x2000 : 0) | ((base + offset - header) / 8), 6);
    part.writeUInt16BE(0, 10);
    part.writeUInt16BE(checksum(part, 0, header), 10);
    fragments.push(part);
  }
  return fragments;
}
