/**
 * The flows of a datapath, compiled from its desired state. Pure. Tables:
 *
 *   0 admission   who may send what: a guest only from its own MAC and addresses, a tunnel only for guests that
 *                 are at its other end or anchored there, the host not from home addresses
 *   1 gateway     packets to the gateway's own addresses; multicast ends here
 *   2 time        TTL and hop limit: once on the whole way, not again behind a tunnel
 *   3 route       by home address, else toward the anchor or the host
 */
import type { GuestNetwork } from '../guest/spec.ts';
import {
  type Action,
  cidrToBigInt,
  ETH_TYPE,
  type FlowSpec,
  type Instruction,
  IP_PROTOCOL,
  ipToBigInt,
  type Match,
  macToBigInt,
  PORT,
  prefix,
} from '../switch/index.ts';
import { GATEWAY_LINK_LOCAL, GATEWAY_MAC, TAP_HOST_MAC } from '../switch/services/index.ts';

/** What a flow is for, in its cookie: `purpose << 32 | guest`. */
export const PURPOSE = { route: 1, service: 2, unreachable: 3, spoofed: 4, ignored: 5 } as const;
export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

export function cookieOf(purpose: Purpose, guest = 0): bigint {
  return (BigInt(purpose) << 32n) | BigInt(guest);
}

export function purposeOf(cookie: bigint): number {
  return Number(cookie >> 32n);
}

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
}

const ADMISSION = 0;
const GATEWAY = 1;
const TIME = 2;
const ROUTE = 3;
const v4 = { eth_type: BigInt(ETH_TYPE.ipv4) };
const v6 = { eth_type: BigInt(ETH_TYPE.ipv6) };
const arp = { eth_type: BigInt(ETH_TYPE.arp) };
const icmp6 = { ...v6, ip_proto: BigInt(IP_PROTOCOL.icmp6) };
const gatewayMac = macToBigInt(GATEWAY_MAC);
const linkLocalPrefix = prefix(ipToBigInt('fe80::'), 10, 128);
const multicast6 = prefix(ipToBigInt('ff00::'), 8, 128);

const toService: Instruction[] = [
  { type: 'apply-actions', actions: [{ type: 'output', port: PORT.controller }] },
];
const goto = (table: number): Instruction[] => [{ type: 'goto-table', table }];

function flow(
  table: number,
  priority: number,
  match: Match,
  instructions: readonly Instruction[],
  cookie: bigint,
): FlowSpec {
  return { table, priority, match, instructions, cookie };
}

/** The flows of one guest. */
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
  if (guest.uplink !== undefined) {
    const out: Instruction[] = [
      { type: 'apply-actions', actions: [{ type: 'output', port: guest.uplink }] },
    ];
    flows.push(flow(ROUTE, 20, { in_port }, out, route));
  }
  return flows;
}

export interface SiteFlows {
  readonly tunnels: readonly number[];
  readonly tap:
    | {
        readonly port: number;
        readonly prefixes: readonly string[];
        /** The gateway's addresses, IPv4 and IPv6. */
        readonly gateways: readonly bigint[];
      }
    | undefined;
}

/** The flows that belong to no guest. */
export function siteFlows({ tunnels, tap }: SiteFlows): FlowSpec[] {
  const route = cookieOf(PURPOSE.route);
  const ignored = cookieOf(PURPOSE.ignored);
  const spoofed = cookieOf(PURPOSE.spoofed);
  const flows = [
    // Nobody here speaks VLAN; a match that names no tag would take tagged packets, too.
    flow(ADMISSION, 2000, { vlan_vid: { value: 0x1000n, mask: 0x1000n } }, [], ignored),
    flow(ADMISSION, 1000, { in_port: BigInt(PORT.local) }, goto(ROUTE), route),
    flow(ADMISSION, 0, {}, [], spoofed),
    flow(GATEWAY, 50, { ...v4, ipv4_dst: prefix(ipToBigInt('224.0.0.0'), 3, 32) }, [], ignored),
    flow(GATEWAY, 50, { ...v6, ipv6_dst: multicast6 }, [], ignored),
    flow(GATEWAY, 50, { ...v6, ipv6_dst: linkLocalPrefix }, [], ignored),
    flow(GATEWAY, 0, {}, goto(TIME), route),
    flow(
      TIME,
      0,
      {},
      [{ type: 'apply-actions', actions: [{ type: 'dec-nw-ttl' }] }, ...goto(ROUTE)],
      route,
    ),
    ...tunnels.map((port) => flow(TIME, 10, { in_port: BigInt(port) }, goto(ROUTE), route)),
  ];
  return tap === undefined ? flows : [...flows, ...tapFlows(tap)];
}

function tapFlows(tap: NonNullable<SiteFlows['tap']>): FlowSpec[] {
  const in_port = BigInt(tap.port);
  const service = cookieOf(PURPOSE.service);
  const route = cookieOf(PURPOSE.route);
  const spoofed = cookieOf(PURPOSE.spoofed);
  const actions: Action[] = [
    { type: 'set-field', field: 'eth_dst', value: macToBigInt(TAP_HOST_MAC) },
    { type: 'set-field', field: 'eth_src', value: gatewayMac },
    { type: 'output', port: tap.port },
  ];
  const flows = [
    flow(ADMISSION, 100, { in_port, ...arp }, toService, service),
    flow(ADMISSION, 100, { in_port, ...icmp6, icmpv6_type: 135n }, toService, service),
    flow(ADMISSION, 20, { in_port, eth_dst: gatewayMac, ...v4 }, goto(GATEWAY), route),
    flow(ADMISSION, 20, { in_port, eth_dst: gatewayMac, ...v6 }, goto(GATEWAY), route),
    flow(ADMISSION, 0, { in_port }, [], cookieOf(PURPOSE.ignored)),
    flow(ROUTE, 0, {}, [{ type: 'apply-actions', actions }], route),
  ];
  for (const cidr of tap.prefixes) {
    const { value, length, bits } = cidrToBigInt(cidr);
    const home = prefix(value, length, bits);
    const [source, destination]: [Match, Match] =
      bits === 32
        ? [
            { ...v4, ipv4_src: home },
            { ...v4, ipv4_dst: home },
          ]
        : [
            { ...v6, ipv6_src: home },
            { ...v6, ipv6_dst: home },
          ];
    flows.push(
      flow(ADMISSION, 50, { in_port, ...source }, [], spoofed),
      // Sent to the host it would come straight back.
      flow(ROUTE, 50, destination, toService, cookieOf(PURPOSE.unreachable)),
    );
  }
  for (const gateway of tap.gateways) {
    const to: Match =
      gateway < 1n << 32n ? { ...v4, ipv4_dst: gateway } : { ...v6, ipv6_dst: gateway };
    flows.push(flow(GATEWAY, 100, { in_port, ...to }, toService, service));
  }
  return flows;
}

function toGuest(mac: string, port: number): Instruction[] {
  const actions: Action[] = [
    { type: 'set-field', field: 'eth_dst', value: macToBigInt(mac) },
    { type: 'set-field', field: 'eth_src', value: gatewayMac },
    { type: 'output', port },
  ];
  return [{ type: 'apply-actions', actions }];
}
