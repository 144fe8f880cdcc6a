/**
 * The match fields of class OFPXMC_OPENFLOW_BASIC as a table (OpenFlow 1.3.5, 7.2.3.7, table 12).
 *
 * On the wire (7.2.3.2) a field is `be16 class, field << 1 | hasmask, u8 length`, its value in whole
 * bytes, and with `hasmask` as many bytes of mask.
 */

export interface FieldDefinition {
  /** `oxm_field`. */
  readonly oxm: number;
  /** Bits that may be set; the others of its bytes are zero. */
  readonly bits: number;
  /** On the wire. */
  readonly bytes: number;
  readonly maskable: boolean;
  /** What the match must hold before it, all of it. */
  readonly requires: readonly Prerequisite[];
}

export type Prerequisite =
  /** The field has exactly one of these values. */
  | { readonly field: string; readonly oneOf: readonly number[] }
  /** The field is there with any value but this one. */
  | { readonly field: string; readonly not: number }
  | { readonly field: string };

export const ETH_TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  serviceVlan: 0x88a8,
  pbb: 0x88e7,
} as const;
export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 } as const;

const is = (field: string, ...oneOf: number[]): Prerequisite => ({ field, oneOf });
const ip = [is('eth_type', ETH_TYPE.ipv4, ETH_TYPE.ipv6)];
const v4 = [is('eth_type', ETH_TYPE.ipv4)];
const v6 = [is('eth_type', ETH_TYPE.ipv6)];
const arp = [is('eth_type', ETH_TYPE.arp)];
const mpls = [is('eth_type', ETH_TYPE.mpls, ETH_TYPE.mplsMulticast)];
const over = (protocol: number): Prerequisite[] => [...ip, is('ip_proto', protocol)];
const icmp4 = [...v4, is('ip_proto', IP_PROTOCOL.icmp)];
const icmp6 = [...v6, is('ip_proto', IP_PROTOCOL.icmp6)];
const nd = (...types: number[]): Prerequisite[] => [...icmp6, is('icmpv6_type', ...types)];

// Fields of 20 bits take four bytes.
const bytesOf = (bits: number) => (bits === 20 ? 4 : Math.ceil(bits / 8));
const exact = (oxm: number, bits: number, requires: readonly Prerequisite[] = []) =>
  ({ oxm, bits, bytes: bytesOf(bits), maskable: false, requires }) as const;
const masked = (oxm: number, bits: number, requires: readonly Prerequisite[] = []) =>
  ({ oxm, bits, bytes: bytesOf(bits), maskable: true, requires }) as const;

/** In the order of their numbers, which puts every field after those it requires. */
export const oxmFields = {
  in_port: exact(0, 32),
  in_phy_port: exact(1, 32, [{ field: 'in_port' }]),
  metadata: masked(2, 64),
  eth_dst: masked(3, 48),
  eth_src: masked(4, 48),
  eth_type: exact(5, 16),
  // 12 bits and OFPVID_PRESENT.
  vlan_vid: masked(6, 13),
  vlan_pcp: exact(7, 3, [{ field: 'vlan_vid', not: 0 }]),
  ip_dscp: exact(8, 6, ip),
  ip_ecn: exact(9, 2, ip),
  ip_proto: exact(10, 8, ip),
  ipv4_src: masked(11, 32, v4),
  ipv4_dst: masked(12, 32, v4),
  tcp_src: exact(13, 16, over(IP_PROTOCOL.tcp)),
  tcp_dst: exact(14, 16, over(IP_PROTOCOL.tcp)),
  udp_src: exact(15, 16, over(IP_PROTOCOL.udp)),
  udp_dst: exact(16, 16, over(IP_PROTOCOL.udp)),
  sctp_src: exact(17, 16, over(IP_PROTOCOL.sctp)),
  sctp_dst: exact(18, 16, over(IP_PROTOCOL.sctp)),
  icmpv4_type: exact(19, 8, icmp4),
  icmpv4_code: exact(20, 8, icmp4),
  arp_op: exact(21, 16, arp),
  arp_spa: masked(22, 32, arp),
  arp_tpa: masked(23, 32, arp),
  arp_sha: masked(24, 48, arp),
  arp_tha: masked(25, 48, arp),
  ipv6_src: masked(26, 128, v6),
  ipv6_dst: masked(27, 128, v6),
  ipv6_flabel: masked(28, 20, v6),
  icmpv6_type: exact(29, 8, icmp6),
  icmpv6_code: exact(30, 8, icmp6),
  ipv6_nd_target: exact(31, 128, nd(135, 136)),
  ipv6_nd_sll: exact(32, 48, nd(135)),
  ipv6_nd_tll: exact(33, 48, nd(136)),
  mpls_label: exact(34, 20, mpls),
  mpls_tc: exact(35, 3, mpls),
  mpls_bos: exact(36, 1, mpls),
  pbb_isid: masked(37, 24, [is('eth_type', ETH_TYPE.pbb)]),
  tunnel_id: masked(38, 64),
  ipv6_exthdr: masked(39, 9, v6),
} as const satisfies Record<string, FieldDefinition>;

export type FieldName = keyof typeof oxmFields;

export const fieldNames = Object.keys(oxmFields) as FieldName[];

export function oxmField(name: FieldName): FieldDefinition {
  return oxmFields[name];
}

const byNumber: readonly FieldName[] = fieldNames;

/** The basic field with this `oxm_field`; undefined when 1.3 has none. */
export function fieldOfNumber(oxm: number): FieldName | undefined {
  return byNumber[oxm];
}

/** All bits of a field. */
export function fieldMask(name: FieldName): bigint {
  return masks[name];
}

const masks = Object.fromEntries(
  fieldNames.map((name) => [name, (1n << BigInt(oxmFields[name].bits)) - 1n]),
) as Record<FieldName, bigint>;
