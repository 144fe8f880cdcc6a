/** Random Ethernet frames with the values of the fields they have. Few values each, so that random flows meet them. */

import type { FieldName } from '../../../src/openflow/index.ts';
import { checksum, pseudoHeaderSum } from '../../../src/switch/checksum.ts';
import { crc32c } from '../../../src/switch/crc32c.ts';
import type { Random } from './random.ts';

export type Fields = Partial<Record<FieldName, bigint>>;

export interface RandomFrame {
  readonly frame: Buffer;
  /** Those that a switch sees when it looks at the frame. */
  readonly fields: Fields;
}

const MACS = ['020000000001', '020000000002', '0a0b0c0d0e0f'];
const V4 = ['0a000001', '0a000002', 'c0000207', 'e0000001'];
const V6 = [
  '20010db8000000000000000000000001',
  '20010db8000000010000000000000002',
  'fe800000000000000000000000000001',
];
const PORTS = [1, 53, 80, 4789, 65535];

export function randomFrame(random: Random): RandomFrame {
  const fields: Fields = { in_port: 1n };
  const header = Buffer.concat([
    pick(fields, 'eth_dst', MACS, random),
    pick(fields, 'eth_src', MACS, random),
  ]);
  const tags: Buffer[] = [];
  const count = random.of([0, 0, 0, 1, 1, 2]);
  fields.vlan_vid = 0n;
  for (let n = 0; n < count; n++) {
    const [vid, pcp] = [random.of([0, 1, 100, 4095]), random.below(8)];
    const tag = Buffer.alloc(4);
    tag.writeUInt16BE(n + 1 < count ? 0x88a8 : 0x8100, 0);
    tag.writeUInt16BE((pcp << 13) | vid, 2);
    tags.push(tag);
    if (n > 0) continue;
    fields.vlan_vid = BigInt(0x1000 | vid);
    fields.vlan_pcp = BigInt(pcp);
  }
  const [ethType, payload] = random.of([ipv4, ipv4, ipv4, ipv6, ipv6, ipv6, arp, mpls, other])(
    fields,
    random,
  );
  fields.eth_type = BigInt(ethType);
  const type = Buffer.alloc(2);
  type.writeUInt16BE(ethType);
  return { frame: Buffer.concat([header, ...tags, type, payload]), fields };
}

type Layer = (fields: Fields, random: Random) => [type: number, payload: Buffer];

function pick(fields: Fields, name: FieldName, values: readonly string[], random: Random): Buffer {
  const hex = random.of(values);
  fields[name] = BigInt(`0x${hex}`);
  return Buffer.from(hex, 'hex');
}

const other: Layer = (_fields, random) => [0x88b5, random.bytes(46)];

const arp: Layer = (fields, random) => {
  const packet = Buffer.from('0001080006040001', 'hex');
  packet[7] = random.of([1, 2]);
  fields.arp_op = BigInt(packet[7]);
  const parts = [
    pick(fields, 'arp_sha', MACS, random),
    pick(fields, 'arp_spa', V4, random),
    pick(fields, 'arp_tha', MACS, random),
    pick(fields, 'arp_tpa', V4, random),
  ];
  return [0x0806, Buffer.concat([packet, ...parts, Buffer.alloc(18)])];
};

const mpls: Layer = (fields, random) => {
  const labels = random.of([1, 1, 2]);
  const stack = Buffer.alloc(4 * labels);
  for (let n = 0; n < labels; n++) {
    const [label, tc, ttl] = [
      random.of([16, 100, 0xfffff]),
      random.below(8),
      random.of([1, 2, 64]),
    ];
    const bottom = n + 1 === labels ? 1 : 0;
    stack.writeUInt32BE(((label << 12) | (tc << 9) | (bottom << 8) | ttl) >>> 0, 4 * n);
    if (n > 0) continue;
    Object.assign(fields, {
      mpls_label: BigInt(label),
      mpls_tc: BigInt(tc),
      mpls_bos: BigInt(bottom),
    });
  }
  const [, inner] = random.of([ipv4, ipv6])({}, random);
  return [0x8847, Buffer.concat([stack, inner])];
};

const ipv4: Layer = (fields, random) => {
  const options = random.of([0, 0, 0, 4]);
  const header = Buffer.alloc(20 + options);
  header[0] = 0x45 + options / 4;
  header[1] = random.of([0, 0x28, 0xb9, 0xff]);
  header[8] = random.of([1, 2, 64, 255]);
  // Later pieces of a packet, too. Of the first one Open vSwitch does not show the ports, which 7.3.2 asks for.
  const fragment = random.of([0, 0, 0, 0x4000, 0x2010, 0x0010]);
  header.writeUInt16BE(fragment, 6);
  const source = pick(fields, 'ipv4_src', V4, random);
  const destination = pick(fields, 'ipv4_dst', V4, random);
  source.copy(header, 12);
  destination.copy(header, 16);
  if (options > 0) header.set([1, 1, 1, 0], 20);
  const trafficClass = header[1] as number;
  fields.ip_dscp = BigInt(trafficClass >> 2);
  fields.ip_ecn = BigInt(trafficClass & 3);
  // Open vSwitch takes the beginning of later pieces for a header of layer 4, and writes to it.
  const later = (fragment & 0x1fff) !== 0;
  const upper = later ? unknown : random.of([tcp, udp, udp, sctp, icmp, unknown]);
  const [protocol, payload] = upper(fields, random);
  fields.ip_proto = BigInt(protocol);
  header[9] = protocol;
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(checksum(header, 0, header.length), 10);
  const packet = Buffer.concat([header, payload]);
  if ((fragment & 0x3fff) === 0) sum(packet, header.length, protocol, random);
  return [0x0800, Buffer.concat([packet, Buffer.alloc(random.of([0, 0, 6]))])];
};

const ipv6: Layer = (fields, random) => {
  const header = Buffer.alloc(40);
  const [label, trafficClass] = [
    random.of([0, 0x12345, 0xfffff]),
    random.of([0, 0x28, 0xb9, 0xff]),
  ];
  header.writeUInt32BE(((6 << 28) | (trafficClass << 20) | label) >>> 0, 0);
  header[7] = random.of([1, 2, 64, 255]);
  pick(fields, 'ipv6_src', V6, random).copy(header, 8);
  pick(fields, 'ipv6_dst', V6, random).copy(header, 24);
  Object.assign(fields, {
    ipv6_flabel: BigInt(label),
    ip_dscp: BigInt(trafficClass >> 2),
    ip_ecn: BigInt(trafficClass & 3),
  });
  const [protocol, payload] = random.of([tcp, udp, sctp, icmp6, icmp6, neighbour, unknown])(
    fields,
    random,
  );
  fields.ip_proto = BigInt(protocol);
  const extensions: Buffer[] = [];
  let next = protocol;
  for (const type of random.of([[], [], [], [60], [0], [0, 60], [51], [0, 43, 60]]).toReversed()) {
    const extension = Buffer.alloc(type === 51 ? 12 : 8);
    extension[0] = next;
    extension[1] = type === 51 ? 1 : 0;
    if (type === 0 || type === 60) extension.set([1, 4, 0, 0, 0, 0], 2);
    extensions.unshift(extension);
    next = type;
  }
  header[6] = next;
  const middle = Buffer.concat(extensions);
  header.writeUInt16BE(middle.length + payload.length, 4);
  const packet = Buffer.concat([header, middle, payload]);
  sum(packet, 40 + middle.length, protocol, random);
  return [0x86dd, packet];
};

/** Puts in the checksum of layer 4. */
function sum(packet: Buffer, l4: number, protocol: number, random: Random): void {
  const bytes = packet.length - l4;
  const at = { 6: 16, 17: 6, 58: 2, 1: 2 }[protocol];
  if (protocol === 132) packet.writeUInt32LE(crc32c(packet, l4, packet.length, l4 + 8), l4 + 8);
  if (at === undefined) return;
  packet.writeUInt16BE(0, l4 + at);
  const v4 = (packet[0] as number) >> 4 === 4;
  if (protocol === 17 && v4 && random.below(4) === 0) return;
  const initial = protocol === 1 ? 0 : pseudoHeaderSum(packet, 0, protocol, bytes);
  const value = checksum(packet, l4, packet.length, initial);
  packet.writeUInt16BE(protocol === 17 && value === 0 ? 0xffff : value, l4 + at);
}

function ports(fields: Fields, random: Random, name: 'tcp' | 'udp' | 'sctp'): Buffer {
  const [source, destination] = [random.of(PORTS), random.of(PORTS)];
  fields[`${name}_src`] = BigInt(source);
  fields[`${name}_dst`] = BigInt(destination);
  const both = Buffer.alloc(4);
  both.writeUInt16BE(source, 0);
  both.writeUInt16BE(destination, 2);
  return both;
}

const tcp: Layer = (fields, random) => {
  const rest = Buffer.from('0000000100000002501020000000000048656c6c6f', 'hex');
  return [6, Buffer.concat([ports(fields, random, 'tcp'), rest])];
};

const udp: Layer = (fields, random) => {
  const data = random.bytes(random.of([0, 5, 18]));
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(8 + data.length, 0);
  return [17, Buffer.concat([ports(fields, random, 'udp'), rest, data])];
};

const sctp: Layer = (fields, random) => [
  132,
  Buffer.concat([ports(fields, random, 'sctp'), Buffer.alloc(8), random.bytes(12)]),
];

const icmp: Layer = (fields, random) => {
  const [type, code] = [random.of([0, 3, 8]), random.below(2)];
  Object.assign(fields, { icmpv4_type: BigInt(type), icmpv4_code: BigInt(code) });
  return [1, Buffer.concat([Buffer.from([type, code, 0, 0]), random.bytes(12)])];
};

const icmp6: Layer = (fields, random) => {
  const [type, code] = [random.of([1, 128, 129]), random.below(2)];
  Object.assign(fields, { icmpv6_type: BigInt(type), icmpv6_code: BigInt(code) });
  return [58, Buffer.concat([Buffer.from([type, code, 0, 0]), random.bytes(12)])];
};

const neighbour: Layer = (fields, random) => {
  const type = random.of([135, 136]);
  Object.assign(fields, { icmpv6_type: BigInt(type), icmpv6_code: 0n });
  const target = pick(fields, 'ipv6_nd_target', V6, random);
  const address = pick(fields, type === 135 ? 'ipv6_nd_sll' : 'ipv6_nd_tll', MACS, random);
  const option = Buffer.concat([Buffer.from([type === 135 ? 1 : 2, 1]), address]);
  return [58, Buffer.concat([Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]), target, option])];
};

const unknown: Layer = (_fields, random) => [253, random.bytes(20)];
