/** The flows of one guest at one gateway for one address family; `compile.ts` has the tables. */
import type { Instruction, Match } from '../../openflow/index.ts';
import { GATEWAY_MAC } from '../../switch/services/index.ts';
import { apply, decrement, goto, output, setEth } from './actions.ts';
import {
  cookieOf,
  type DesiredFlow,
  PURPOSE,
  type Purpose,
  type Stage,
  TABLES,
} from './desired.ts';
import { type Family, type HomeAddress, macValue, mobile } from './families.ts';
import { type Gateway, isPlaceOf, isRouter, type Mapping } from './network.ts';

const { ingress, route, translate, send } = TABLES;
const PRIORITY = 100;
const RELAYED = 90;
const gatewayMac = macValue(GATEWAY_MAC);

export interface GuestAt {
  readonly gateway: Gateway;
  readonly mapping: Mapping;
  readonly family: Family;
  readonly hoa: HomeAddress;
}

export function guestFlows(guest: GuestAt): DesiredFlow[] {
  return [...senders(guest), ...destinations(guest), ...wayOut(guest)];
}

/** Table 0: the guest itself, and its packets from elsewhere, whose source becomes its HoA again. */
function senders(guest: GuestAt): DesiredFlow[] {
  const { gateway, mapping, family, hoa } = guest;
  const { id, uplink, tunnels } = gateway;
  const { place, from, next, anchor } = mapping;
  const fromHoa = { ...family.eth, [family.source]: hoa.match };
  const flows: DesiredFlow[] = [];
  const here = isPlaceOf(id, mapping) ? mapping.places[id] : undefined;
  if (here !== undefined) {
    const match = { in_port: BigInt(here.port), eth_src: macValue(mapping.mac), ...fromHoa };
    flows.push(flow(guest, 'steer', PURPOSE.delivery, ingress, match, goto(route)));
  }
  for (const at of new Set([place, from ?? place, next ?? place])) {
    const moa = mobile(mapping, at, family);
    const tunnel = at === id ? undefined : tunnels[at];
    if (moa !== undefined && uplink !== undefined && hoa.address !== undefined) {
      const match = { in_port: BigInt(uplink.port), ...family.eth, [family.source]: moa };
      const restore = apply({ type: 'set-field', field: family.source, value: hoa.address });
      const purpose = PURPOSE.translation;
      flows.push(flow(guest, 'receive', purpose, ingress, match, restore, goto(route)));
    }
    if (tunnel !== undefined) {
      const match = { in_port: BigInt(tunnel), ...fromHoa };
      flows.push(flow(guest, 'receive', PURPOSE.tunnel, ingress, match, goto(route)));
    }
  }
  // The place that it left and its anchor send on what others sent, whoever that is.
  const relays = id === place ? [from, anchor].filter((one) => one !== undefined) : [];
  for (const relay of new Set(relays)) {
    const tunnel = tunnels[relay];
    if (tunnel === undefined) continue;
    const match = { in_port: BigInt(tunnel), ...family.eth, [family.destination]: hoa.match };
    const relayed = flow(guest, 'receive', PURPOSE.tunnel, ingress, match, goto(route));
    flows.push({ ...relayed, priority: RELAYED });
  }
  return flows;
}

/** Table 1: to its HoA, and to its MoA here; at the place that it left, that leads to the new one, and at the next one to its port. */
function destinations(guest: GuestAt): DesiredFlow[] {
  const { gateway, mapping, family, hoa } = guest;
  const { id, uplink, tunnels } = gateway;
  const { place, from, next } = mapping;
  const { destination } = family;
  const toHoa: Match = { ...family.eth, [destination]: hoa.match };
  const mine = isPlaceOf(id, mapping) ? mobile(mapping, id, family) : undefined;
  const toMoa: Match | undefined =
    mine === undefined || uplink === undefined || hoa.address === undefined
      ? undefined
      : { in_port: BigInt(uplink.port), ...family.eth, [destination]: mine };
  const home = { type: 'set-field', field: destination, value: hoa.address ?? 0n } as const;

  const to = (match: Match | undefined, stage: Stage, purpose: Purpose, ...how: Instruction[]) =>
    match === undefined ? [] : [flow(guest, stage, purpose, route, match, ...how)];
  const port = mapping.places[id]?.port;
  const deliver = [...setEth(gatewayMac, macValue(mapping.mac)), output(port ?? 0)];
  const arrive = to(toMoa, 'receive', PURPOSE.delivery, apply(home, decrement, ...deliver));
  if (id === place) {
    if (port === undefined) return [];
    return [...to(toHoa, 'receive', PURPOSE.delivery, apply(...deliver)), ...arrive];
  }
  // What still comes to the place that it left goes before what will come there again.
  const isNext = id === next && id !== from;
  const tunnel = tunnels[place];
  if (tunnel !== undefined) {
    const through = [decrement, output(tunnel)];
    const late = to(toMoa, 'steer', PURPOSE.tunnel, apply(home, ...through));
    const ahead = to(toHoa, 'steer', PURPOSE.tunnel, apply(...through));
    return [...ahead, ...(isNext ? arrive : late)];
  }
  const moa = mobile(mapping, place, family);
  if (moa === undefined || uplink === undefined) return isNext ? arrive : [];
  const onward = [apply({ type: 'set-field', field: destination, value: moa }), goto(translate)];
  const late = to(toMoa, 'steer', PURPOSE.translation, ...onward);
  return [...to(toHoa, 'steer', PURPOSE.translation, ...onward), ...(isNext ? arrive : late)];
}

/** Table 2: from the guest, to no guest or to one elsewhere in translation. */
function wayOut(guest: GuestAt): DesiredFlow[] {
  const { gateway, mapping, family, hoa } = guest;
  const { id, tunnels } = gateway;
  const { place, anchor } = mapping;
  const match = { ...family.eth, [family.source]: hoa.match };
  const native = id === anchor && mobile(mapping, place, family) === undefined;
  // What it sent before it left can still be in the place's own network.
  const mine = isPlaceOf(id, mapping);
  const moa = native ? undefined : mobile(mapping, mine ? id : place, family);
  // The network routes home addresses to the anchor.
  if (native) return [flow(guest, 'receive', PURPOSE.tunnel, translate, match, goto(send))];
  if (moa !== undefined) {
    // Also of guests elsewhere: their packets can be on their way through the place that another guest left.
    if (!isRouter(gateway)) return [];
    const set = apply({ type: 'set-field', field: family.source, value: moa });
    return [flow(guest, 'steer', PURPOSE.translation, translate, match, set, goto(send))];
  }
  const tunnel = anchor === undefined ? undefined : tunnels[anchor];
  if (tunnel === undefined || !mine) return [];
  const through = apply(decrement, output(tunnel));
  return [flow(guest, 'steer', PURPOSE.tunnel, translate, match, through)];
}

function flow(
  { mapping }: GuestAt,
  stage: Stage,
  purpose: Purpose,
  table: number,
  match: Match,
  ...instructions: Instruction[]
): DesiredFlow {
  const cookie = cookieOf(purpose, mapping.number);
  return { stage, table, priority: PRIORITY, match, instructions, cookie };
}
