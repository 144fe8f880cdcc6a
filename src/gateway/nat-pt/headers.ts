/** IPv4 (RFC 791) and IPv6 (RFC 8200) headers as the translator reads them. */
import { onesSum } from '../../switch/index.ts';

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, fragment: 44, icmp6: 58 } as const;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;
/** Extension headers followed in one packet; more than any honest stack sends. */
const MAX_EXTENSION_HEADERS = 16;
const OPTION = { end: 0, noOperation: 1, looseSourceRoute: 131, strictSourceRoute: 137 } as const;

interface Header {
  readonly source: Buffer;
  readonly destination: Buffer;
  readonly trafficClass: number;
  readonly hops: number;
  /** Of the upper layer. */
  readonly protocol: number;
  /** Undefined for a whole packet. */
  readonly fragment: Fragment | undefined;
  /** What follows all headers, as far as it is here. */
  readonly payload: Buffer;
  /** How long that is said to be; of a packet quoted in an error it may be more than is here. */
  readonly payloadBytes: number;
}

export interface Fragment {
  readonly identification: number;
  /** Bytes. */
  readonly offset: number;
  readonly more: boolean;
}

export interface Header4 extends Header {
  readonly dontFragment: boolean;
  readonly identification: number;
  /** A source route that is not at its end (RFC 7915, 4.1). */
  readonly sourceRoute: boolean;
}

export interface Header6 extends Header {
  /** Offset of a segments-left field that is not zero (RFC 7915, 5.1). */
  readonly segmentsLeftAt: number | undefined;
}

/** @param quoted of a packet inside of an error, which may be cut off and whose checksum is nobody's business. */
export function readHeader4(packet: Buffer, quoted = false): Header4 | undefined {
  if (packet.length < 20) return undefined;
  const first = packet[0] as number;
  const headerBytes = (first & 0x0f) * 4;
  const totalBytes = packet.readUInt16BE(2);
  if (first >> 4 !== 4 || headerBytes < 20 || totalBytes < headerBytes) return undefined;
  if (packet.length < headerBytes) return undefined;
  if (!quoted && (totalBytes > packet.length || onesSum(packet, 0, headerBytes) !== 0xffff))
    return undefined;
  const flags = packet.readUInt16BE(6);
  const [more, offset] = [(flags & 0x2000) !== 0, (flags & 0x1fff) * 8];
  const identification = packet.readUInt16BE(4);
  return {
    source: packet.subarray(12, 16),
    destination: packet.subarray(16, 20),
    trafficClass: packet[1] as number,
    hops: packet[8] as number,
    protocol: packet[9] as number,
    fragment: more || offset > 0 ? { identification, offset, more } : undefined,
    identification,
    dontFragment: (flags & 0x4000) !== 0,
    sourceRoute: hasSourceRoute(packet.subarray(20, headerBytes)),
    payload: packet.subarray(headerBytes, Math.min(packet.length, totalBytes)),
    payloadBytes: totalBytes - headerBytes,
  };
}

function hasSourceRoute(options: Buffer): boolean {
  for (let at = 0; at < options.length; ) {
    const type = options[at] as number;
    if (type === OPTION.end) return false;
    const length = type === OPTION.noOperation ? 1 : (options[at + 1] ?? 0);
    const isRoute = type === OPTION.looseSourceRoute || type === OPTION.strictSourceRoute;
    if (isRoute && (options[at + 2] ?? 0) <= length) return true;
    if (length === 0) return false;
    at += length;
  }
  return false;
}

/** Extension headers but a fragment header are left out (RFC 7915, 5.1). */
export function readHeader6(packet: Buffer, quoted = false): Header6 | undefined {
  if (packet.length < 40 || (packet[0] as number) >> 4 !== 6) return undefined;
  const end = 40 + packet.readUInt16BE(4);
  if (!quoted && end > packet.length) return undefined;
  const here = Math.min(end, packet.length);
  let protocol = packet[6] as number;
  let at = 40;
  let fragment: Fragment | undefined;
  let segmentsLeftAt: number | undefined;
  for (let count = 0; isExtension(protocol); count++) {
    if (count === MAX_EXTENSION_HEADERS || at + 8 > here) return undefined;
    if (protocol === PROTOCOL.fragment) {
      const field = packet.readUInt16BE(at + 2);
      const [offset, more] = [field & 0xfff8, (field & 1) !== 0];
      fragment = { identification: packet.readUInt32BE(at + 4), offset, more };
    } else if (protocol === ROUTING && packet[at + 3] !== 0) segmentsLeftAt ??= at + 3;
    const bytes = protocol === PROTOCOL.fragment ? 8 : ((packet[at + 1] as number) + 1) * 8;
    protocol = packet[at] as number;
    at += bytes;
    // What follows the fragment header of a later fragment is data.
    if (fragment !== undefined && fragment.offset > 0) break;
  }
  if (at > here) return undefined;
  return {
    source: packet.subarray(8, 24),
    destination: packet.subarray(24, 40),
    trafficClass: (packet.readUInt16BE(0) >> 4) & 0xff,
    hops: packet[7] as number,
    protocol,
    fragment,
    segmentsLeftAt,
    payload: packet.subarray(at, here),
    payloadBytes: end - at,
  };
}

function isExtension(protocol: number): boolean {
  return [HOP_BY_HOP, ROUTING, PROTOCOL.fragment, DESTINATION_OPTIONS].includes(protocol);
}

/** Addresses that are no single host's: multicast, unspecified, broadcast, loopback and, of IPv6, link-local. */
export function isUnicast(address: Buffer): boolean {
  const first = address[0] as number;
  if (address.length === 4) return first !== 0 && first !== 127 && first < 224;
  if (first === 0xff) return false;
  if (first === 0xfe && ((address[1] as number) & 0xc0) === 0x80) return false;
  const low = address.subarray(0, 15).every((byte) => byte === 0);
  return !(low && (address[15] as number) <= 1);
}
