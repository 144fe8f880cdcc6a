/** From IPv6 to IPv4 (RFC 7915, 5). Stateless; packets begin with their IP header. */
import { checksum, onesSum } from '../../switch/index.ts';
import { fragment4, icmpError } from '../../switch/services/index.ts';
import type { AddressMapper } from './addresses.ts';
import { type Header6, isUnicast, PROTOCOL, readHeader6 } from './headers.ts';
import { echoTo4, errorTo4, quotedPacket } from './icmp.ts';
import { dropped, type Outcome } from './outcome.ts';
import type { TranslatorOptions } from './translator.ts';
import { addressSum, adjustEcho, adjustPorts, icmp6Sum } from './upper-layer.ts';

/** 5.1: a packet up to this may be fragmented on its way, so that a path with a small MTU is no black hole. */
const MAY_FRAGMENT_BYTES = 1260;
/** RFC 1812, 4.3.2.3. */
const MAX_ERROR4_BYTES = 576;

export function translate6to4(packet: Buffer, options: TranslatorOptions): Outcome {
  const header = readHeader6(packet);
  if (header === undefined) return dropped('malformed');
  if (!isUnicast(header.source) || !isUnicast(header.destination)) return dropped('not-unicast');
  const { own6, addresses } = options;
  const reply = (problem: Parameters<typeof icmpError>[2]): Outcome => {
    const answer = own6 === undefined ? undefined : icmpError(packet, own6, problem);
    return answer === undefined ? dropped('no-reply-address') : { kind: 'reply', packet: answer };
  };
  if (header.segmentsLeftAt !== undefined)
    return reply({ kind: 'erroneous-field', at: header.segmentsLeftAt });
  if (header.hops <= 1) return reply({ kind: 'time-exceeded' });
  const isError = isIcmpError(header);
  // RFC 6791: a router on the way has no IPv4 address; its errors come from the translator's.
  const source = addresses.to4(header.source) ?? (isError ? options.own4 : undefined);
  const destination = addresses.to4(header.destination);
  if (source === undefined || destination === undefined) return dropped('no-address');
  const made = upperLayer(header, source, destination, options);
  if (!Buffer.isBuffer(made)) return made;
  const { fragment } = header;
  const bytes = 20 + made.length;
  const dontFragment = fragment === undefined && bytes > MAY_FRAGMENT_BYTES;
  if (bytes > options.mtu4 && dontFragment && !isError)
    return reply({ kind: 'too-big', mtu: options.mtu4 + 20 });
  const translated = header4(
    {
      ...{ ...header, source, destination, dontFragment },
      hops: header.hops - 1,
      protocol: protocolIn4(header.protocol),
      identification: identificationOf(header, dontFragment, options),
    },
    made,
    made.length,
  );
  const packets =
    bytes > options.mtu4 && !dontFragment ? fragment4(translated, options.mtu4) : [translated];
  return { kind: 'translated', packets };
}

function upperLayer(
  header: Header6,
  source: Buffer,
  destination: Buffer,
  options: TranslatorOptions,
): Buffer | Outcome {
  const { fragment, protocol, payload } = header;
  const before = addressSum(header.source, header.destination);
  if (protocol === PROTOCOL.icmp6) {
    if (fragment !== undefined) return dropped('fragmented-icmp');
    return icmpMessage(payload, before, options);
  }
  const copy = Buffer.from(payload);
  if (fragment === undefined || fragment.offset === 0)
    adjustPorts(copy, protocol, before, addressSum(source, destination));
  return copy;
}

function icmpMessage(
  message: Buffer,
  addresses: number,
  options: TranslatorOptions,
): Buffer | Outcome {
  if (message.length < 8) return dropped('malformed');
  const pseudo = icmp6Sum(addresses, message.length);
  const echo = echoTo4(message[0] as number);
  if (echo !== undefined) {
    const copy = Buffer.from(message);
    adjustEcho(copy, echo, pseudo, 0);
    return copy;
  }
  if (onesSum(message, 0, message.length, pseudo) !== 0xffff) return dropped('malformed');
  const error = errorTo4(message, options);
  const inner =
    error === undefined
      ? undefined
      : translateQuoted6(quotedPacket(message, 4, quotedWords(message)), options.addresses);
  if (error === undefined || inner === undefined) return dropped('untranslatable-icmp');
  const made = Buffer.concat([Buffer.alloc(8), inner]).subarray(0, MAX_ERROR4_BYTES - 20);
  made.set([error.type, error.code]);
  made.writeUInt32BE(error.rest, 4);
  made.writeUInt16BE(checksum(made, 0, made.length), 2);
  return made;
}

/** Only Destination Unreachable and Time Exceeded have a length (RFC 4884, 4.4); in the others the byte is a part of a number. */
function quotedWords(message: Buffer): number {
  return message[0] === 1 || message[0] === 3 ? 8 : 0xffff;
}

/** The packet inside of an error (5.3). */
export function translateQuoted6(packet: Buffer, addresses: AddressMapper): Buffer | undefined {
  const header = readHeader6(packet, true);
  if (header === undefined) return undefined;
  const source = addresses.to4(header.source);
  const destination = addresses.to4(header.destination);
  if (source === undefined || destination === undefined) return undefined;
  const payload = Buffer.from(header.payload);
  const before = addressSum(header.source, header.destination);
  const isIcmp = header.protocol === PROTOCOL.icmp6;
  if (header.fragment === undefined || header.fragment.offset === 0) {
    const echo = isIcmp ? echoTo4(payload[0] ?? -1) : undefined;
    if (isIcmp && echo === undefined) return undefined;
    if (echo !== undefined) adjustEcho(payload, echo, icmp6Sum(before, header.payloadBytes), 0);
    else adjustPorts(payload, header.protocol, before, addressSum(source, destination));
  }
  const dontFragment =
    header.fragment === undefined && 20 + header.payloadBytes > MAY_FRAGMENT_BYTES;
  const identification = (header.fragment?.identification ?? 0) & 0xffff;
  return header4(
    {
      ...{ ...header, source, destination, dontFragment, identification },
      protocol: protocolIn4(header.protocol),
    },
    payload,
    header.payloadBytes,
  );
}

function isIcmpError({ protocol, payload, fragment }: Header6): boolean {
  // RFC 4443, 2.1: the high bit tells errors from the rest.
  return (
    protocol === PROTOCOL.icmp6 &&
    fragment === undefined &&
    payload.length > 0 &&
    (payload[0] as number) < 128
  );
}

function protocolIn4(protocol: number): number {
  return protocol === PROTOCOL.icmp6 ? PROTOCOL.icmp : protocol;
}

function identificationOf(
  { fragment }: Header6,
  dontFragment: boolean,
  { nextIdentification }: TranslatorOptions,
): number {
  if (fragment !== undefined) return fragment.identification & 0xffff;
  // RFC 6864, 4.1: a packet that is never cut needs none.
  return dontFragment ? 0 : nextIdentification() & 0xffff;
}

interface Header4Fields {
  readonly trafficClass: number;
  readonly hops: number;
  readonly protocol: number;
  readonly source: Buffer;
  readonly destination: Buffer;
  readonly dontFragment: boolean;
  readonly identification: number;
  readonly fragment: Header6['fragment'];
}

function header4(fields: Header4Fields, payload: Buffer, payloadBytes: number): Buffer {
  const { fragment } = fields;
  const packet = Buffer.alloc(20 + payload.length);
  packet[0] = 0x45;
  packet[1] = fields.trafficClass;
  packet.writeUInt16BE(Math.min(0xffff, 20 + payloadBytes), 2);
  packet.writeUInt16BE(fields.identification, 4);
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fragment?.more ? 0x2000 : 0);
  packet.writeUInt16BE(flags | ((fragment?.offset ?? 0) / 8), 6);
  packet[8] = fields.hops;
  packet[9] = fields.protocol;
  fields.source.copy(packet, 12);
  fields.destination.copy(packet, 16);
  packet.writeUInt16BE(checksum(packet, 0, 20), 10);
  payload.copy(packet, 20);
  return packet;
}
