/**
 * From gateways and mappings to the flows of each gateway. Pure. Tables:
 *
 *   0 ingress    who may send what: a guest from its own MAC and HoA, a tunnel as guests at its other end; the MoA of a
 *                sender becomes its HoA again
 *   1 route      by destination: a guest's port, its MoA and on, a tunnel, the hosts, or out
 *   2 translate  the HoA of a sender becomes its MoA; none passes untranslated, but at its anchor
 *   3 send       to the uplink
 *
 * Between table 0 and 2 every address of a guest is its HoA, whatever it is outside. A packet has its TTL decremented where it
 * leaves for the network or a tunnel, and where it is translated for a guest; so a mistake of ours cannot send one round for ever.
 *
 * Each key (table, priority, match) that belongs to a guest means the same wherever the guest is, so that a move changes
 * what is done with a packet in one step, and never by two flows of which one must go before the other.
 */
import { type Instruction, type Match, PORT } from '../../openflow/index.ts';
import { apply, decrement, goto, output, setEth } from './actions.ts';
import { cookieOf, type DesiredFlow, PURPOSE, type Purpose, TABLES } from './desired.ts';
import { FAMILIES, home, macValue, prefixMatches } from './families.ts';
import { guestFlows } from './guest-flows.ts';
import { type Gateway, holds, type Mapping, type Network } from './network.ts';

/** How gateways come to know mappings: all are told at once, or each asks when a packet has no flow. */
export type Way = 'push' | 'lazy';

const { ingress, route, translate, send } = TABLES;
const ask = apply({ type: 'output', port: PORT.controller, maxLength: 0xffff });

/** The flows of a gateway that belong to no guest. */
export function gatewayFlows(network: Network, gateway: Gateway, way: Way): DesiredFlow[] {
  const { uplink, hosts, tunnels } = gateway;
  const flows: DesiredFlow[] = [];
  const add = (table: number, priority: number, match: Match, ...instructions: Instruction[]) =>
    flows.push(flow(PURPOSE.gateway, table, priority, match, instructions));
  const ports = [uplink?.port, hosts?.port, ...Object.values(tunnels)];
  const homeSources = prefixMatches(network.homePrefixes, 'source');
  add(ingress, 0, {});
  for (const port of new Set(ports.filter((one) => one !== undefined))) {
    const in_port = BigInt(port);
    add(ingress, 10, { in_port }, goto(route));
    for (const from of homeSources) add(ingress, 50, { in_port, ...from });
  }
  if (way === 'lazy') {
    const miss = (table: number, match: Match) =>
      flows.push(flow(PURPOSE.miss, table, 20, match, [ask]));
    for (const to of prefixMatches(network.homePrefixes, 'destination')) miss(route, to);
    if (uplink !== undefined)
      for (const from of prefixMatches(network.mobilePrefixes, 'source'))
        miss(ingress, { in_port: BigInt(uplink.port), ...from });
  }
  add(route, 0, {}, goto(translate));
  if (uplink !== undefined) {
    const in_port = BigInt(uplink.port);
    add(route, 10, { in_port }, ...(hosts === undefined ? [] : [apply(output(hosts.port))]));
    if (hosts !== undefined)
      add(send, 20, { in_port: BigInt(hosts.port) }, apply(output(uplink.port)));
    if (uplink.mac !== undefined && uplink.nextHop !== undefined) {
      const readdress = setEth(macValue(uplink.mac), macValue(uplink.nextHop));
      for (const { eth } of FAMILIES) {
        // A packet leaves by the port that it came from only if that is said (5.7, OFPP_IN_PORT).
        add(send, 20, { in_port, ...eth }, apply(decrement, ...readdress, output(PORT.inPort)));
        add(send, 10, eth, apply(decrement, ...readdress, output(uplink.port)));
      }
    }
  }
  add(translate, 0, {}, goto(send));
  for (const from of homeSources) add(translate, 50, from);
  return flows;
}

/** The flows of a guest at a gateway; none where its mapping is not held (`holders`). */
export function mappingFlows(gateway: Gateway, mapping: Mapping): DesiredFlow[] {
  if (!holds(gateway, mapping)) return [];
  return FAMILIES.flatMap((family) => {
    const hoa = home(mapping, family);
    return hoa === undefined ? [] : guestFlows({ gateway, mapping, family, hoa });
  });
}

function flow(
  purpose: Purpose,
  table: number,
  priority: number,
  match: Match,
  instructions: readonly Instruction[],
): DesiredFlow {
  return { stage: 'steer', table, priority, match, instructions, cookie: cookieOf(purpose) };
}
