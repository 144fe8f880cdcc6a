/**
 * The flows of a datapath, compiled from its desired state. Pure. Tables:
 *
 *   0 admission   who may send what: a guest only from its own MAC and addresses, a tunnel only for guests that
 *                 are at its other end or anchored there, the host not from home addresses
 *   1 gateway     packets to the gateway's own addresses; multicast ends here
 *   2 time        TTL and hop limit: once on the whole way, not again behind a tunnel
 *   3 route       by home address, else toward the anchor or the host
 */
import {
  type Action,
  ETH_TYPE,
  type FlowSpec,
  type Instruction,
  IP_PROTOCOL,
  ipToBigInt,
  type Match,
  macToBigInt,
  PORT,
  prefix,
} from '../../switch/index.ts';
import { GATEWAY_MAC } from '../../switch/services/index.ts';

/** What a flow is for, in its cookie: `purpose << 32 | guest`. */
export const PURPOSE = { route: 1, service: 2, unreachable: 3, spoofed: 4, ignored: 5 } as const;
export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

export function cookieOf(purpose: Purpose, guest = 0): bigint {
  return (BigInt(purpose) << 32n) | BigInt(guest);
}

export function purposeOf(cookie: bigint): number {
  return Number(cookie >> 32n);
}

export const ADMISSION = 0;
export const GATEWAY = 1;
export const TIME = 2;
export const ROUTE = 3;
export const v4 = { eth_type: BigInt(ETH_TYPE.ipv4) };
export const v6 = { eth_type: BigInt(ETH_TYPE.ipv6) };
export const arp = { eth_type: BigInt(ETH_TYPE.arp) };
export const icmp6 = { ...v6, ip_proto: BigInt(IP_PROTOCOL.icmp6) };
export const gatewayMac = macToBigInt(GATEWAY_MAC);
export const linkLocalPrefix = prefix(ipToBigInt('fe80::'), 10, 128);
export const multicast6 = prefix(ipToBigInt('ff00::'), 8, 128);

export const toService: Instruction[] = [
  { type: 'apply-actions', actions: [{ type: 'output', port: PORT.controller }] },
];
export const goto = (table: number): Instruction[] => [{ type: 'goto-table', table }];

/** Out of the port, between these link-layer addresses. */
export function addressed(to: bigint, from: bigint, port: number): Instruction[] {
  const actions: Action[] = [
    { type: 'set-field', field: 'eth_dst', value: to },
    { type: 'set-field', field: 'eth_src', value: from },
    { type: 'output', port },
  ];
  return [{ type: 'apply-actions', actions }];
}

export function flow(
  table: number,
  priority: number,
  match: Match,
  instructions: readonly Instruction[],
  cookie: bigint,
): FlowSpec {
  return { table, priority, match, instructions, cookie };
}
