/** From IPv4 to IPv6 (RFC 7915, 4). Stateless; packets begin with their IP header. */
import { onesSum } from '../../switch/index.ts';
import { icmpError } from '../../switch/services/index.ts';
import type { AddressMapper } from './addresses.ts';
import { type Fragment, type Header4, isUnicast, PROTOCOL, readHeader4 } from './headers.ts';
import { echoTo6, errorTo6, LEAST_MTU6, quotedPacket } from './icmp.ts';
import { dropped, type Outcome } from './outcome.ts';
import type { TranslatorOptions } from './translator.ts';
import { addressSum, adjustEcho, adjustPorts, fillUdpChecksum, icmp6Sum } from './upper-layer.ts';

/** RFC 4443, 2.4(c): an error is never longer than this. */
const MAX_ERROR6_BYTES = LEAST_MTU6;
const FRAGMENT_HEADER_BYTES = 8;

export function translate4to6(packet: Buffer, options: TranslatorOptions): Outcome {
  const header = readHeader4(packet);
  if (header === undefined) return dropped('malformed');
  if (!isUnicast(header.source) || !isUnicast(header.destination)) return dropped('not-unicast');
  const { own4, addresses } = options;
  const reply = (problem: Parameters<typeof icmpError>[2]): Outcome => {
    const answer = own4 === undefined ? undefined : icmpError(packet, own4, problem);
    return answer === undefined ? dropped('no-reply-address') : { kind: 'reply', packet: answer };
  };
  if (header.sourceRoute) return reply({ kind: 'source-route-failed' });
  if (header.hops <= 1) return reply({ kind: 'time-exceeded' });
  const isError = isIcmpError(header);
  const source = addresses.to6(header.source) ?? (isError ? options.own6 : undefined);
  const destination = addresses.to6(header.destination);
  if (source === undefined || destination === undefined) return dropped('no-address');
  const made = upperLayer(header, source, destination, options);
  if (!Buffer.isBuffer(made)) return made;
  const protocol = header.protocol === PROTOCOL.icmp ? PROTOCOL.icmp6 : header.protocol;
  const fields = { ...header, source, destination, protocol, hops: header.hops - 1 };
  const bytes = 40 + (header.fragment === undefined ? 0 : FRAGMENT_HEADER_BYTES) + made.length;
  if (header.dontFragment) {
    const room = options.mtu6 - (bytes - made.length) + 20;
    if (bytes > options.mtu6 && !isError) return reply({ kind: 'too-big', mtu: room });
    return { kind: 'translated', packets: [header6(fields, made, header.fragment)] };
  }
  return { kind: 'translated', packets: fragments(fields, made, header, isError, options) };
}

function upperLayer(
  header: Header4,
  source: Buffer,
  destination: Buffer,
  options: TranslatorOptions,
): Buffer | Outcome {
  const { fragment, protocol, payload } = header;
  if (protocol === PROTOCOL.icmp) {
    // Its checksum covers bytes that are not here (RFC 7915, 1.2).
    if (fragment !== undefined) return dropped('fragmented-icmp');
    return icmpMessage(payload, source, destination, options);
  }
  const copy = Buffer.from(payload);
  if (fragment !== undefined && fragment.offset > 0) return copy;
  const before = addressSum(header.source, header.destination);
  if (adjustPorts(copy, protocol, before, addressSum(source, destination))) return copy;
  if (fragment !== undefined) return dropped('fragment-without-checksum');
  const whole = header6({ ...header, source, destination }, copy, undefined);
  fillUdpChecksum(whole);
  return whole.subarray(40);
}

function icmpMessage(
  message: Buffer,
  source: Buffer,
  destination: Buffer,
  options: TranslatorOptions,
): Buffer | Outcome {
  if (message.length < 8) return dropped('malformed');
  const sum = addressSum(source, destination);
  const echo = echoTo6(message[0] as number);
  if (echo !== undefined) {
    const copy = Buffer.from(message);
    adjustEcho(copy, echo, 0, icmp6Sum(sum, copy.length));
    return copy;
  }
  // A new message is made of it, so that a damaged one must not get a right checksum.
  if (onesSum(message, 0, message.length) !== 0xffff) return dropped('malformed');
  const quoted = quotedPacket(message, 5, 4);
  if (quoted.length < 20) return dropped('untranslatable-icmp');
  const error = errorTo6(message, quoted.readUInt16BE(2), options);
  const inner = error === undefined ? undefined : translateQuoted4(quoted, options.addresses);
  if (error === undefined || inner === undefined) return dropped('untranslatable-icmp');
  const made = Buffer.concat([Buffer.alloc(8), inner]).subarray(0, MAX_ERROR6_BYTES - 40);
  made.set([error.type, error.code]);
  made.writeUInt32BE(error.rest, 4);
  const covered = onesSum(made, 0, made.length, icmp6Sum(sum, made.length));
  made.writeUInt16BE(~covered & 0xffff, 2);
  return made;
}

/** The packet inside of an error (4.3): it may be cut off, its hop count stays, and its addresses must be known. */
export function translateQuoted4(packet: Buffer, addresses: AddressMapper): Buffer | undefined {
  const header = readHeader4(packet, true);
  if (header === undefined) return undefined;
  const source = addresses.to6(header.source);
  const destination = addresses.to6(header.destination);
  if (source === undefined || destination === undefined) return undefined;
  const payload = Buffer.from(header.payload);
  const after = addressSum(source, destination);
  const isIcmp = header.protocol === PROTOCOL.icmp;
  if (header.fragment === undefined || header.fragment.offset === 0) {
    const echo = isIcmp ? echoTo6(payload[0] ?? -1) : undefined;
    if (isIcmp && echo === undefined) return undefined;
    if (echo !== undefined) adjustEcho(payload, echo, 0, icmp6Sum(after, header.payloadBytes));
    else
      adjustPorts(payload, header.protocol, addressSum(header.source, header.destination), after);
  }
  const protocol = isIcmp ? PROTOCOL.icmp6 : header.protocol;
  const made = header6({ ...header, source, destination, protocol }, payload, header.fragment);
  // What the sender had sent, not what is left of it.
  const extra = header.fragment === undefined ? 0 : FRAGMENT_HEADER_BYTES;
  made.writeUInt16BE(Math.min(0xffff, header.payloadBytes + extra), 4);
  return made;
}

function isIcmpError({ protocol, payload, fragment }: Header4): boolean {
  return (
    protocol === PROTOCOL.icmp &&
    fragment === undefined &&
    payload.length > 0 &&
    echoTo6(payload[0] as number) === undefined
  );
}

/** A packet that may be fragmented is, above what every IPv6 link takes (4). */
function fragments(
  fields: Header6Fields,
  payload: Buffer,
  { fragment, identification }: Header4,
  isError: boolean,
  { mtu6 }: TranslatorOptions,
): Buffer[] {
  const most = Math.min(mtu6, LEAST_MTU6);
  const header = fragment === undefined ? 40 : 40 + FRAGMENT_HEADER_BYTES;
  if (isError || header + payload.length <= most) return [header6(fields, payload, fragment)];
  const step = Math.floor((most - 40 - FRAGMENT_HEADER_BYTES) / 8) * 8;
  const base = fragment?.offset ?? 0;
  const packets: Buffer[] = [];
  for (let at = 0; at < payload.length; at += step) {
    const part = payload.subarray(at, at + step);
    const more = at + step < payload.length || (fragment?.more ?? false);
    packets.push(header6(fields, part, { identification, offset: base + at, more }));
  }
  return packets;
}

interface Header6Fields {
  readonly trafficClass: number;
  readonly hops: number;
  readonly protocol: number;
  readonly source: Buffer;
  readonly destination: Buffer;
}

function header6(fields: Header6Fields, payload: Buffer, fragment: Fragment | undefined): Buffer {
  const extra = fragment === undefined ? 0 : FRAGMENT_HEADER_BYTES;
  const packet = Buffer.alloc(40 + extra + payload.length);
  packet.writeUInt32BE(((6 << 28) | (fields.trafficClass << 20)) >>> 0, 0);
  packet.writeUInt16BE(extra + payload.length, 4);
  packet[6] = fragment === undefined ? fields.protocol : PROTOCOL.fragment;
  packet[7] = fields.hops;
  fields.source.copy(packet, 8);
  fields.destination.copy(packet, 24);
  if (fragment !== undefined) {
    packet[40] = fields.protocol;
    packet.writeUInt16BE(fragment.offset | (fragment.more ? 1 : 0), 42);
    packet.writeUInt32BE(fragment.identification, 44);
  }
  payload.copy(packet, 40 + extra);
  return packet;
}
