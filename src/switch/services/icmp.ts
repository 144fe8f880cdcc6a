/** ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443): echo replies and errors that the gateway sends. */
import { onesSum } from '../checksum.ts';
import { IP_PROTOCOL } from '../fields.ts';
import { icmp4, icmp6 } from './ip.ts';

/** RFC 4443, 2.4(c): an error is never longer than the minimum MTU. */
const MAX_ERROR6_BYTES = 1280;
/** RFC 1812, 4.3.2.3: as much of the original as fits in 576 bytes. */
const MAX_ERROR4_BYTES = 576;

export type IcmpProblem =
  | { readonly kind: 'time-exceeded' }
  | { readonly kind: 'too-big'; readonly mtu: number }
  | { readonly kind: 'unreachable' }
  /** RFC 7915, 4.1: only of IPv4. */
  | { readonly kind: 'source-route-failed' }
  /** RFC 4443, 3.4, of the byte at an offset in the packet: only of IPv6. */
  | { readonly kind: 'erroneous-field'; readonly at: number };

/** The reply to an echo request, both whole IP packets; undefined when it is none or its checksum is wrong. */
export function echoReply(packet: Buffer): Buffer | undefined {
  return (packet[0] as number) >> 4 === 4 ? echoReply4(packet) : echoReply6(packet);
}

/**
 * The error for `packet`, from `source`, a gateway address of the packet's family.
 * @returns undefined for packets that must not cause one (RFC 1812, 4.3.2.7; RFC 4443, 2.4(e)).
 */
export function icmpError(packet: Buffer, source: Buffer, problem: IcmpProblem) {
  return (packet[0] as number) >> 4 === 4
    ? icmpError4(packet, source, problem)
    : icmpError6(packet, source, problem);
}

function echoReply4(packet: Buffer): Buffer | undefined {
  const header = ((packet[0] as number) & 0x0f) * 4;
  if (packet[9] !== IP_PROTOCOL.icmp || packet.length < header + 8) return undefined;
  if (packet[header] !== 8 || packet[header + 1] !== 0) return undefined;
  // Replying to a fragment would need reassembly; nobody pings a gateway with more than its MTU.
  if ((packet.readUInt16BE(6) & 0x3fff) !== 0) return undefined;
  if (onesSum(packet, header, packet.length) !== 0xffff) return undefined;
  const message = Buffer.from(packet.subarray(header));
  message[0] = 0;
  return icmp4({ source: packet.subarray(16, 20), destination: packet.subarray(12, 16) }, message);
}

function echoReply6(packet: Buffer): Buffer | undefined {
  if (packet[6] !== IP_PROTOCOL.icmp6 || packet.length < 48 || packet[40] !== 128) return undefined;
  const message = Buffer.from(packet.subarray(40));
  message[0] = 129;
  const addresses = { source: packet.subarray(24, 40), destination: packet.subarray(8, 24) };
  return icmp6(addresses, message, 64);
}

function icmpError4(packet: Buffer, source: Buffer, problem: IcmpProblem): Buffer | undefined {
  const header = ((packet[0] as number) & 0x0f) * 4;
  const laterFragment = (packet.readUInt16BE(6) & 0x1fff) !== 0;
  const destination = packet[16] as number;
  const origin = packet[12] as number;
  if (laterFragment || destination >= 224 || origin === 0 || origin >= 224) return undefined;
  const icmpType = packet[header] as number;
  const isQuery = [0, 8, 13, 14].includes(icmpType);
  if (packet[9] === IP_PROTOCOL.icmp && !isQuery) return undefined;
  const message = Buffer.alloc(8);
  if (problem.kind === 'time-exceeded') message[0] = 11;
  else if (problem.kind === 'unreachable') message.set([3, 1]);
  else if (problem.kind === 'source-route-failed') message.set([3, 5]);
  else if (problem.kind === 'erroneous-field') return undefined;
  else {
    // RFC 1191, 4: the MTU of the next hop in the low half.
    message.set([3, 4]);
    message.writeUInt16BE(problem.mtu, 6);
  }
  const quoted = packet.subarray(0, MAX_ERROR4_BYTES - 28);
  return icmp4({ source, destination: packet.subarray(12, 16) }, Buffer.concat([message, quoted]));
}

function icmpError6(packet: Buffer, source: Buffer, problem: IcmpProblem): Buffer | undefined {
  const origin = packet.subarray(8, 24);
  if (origin[0] === 0xff || origin.every((byte) => byte === 0)) return undefined;
  const isError = packet[6] === IP_PROTOCOL.icmp6 && (packet[40] as number) < 128;
  if (isError) return undefined;
  // RFC 4443, 2.4(e.3): Packet Too Big is the one that a multicast packet may cause.
  if (packet[24] === 0xff && problem.kind !== 'too-big') return undefined;
  const message = Buffer.alloc(8);
  if (problem.kind === 'time-exceeded') message[0] = 3;
  else if (problem.kind === 'unreachable') message.set([1, 3]);
  else if (problem.kind === 'source-route-failed') return undefined;
  else if (problem.kind === 'erroneous-field') {
    message[0] = 4;
    message.writeUInt32BE(problem.at, 4);
  } else {
    message[0] = 2;
    message.writeUInt32BE(problem.mtu, 4);
  }
  const quoted = packet.subarray(0, MAX_ERROR6_BYTES - 48);
  return icmp6({ source, destination: origin }, Buffer.concat([message, quoted]), 64);
}
