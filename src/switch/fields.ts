/**
 * Where each match field (OpenFlow 1.3.5, 7.2.3.7, table 12) lives in a flow key.
 *
 * A flow key is a vector of 32-bit words. Fields that can never occur in one packet together share words;
 * the prerequisites of a match (table 12, last column), which are checked when a flow is added, keep
 * that unambiguous:
 *
 *    0        in_port                         17      tcp/udp/sctp src << 16 | dst, icmp type << 16 | code
 *    1..2     metadata                        18      ipv6_exthdr << 20 | ipv6_flabel
 *    3..4     eth_dst                         19..22  nd_target
 *    5..6     eth_src                         23..24  arp_sha, nd_sll
 *    7        vlan_pcp << 29 | vlan_vid << 16 | eth_type
 *    8        presence << 16 | dscp << 10 | ecn << 8 | ip_proto, or presence << 16 | arp_op
 *    9..12    IPv6 source; in the first also IPv4 source, arp_spa, label << 12 | tc << 9 | bos << 8, pbb_isid
 *   13..16    IPv6 destination; IPv4 destination or arp_tpa in the first
 *   25..26    arp_tha, nd_tll                 27..28  tunnel_id
 *   29        in_phy_port
 *
 * The presence bits tell a header whose fields are zero from one that is cut off, malformed, or in another fragment: a
 * match on a field asks for the bit of its header, too.
 */
import { type FieldName, oxmField } from '../openflow/index.ts';

export { ETH_TYPE, type FieldName, fieldMask, IP_PROTOCOL } from '../openflow/index.ts';

export const KEY_WORDS = 30;

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
  tunnel: 27,
  physicalPort: 29,
} as const;

/** OFPVID_PRESENT where it stands in the word of eth_type. */
export const VLAN_PRESENT = 0x1000_0000;
/** All of a VLAN tag in that word. */
export const VLAN_BITS = 0xffff_0000;

/** Bits of word 8. */
export const PRESENT = {
  ip: 1 << 16,
  arp: 1 << 17,
  l4: 1 << 18,
  neighbour: 1 << 19,
  neighbourOption: 1 << 20,
  mpls: 1 << 21,
  pbb: 1 << 22,
} as const;

interface Place {
  readonly word: number;
  readonly shift: number;
  /** Of word 8. */
  readonly present: number;
}

const at = (word: number, shift = 0, present = 0): Place => ({ word, shift, present });
const { ip, arp, l4, neighbour, neighbourOption, mpls, pbb } = PRESENT;

const places: Readonly<Record<FieldName, Place>> = {
  in_port: at(WORD.inPort),
  in_phy_port: at(WORD.physicalPort),
  metadata: at(WORD.metadata),
  eth_dst: at(WORD.ethDst),
  eth_src: at(WORD.ethSrc),
  eth_type: at(WORD.ethType),
  vlan_vid: at(WORD.ethType, 16),
  vlan_pcp: at(WORD.ethType, 29),
  ip_dscp: at(WORD.protocol, 10, ip),
  ip_ecn: at(WORD.protocol, 8, ip),
  ip_proto: at(WORD.protocol, 0, ip),
  ipv4_src: at(WORD.source, 0, ip),
  ipv4_dst: at(WORD.destination, 0, ip),
  tcp_src: at(WORD.l4, 16, l4),
  tcp_dst: at(WORD.l4, 0, l4),
  udp_src: at(WORD.l4, 16, l4),
  udp_dst: at(WORD.l4, 0, l4),
  sctp_src: at(WORD.l4, 16, l4),
  sctp_dst: at(WORD.l4, 0, l4),
  icmpv4_type: at(WORD.l4, 16, l4),
  icmpv4_code: at(WORD.l4, 0, l4),
  arp_op: at(WORD.protocol, 0, arp),
  arp_spa: at(WORD.source, 0, arp),
  arp_tpa: at(WORD.destination, 0, arp),
  arp_sha: at(WORD.hardware1, 0, arp),
  arp_tha: at(WORD.hardware2, 0, arp),
  ipv6_src: at(WORD.source, 0, ip),
  ipv6_dst: at(WORD.destination, 0, ip),
  ipv6_flabel: at(WORD.flowLabel, 0, ip),
  icmpv6_type: at(WORD.l4, 16, l4),
  icmpv6_code: at(WORD.l4, 0, l4),
  ipv6_nd_target: at(WORD.ndTarget, 0, neighbour),
  ipv6_nd_sll: at(WORD.hardware1, 0, neighbourOption),
  ipv6_nd_tll: at(WORD.hardware2, 0, neighbourOption),
  mpls_label: at(WORD.source, 12, mpls),
  mpls_tc: at(WORD.source, 9, mpls),
  mpls_bos: at(WORD.source, 8, mpls),
  pbb_isid: at(WORD.source, 0, pbb),
  tunnel_id: at(WORD.tunnel),
  ipv6_exthdr: at(WORD.flowLabel, 20, ip),
};

/** The bit of word 8 that says that a packet has the field; 0 when every packet has it. */
export function presenceBit(name: FieldName): number {
  return places[name].present;
}

/** Writes a field's value into a key or mask, most significant word first. */
export function putField(words: Uint32Array, name: FieldName, value: bigint): void {
  const { word, shift } = places[name];
  const { bits } = oxmField(name);
  if (bits <= 32) {
    words[word] = (words[word] as number) | ((Number(value) << shift) >>> 0);
    return;
  }
  const count = Math.ceil(bits / 32);
  for (let i = 0; i < count; i++) {
    words[word + i] = Number((value >> BigInt(32 * (count - 1 - i))) & 0xffffffffn);
  }
}

export function readField(words: Uint32Array, name: FieldName): bigint {
  const { word, shift } = places[name];
  const { bits } = oxmField(name);
  if (bits <= 32) {
    const value = BigInt((words[word] as number) >>> shift);
    return value & ((1n << BigInt(bits)) - 1n);
  }
  const count = Math.ceil(bits / 32);
  let value = 0n;
  for (let i = 0; i < count; i++) value = (value << 32n) | BigInt(words[word + i] as number);
  return value;
}
