/** The flows of one guest. */
import type { GuestNetwork } from '../../guest/spec.ts';
import {
  cidrToBigInt,
  type FlowSpec,
  type Instruction,
  IP_PROTOCOL,
  ipToBigInt,
  type Match,
  macToBigInt,
  prefix,
} from '../../switch/index.ts';
import { GATEWAY_LINK_LOCAL } from '../../switch/services/index.ts';
import {
  ADMISSION,
  addressed,
  arp,
  cookieOf,
  flow,
  GATEWAY,
  gatewayMac,
  goto,
  icmp6,
  linkLocalPrefix,
  multicast6,
  PURPOSE,
  ROUTE,
  toService,
  v4,
  v6,
} from './tables.ts';

export interface GuestFlows {
  /** Number of the guest at this datapath, for cookies. */
  readonly index: number;
  readonly network: GuestNetwork;
  readonly mac: string;
  /** Whether the guest runs here, so that nobody else can send as it. */
  readonly here: boolean;
  /** The guest's own port, when it has one here. */
  readonly port: number | undefined;
  /** Where packets to the guest go: its port, a tunnel, or what holds them; undefined to nowhere. */
  readonly output: number | undefined;
  /** Where packets go that a tunnel brings, when they must go elsewhere than all others. */
  readonly fromTunnel: { readonly tunnel: number; readonly output: number } | undefined;
  /** Tunnels from which the guest's source addresses are believed. */
  readonly sources: readonly number[];
  /** The tunnel to the guest's anchor, undefined when that is here. */
  readonly uplink: number | undefined;
  /** The port toward a gateway of this place, which leads what the guest sends; undefined: its anchor does. */
  readonly gateway: number | undefined;
}

export function guestFlows(guest: GuestFlows): FlowSpec[] {
  const { network, port, index } = guest;
  const route = cookieOf(PURPOSE.route, index);
  const spoofed = cookieOf(PURPOSE.spoofed, index);
  const hoa4 = ipToBigInt(network.hoa4);
  const home6 = cidrToBigInt(network.hoa6Prefix);
  const hoa6 = prefix(home6.value, home6.length, 128);
  const flows: FlowSpec[] = port === undefined ? [] : portSecurity(guest, port, hoa4, hoa6);
  for (const source of guest.sources) {
    const in_port = BigInt(source);
    flows.push(
      flow(ADMISSION, 100, { in_port, ...v4, ipv4_src: hoa4 }, goto(GATEWAY), route),
      flow(ADMISSION, 100, { in_port, ...v6, ipv6_src: hoa6 }, goto(GATEWAY), route),
    );
  }
  if (guest.uplink !== undefined) {
    const in_port = BigInt(guest.uplink);
    flows.push(
      flow(ADMISSION, 50, { in_port, ...v4, ipv4_dst: hoa4 }, goto(GATEWAY), route),
      flow(ADMISSION, 50, { in_port, ...v6, ipv6_dst: hoa6 }, goto(GATEWAY), route),
    );
    if (guest.here) {
      flows.push(
        flow(ADMISSION, 90, { in_port, ...v4, ipv4_src: hoa4 }, [], spoofed),
        flow(ADMISSION, 90, { in_port, ...v6, ipv6_src: hoa6 }, [], spoofed),
      );
    }
  }
  const to4 = { ...v4, ipv4_dst: hoa4 };
  const to6 = { ...v6, ipv6_dst: hoa6 };
  const out = guest.output === undefined ? [] : toGuest(guest.mac, guest.output);
  flows.push(flow(ROUTE, 100, to4, out, route), flow(ROUTE, 100, to6, out, route));
  if (guest.gateway !== undefined) flows.push(...behindGateway(guest, guest.gateway, hoa4, hoa6));
  if (guest.fromTunnel !== undefined) {
    const in_port = BigInt(guest.fromTunnel.tunnel);
    const there = toGuest(guest.mac, guest.fromTunnel.output);
    flows.push(
      flow(ROUTE, 110, { in_port, ...to4 }, there, route),
      flow(ROUTE, 110, { in_port, ...to6 }, there, route),
    );
  }
  return flows;
}

/** What the guest may send, and what of it the gateway answers itself. */
function portSecurity(
  guest: GuestFlows,
  port: number,
  hoa4: bigint,
  hoa6: { value: bigint; mask: bigint },
): FlowSpec[] {
  const { network, index } = guest;
  const service = cookieOf(PURPOSE.service, index);
  const route = cookieOf(PURPOSE.route, index);
  const in_port = BigInt(port);
  const mac = macToBigInt(guest.mac);
  const from = { in_port, eth_src: mac };
  const dhcp = { ...v4, ip_proto: BigInt(IP_PROTOCOL.udp), udp_src: 68n, udp_dst: 67n };
  const gateway4 = ipToBigInt(network.gateway4);
  const answer = (match: Match) => flow(ADMISSION, 100, { ...from, ...match }, toService, service);
  const nd = (ipv6_src: Match['ipv6_src'], type: number) =>
    answer({ ...icmp6, ipv6_src, icmpv6_type: BigInt(type) });
  const unspecified = 0n;
  const flows = [
    answer({ ...arp, arp_spa: hoa4, arp_sha: mac }),
    // An address probe names no sender (RFC 5227, 2.1.1).
    answer({ ...arp, arp_spa: 0n, arp_sha: mac }),
    answer({ ...dhcp, ipv4_src: 0n }),
    answer({ ...dhcp, ipv4_src: hoa4, ipv4_dst: gateway4 }),
    ...[133, 135, 136].map((type) => nd(linkLocalPrefix, type)),
    ...[135, 136].map((type) => nd(hoa6, type)),
    ...[133, 135].map((type) => nd(unspecified, type)),
    answer({
      ...icmp6,
      ipv6_src: linkLocalPrefix,
      ipv6_dst: ipToBigInt(GATEWAY_LINK_LOCAL),
      icmpv6_type: 128n,
    }),
    flow(ADMISSION, 50, { ...from, ...v4, ipv4_src: hoa4 }, goto(GATEWAY), route),
    flow(ADMISSION, 50, { ...from, ...v6, ipv6_src: hoa6 }, goto(GATEWAY), route),
    // Multicast reports and the like, from link-local and unspecified addresses.
    flow(
      ADMISSION,
      20,
      { ...from, ...v6, ipv6_src: linkLocalPrefix, ipv6_dst: multicast6 },
      [],
      cookieOf(PURPOSE.ignored, index),
    ),
    flow(
      ADMISSION,
      20,
      { ...from, ...v6, ipv6_src: 0n, ipv6_dst: multicast6 },
      [],
      cookieOf(PURPOSE.ignored, index),
    ),
    flow(ADMISSION, 0, { in_port }, [], cookieOf(PURPOSE.spoofed, index)),
    flow(GATEWAY, 100, { in_port, ...v4, ipv4_dst: gateway4 }, toService, service),
    flow(
      GATEWAY,
      100,
      { in_port, ...v6, ipv6_dst: ipToBigInt(GATEWAY_LINK_LOCAL) },
      toService,
      service,
    ),
    flow(
      GATEWAY,
      100,
      { in_port, ...v6, ipv6_dst: (hoa6.value & hoa6.mask) | 1n },
      toService,
      service,
    ),
  ];
  if (guest.uplink !== undefined && guest.gateway === undefined) {
    const out: Instruction[] = [
      { type: 'apply-actions', actions: [{ type: 'output', port: guest.uplink }] },
    ];
    flows.push(flow(ROUTE, 20, { in_port }, out, route));
  }
  return flows;
}

/** To a gateway a guest is a port, a link-layer address and home addresses; nobody there may pretend to be one that is here. */
function behindGateway(
  guest: GuestFlows,
  gateway: number,
  hoa4: bigint,
  hoa6: { value: bigint; mask: bigint },
): FlowSpec[] {
  const route = cookieOf(PURPOSE.route, guest.index);
  const spoofed = cookieOf(PURPOSE.spoofed, guest.index);
  const in_port = BigInt(gateway);
  const out = addressed(gatewayMac, macToBigInt(guest.mac), gateway);
  return [
    { ...v4, ipv4_src: hoa4 },
    { ...v6, ipv6_src: hoa6 },
  ].flatMap((from) => [
    flow(ROUTE, 10, from, out, route),
    ...(guest.here ? [flow(ADMISSION, 50, { in_port, ...from }, [], spoofed)] : []),
  ]);
}

const toGuest = (mac: string, port: number) => addressed(macToBigInt(mac), gatewayMac, port);
