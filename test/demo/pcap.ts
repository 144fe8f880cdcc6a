/**
 * Reads captures as tcpdump writes them: classic pcap (draft-ietf-opsawg-pcap), microseconds or
 * nanoseconds, either byte order, Ethernet. Truncated packets are usual: only headers are needed.
 */
import { readFileSync } from 'node:fs';
import ipaddr from 'ipaddr.js';

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const LINK_ETHERNET = 1;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

export interface Packet {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** IANA protocol number; of IPv6 the first next header, as no extension headers are expected. */
  readonly protocol: number;
  /** What follows the IP header, as far as it was captured. */
  readonly payload: Buffer;
}

/** The IP packets of a capture, in its order. Throws when it is no such file. */
export function* readCapture(path: string): Generator<Packet> {
  const data = readFileSync(path);
  if (data.length < FILE_HEADER_BYTES) throw new Error(`${path} is no capture`);
  const little = [MAGIC_MICROSECONDS, MAGIC_NANOSECONDS].includes(data.readUInt32LE(0));
  const read = (at: number): number => (little ? data.readUInt32LE(at) : data.readUInt32BE(at));
  const magic = read(0);
  if (magic !== MAGIC_MICROSECONDS && magic !== MAGIC_NANOSECONDS)
    throw new Error(`${path} is no capture`);
  if ((read(20) & 0xffff) !== LINK_ETHERNET) throw new Error(`${path} is not of an Ethernet`);
  const fraction = magic === MAGIC_NANOSECONDS ? 1e-6 : 1e-3;
  for (let at = FILE_HEADER_BYTES; at + PACKET_HEADER_BYTES <= data.length; ) {
    const length = read(at + 8);
    const start = at + PACKET_HEADER_BYTES;
    // tcpdump may have been ended in the middle of a packet.
    if (start + length > data.length) return;
    const frame = data.subarray(start, start + length);
    const packet = ipPacket(frame, read(at) * 1000 + read(at + 4) * fraction);
    if (packet !== undefined) yield packet;
    at = start + length;
  }
}

function ipPacket(frame: Buffer, at: number): Packet | undefined {
  if (frame.length < 14) return undefined;
  const type = frame.readUInt16BE(12);
  const ip = frame.subarray(14);
  if (type === ETHERTYPE_IPV4 && ip.length >= 20) {
    const headerBytes = (ip.readUInt8(0) & 0x0f) * 4;
    return {
      ...{ at, version: 4, protocol: ip.readUInt8(9) },
      source: ip.subarray(12, 16).join('.'),
      destination: ip.subarray(16, 20).join('.'),
      payload: ip.subarray(headerBytes),
    };
  }
  if (type === ETHERTYPE_IPV6 && ip.length >= 40)
    return {
      ...{ at, version: 6, protocol: ip.readUInt8(6) },
      source: ip.toString('hex', 8, 24),
      destination: ip.toString('hex', 24, 40),
      payload: ip.subarray(40),
    };
  return undefined;
}

/** An address as `Packet` has it: IPv6 as 32 hexadecimal digits. */
export function addressText(address: string): string {
  const parsed = ipaddr.parse(address);
  return parsed.kind() === 'ipv4'
    ? parsed.toString()
    : Buffer.from(parsed.toByteArray()).toString('hex');
}
