/** The flows that belong to no guest. */
import {
  cidrToBigInt,
  type FlowSpec,
  ipToBigInt,
  type Match,
  macToBigInt,
  PORT,
  prefix,
} from '../../switch/index.ts';
import { TAP_HOST_MAC } from '../../switch/services/index.ts';
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
  TIME,
  toService,
  v4,
  v6,
} from './tables.ts';

export interface SiteFlows {
  readonly tunnels: readonly number[];
  readonly tap:
    | {
        readonly port: number;
        /** What is at its other end: the host's own network, or a gateway under a controller. */
        readonly toward: 'host' | 'gateway';
        readonly prefixes: readonly string[];
        /** The gateway's addresses, IPv4 and IPv6. */
        readonly gateways: readonly bigint[];
      }
    | undefined;
}

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
  if (tap === undefined) return flows;
  return [...flows, ...(tap.toward === 'host' ? hostFlows(tap) : gatewayFlows(tap))];
}

/** Who may send what is the gateway's business; it knows where guests are that nobody here knows of. */
function gatewayFlows(tap: NonNullable<SiteFlows['tap']>): FlowSpec[] {
  const from = { in_port: BigInt(tap.port), eth_src: gatewayMac };
  const route = cookieOf(PURPOSE.route);
  const ignored = cookieOf(PURPOSE.ignored);
  return [
    flow(ADMISSION, 20, { ...from, ...v4 }, goto(GATEWAY), route),
    flow(ADMISSION, 20, { ...from, ...v6 }, goto(GATEWAY), route),
    flow(ADMISSION, 0, { in_port: BigInt(tap.port) }, [], ignored),
    flow(ROUTE, 0, {}, [], ignored),
  ];
}

function hostFlows(tap: NonNullable<SiteFlows['tap']>): FlowSpec[] {
  const in_port = BigInt(tap.port);
  const service = cookieOf(PURPOSE.service);
  const route = cookieOf(PURPOSE.route);
  const spoofed = cookieOf(PURPOSE.spoofed);
  const flows = [
    flow(ADMISSION, 100, { in_port, ...arp }, toService, service),
    flow(ADMISSION, 100, { in_port, ...icmp6, icmpv6_type: 135n }, toService, service),
    flow(ADMISSION, 20, { in_port, eth_dst: gatewayMac, ...v4 }, goto(GATEWAY), route),
    flow(ADMISSION, 20, { in_port, eth_dst: gatewayMac, ...v6 }, goto(GATEWAY), route),
    flow(ADMISSION, 0, { in_port }, [], cookieOf(PURPOSE.ignored)),
    flow(ROUTE, 0, {}, addressed(macToBigInt(TAP_HOST_MAC), gatewayMac, tap.port), route),
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
