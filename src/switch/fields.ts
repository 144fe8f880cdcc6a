/**
 * OpenFlow 1.3 match fields (OpenFlow 1.3.5, 7.2.3.7, table 12) as a table, and where each lives in a flow key.
 *
 * A flow key is a vector of 32-bit words. Fields that can never occur in one packet together share words;
 * the prerequisites of a match (table 12, last column), which are checked when a flow is added, keep
 * that unambiguous:
 *
 *    0        in_port                         17      tcp/udp/sctp src << 16 | dst, icmp type << 16 | code
 *    1..2     metadata                        18      ipv6_flabel
 *    3..4     eth_dst                         19..22  nd_target
 *    5..6     eth_src                         23..24  arp_sha, nd_sll
 *    7        eth_type                        25..26  arp_tha, nd_tll
 *    8        dscp << 10 | ecn << 8 | ip_proto, or arp_op
 *    9..12    IPv6 source; IPv4 source or arp_spa in the first
 *    13..16   IPv6 destination; IPv4 destination or arp_tpa in the first
 */
export const KEY_WORDS = 27;

export const WORD = {
  inPort: 0,
  metadata: 1,
  ethDst: 3,
  ethSrc: 5,
  ethType: 7,
  protocol: 8,
  source: 9,
  destination: 13,
  l4: 17,
  flowLabel: 18,
  ndTarget: 19,
  hardware1: 23,
  hardware2: 25,
} as const;

export const ETH_TYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 } as const;

export interface FieldDefinition {
  /** OXM field number in class OFPXMC_OPENFLOW_BASIC. */
  readonly oxm: number;
  readonly bits: number;
  readonly word: number;
  readonly shift: number;
  /** Values one of which the match must name exactly, per field. */
  readonly requires?: Readonly<Record<string, readonly number[]>>;
}

const ip = { eth_type: [ETH_TYPE.ipv4, ETH_TYPE.ipv6] };
const v4 = { eth_type: [ETH_TYPE.ipv4] };
const v6 = { eth_type: [ETH_TYPE.ipv6] };
const arp = { eth_type: [ETH_TYPE.arp] };
const over = (protocol: number) => ({ ...ip, ip_proto: [protocol] });
const icmp4 = { ...v4, ip_proto: [IP_PROTOCOL.icmp] };
const icmp6 = { ...v6, ip_proto: [IP_PROTOCOL.icmp6] };
const nd = (...types: number[]) => ({ ...icmp6, icmpv6_type: types });

export const fields = {
  in_port: { oxm: 0, bits: 32, word: WORD.inPort, shift: 0 },
  metadata: { oxm: 2, bits: 64, word: WORD.metadata, shift: 0 },
  eth_dst: { oxm: 3, bits: 48, word: WORD.ethDst, shift: 0 },
  eth_src: { oxm: 4, bits: 48, word: WORD.ethSrc, shift: 0 },
  eth_type: { oxm: 5, bits: 16, word: WORD.ethType, shift: 0 },
  ip_dscp: { oxm: 8, bits: 6, word: WORD.protocol, shift: 10, requires: ip },
  ip_ecn: { oxm: 9, bits: 2, word: WORD.protocol, shift: 8, requires: ip },
  ip_proto: { oxm: 10, bits: 8, word: WORD.protocol, shift: 0, requires: ip },
  ipv4_src: { oxm: 11, bits: 32, word: WORD.source, shift: 0, requires: v4 },
  ipv4_dst: { oxm: 12, bits: 32, word: WORD.destination, shift: 0, requires: v4 },
  tcp_src: { oxm: 13, bits: 16, word: WORD.l4, shift: 16, requires: over(IP_PROTOCOL.tcp) },
  tcp_dst: { oxm: 14, bits: 16, word: WORD.l4, shift: 0, requires: over(IP_PROTOCOL.tcp) },
  udp_src: { oxm: 15, bits: 16, word: WORD.l4, shift: 16, requires: over(IP_PROTOCOL.udp) },
  udp_dst: { oxm: 16, bits: 16, word: WORD.l4, shift: 0, requires: over(IP_PROTOCOL.udp) },
  sctp_src: { oxm: 17, bits: 16, word: WORD.l4, shift: 16, requires: over(IP_PROTOCOL.sctp) },
  sctp_dst: { oxm: 18, bits: 16, word: WORD.l4, shift: 0, requires: over(IP_PROTOCOL.sctp) },
  icmpv4_type: { oxm: 19, bits: 8, word: WORD.l4, shift: 16, requires: icmp4 },
  icmpv4_code: { oxm: 20, bits: 8, word: WORD.l4, shift: 0, requires: icmp4 },
  arp_op: { oxm: 21, bits: 16, word: WORD.protocol, shift: 0, requires: arp },
  arp_spa: { oxm: 22, bits: 32, word: WORD.source, shift: 0, requires: arp },
  arp_tpa: { oxm: 23, bits: 32, word: WORD.destination, shift: 0, requires: arp },
  arp_sha: { oxm: 24, bits: 48, word: WORD.hardware1, shift: 0, requires: arp },
  arp_tha: { oxm: 25, bits: 48, word: WORD.hardware2, shift: 0, requires: arp },
  ipv6_src: { oxm: 26, bits: 128, word: WORD.source, shift: 0, requires: v6 },
  ipv6_dst: { oxm: 27, bits: 128, word: WORD.destination, shift: 0, requires: v6 },
  ipv6_flabel: { oxm: 28, bits: 20, word: WORD.flowLabel, shift: 0, requires: v6 },
  icmpv6_type: { oxm: 29, bits: 8, word: WORD.l4, shift: 16, requires: icmp6 },
  icmpv6_code: { oxm: 30, bits: 8, word: WORD.l4, shift: 0, requires: icmp6 },
  ipv6_nd_target: { oxm: 31, bits: 128, word: WORD.ndTarget, shift: 0, requires: nd(135, 136) },
  ipv6_nd_sll: { oxm: 32, bits: 48, word: WORD.hardware1, shift: 0, requires: nd(135) },
  ipv6_nd_tll: { oxm: 33, bits: 48, word: WORD.hardware2, shift: 0, requires: nd(136) },
} as const satisfies Record<string, FieldDefinition>;

export type FieldName = keyof typeof fields;

const definitions: Readonly<Record<FieldName, FieldDefinition>> = fields;

export function fieldDefinition(name: FieldName): FieldDefinition {
  return definitions[name];
}

/** Writes a field's value into a key or mask, most significant word first. */
export function putField(words: Uint32Array, name: FieldName, value: bigint): void {
  const { bits, word, shift } = definitions[name];
  if (bits <= 32) {
    words[word] = (words[word] as number) | ((Number(value) << shift) >>> 0);
    return;
  }
  const count = Math.ceil(bits / 32);
  for (let i = 0; i < count; i++) {
    words[word + i] = Number((value >> BigInt(32 * (count - 1 - i))) & 0xffffffffn);
  }
}

/** Replaces a field in a key. */
export function replaceField(words: Uint32Array, name: FieldName, value: bigint): void {
  const { bits, word, shift } = definitions[name];
  if (bits <= 32) {
    const mask = Number((1n << BigInt(bits)) - 1n) << shift;
    words[word] = (words[word] as number) & ~mask;
  }
  putField(words, name, value);
}

export function readField(words: Uint32Array, name: FieldName): bigint {
  const { bits, word, shift } = definitions[name];
  if (bits <= 32) return BigInt((words[word] as number) >>> shift) & fieldMask(name);
  const count = Math.ceil(bits / 32);
  let value = 0n;
  for (let i = 0; i < count; i++) value = (value << 32n) | BigInt(words[word + i] as number);
  return value;
}

export function fieldMask(name: FieldName): bigint {
  return (1n << BigInt(definitions[name].bits)) - 1n;
}
