/** Which packets a gateway hands to its controller, so that `GatewayPackets` can answer or change them. Pure. */
import {
  cookieOf,
  type DesiredFlow,
  type Gateway,
  type Mapping,
  PURPOSE,
  TABLES,
} from '../../mobility/flows/index.ts';
import { ETH_TYPE, IP_PROTOCOL, type Match, PORT } from '../../openflow/index.ts';
import {
  cidrToBigInt,
  ipToBigInt,
  type MaskedValue,
  macToBigInt,
  prefix,
} from '../../switch/index.ts';
import { GATEWAY_LINK_LOCAL } from '../../switch/services/index.ts';
import { gatewayAddress4, withinPrefixes } from './guest-network.ts';

/** Above what lets a guest or the network send at all. */
const ANSWER = 300;
const ERROR = 250;
const ERRORS4 = [3n, 11n, 12n];
/** Destination Unreachable, Packet Too Big, Time Exceeded, Parameter Problem (RFC 4443). */
const ERRORS6 = [1n, 2n, 3n, 4n];
const ROUTER_SOLICITATION = 133n;
const NEIGHBOR_SOLICITATION = 135n;
const ECHO_REQUEST = 8n;
const ECHO_REQUEST_6 = 128n;

const arp: Match = { eth_type: BigInt(ETH_TYPE.arp), arp_op: 1n };
const ip4 = { eth_type: BigInt(ETH_TYPE.ipv4) };
const ip6 = { eth_type: BigInt(ETH_TYPE.ipv6) };
const icmp4 = { ...ip4, ip_proto: BigInt(IP_PROTOCOL.icmp) };
const icmp6 = { ...ip6, ip_proto: BigInt(IP_PROTOCOL.icmp6) };
const dhcp: Match = { ...ip4, ip_proto: BigInt(IP_PROTOCOL.udp), udp_src: 68n, udp_dst: 67n };

function toController(priority: number, match: Match, number = 0): DesiredFlow {
  const all = { type: 'output', port: PORT.controller, maxLength: 0xffff } as const;
  return {
    table: TABLES.ingress,
    priority,
    match,
    instructions: [{ type: 'apply-actions', actions: [all] }],
    cookie: cookieOf(PURPOSE.service, number),
    stage: 'receive',
  };
}

/**
 * Who asks for the link-layer address of a mobile address, and ICMP errors: those from the network quote mobile addresses, those
 * of hosts home addresses, and which packet quotes one cannot be seen by its headers.
 */
export function gatewayServiceFlows(
  { uplink, hosts, pool4, pool6 }: Gateway,
  homePrefixes: readonly string[],
): DesiredFlow[] {
  const flows: DesiredFlow[] = [];
  if (uplink !== undefined) {
    const in_port = BigInt(uplink.port);
    if (uplink.mac !== undefined && pool4 !== undefined)
      flows.push(toController(ANSWER, { in_port, ...arp, arp_tpa: within(pool4) }));
    if (uplink.mac !== undefined && pool6 !== undefined)
      flows.push(
        // A neighbour's target cannot be matched by prefix (OpenFlow 1.3.5, table 12).
        toController(ANSWER, { in_port, ...icmp6, icmpv6_type: NEIGHBOR_SOLICITATION }),
      );
    for (const error of errors()) flows.push(toController(ERROR, { in_port, ...error }));
  }
  if (hosts !== undefined)
    for (const cidr of homePrefixes)
      for (const error of errors(cidr.includes(':') ? 6 : 4)) {
        const to = cidr.includes(':') ? { ipv6_dst: within(cidr) } : { ipv4_dst: within(cidr) };
        flows.push(toController(ERROR, { in_port: BigInt(hosts.port), ...error, ...to }));
      }
  return flows;
}

/** What a guest asks its gateway, and the ICMP errors that it sends. */
export function guestServiceFlows(
  gateway: Gateway,
  mapping: Mapping,
  homePrefixes: readonly string[],
): DesiredFlow[] {
  const here = mapping.places[gateway.id];
  if (here === undefined || mapping.place !== gateway.id) return [];
  const own = { in_port: BigInt(here.port), eth_src: macToBigInt(mapping.mac) };
  const { hoa4, hoa6, number } = mapping;
  const add = (priority: number, match: Match) =>
    toController(priority, { ...own, ...match }, number);
  const flows: DesiredFlow[] = [];
  const home4 = hoa4 && withinPrefixes(hoa4, homePrefixes);
  if (hoa4 !== undefined && home4 !== undefined) {
    const gateway4 = ipToBigInt(gatewayAddress4(home4));
    flows.push(add(ANSWER, arp), add(ANSWER, dhcp));
    flows.push(add(ANSWER, { ...icmp4, icmpv4_type: ECHO_REQUEST, ipv4_dst: gateway4 }));
    const ipv4_src = ipToBigInt(hoa4);
    for (const error of errors(4)) flows.push(add(ERROR, { ...error, ipv4_src }));
  }
  if (hoa6 !== undefined) {
    const linkLocal = ipToBigInt(GATEWAY_LINK_LOCAL);
    for (const icmpv6_type of [ROUTER_SOLICITATION, NEIGHBOR_SOLICITATION])
      flows.push(add(ANSWER, { ...icmp6, icmpv6_type }));
    flows.push(add(ANSWER, { ...icmp6, icmpv6_type: ECHO_REQUEST_6, ipv6_dst: linkLocal }));
    const ipv6_src = hoa6.includes('/') ? within(hoa6) : ipToBigInt(hoa6);
    for (const error of errors(6)) flows.push(add(ERROR, { ...error, ipv6_src }));
  }
  return flows;
}

function errors(family?: 4 | 6): Match[] {
  const four = ERRORS4.map((icmpv4_type) => ({ ...icmp4, icmpv4_type }));
  const six = ERRORS6.map((icmpv6_type) => ({ ...icmp6, icmpv6_type }));
  return [...(family === 6 ? [] : four), ...(family === 4 ? [] : six)];
}

function within(cidr: string): MaskedValue {
  const { value, length, bits } = cidrToBigInt(cidr);
  return prefix(value, length, bits);
}
