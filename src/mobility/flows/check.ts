/** What in gateways and mappings cannot work, found before anything is installed. */
import ipaddr from 'ipaddr.js';
import { SojournError } from '../../common/index.ts';
import { FAMILIES, home, mobile } from './families.ts';
import { type Gateway, holders, isRouter, type Mapping, type Network } from './network.ts';

/** @throws SojournError `gateway-twice` */
export function checkNetwork({ gateways }: Network): void {
  for (const field of ['id', 'datapathId'] as const) {
    const seen = new Set<string>();
    for (const gateway of gateways) {
      const value = gateway[field];
      if (seen.has(value))
        throw wrong('gateway-twice', `Two gateways have the ${NAMES[field]} ${value}`);
      seen.add(value);
    }
  }
  const places = new Set<string>();
  for (const { guests } of gateways) {
    if (guests !== undefined && places.has(guests.place))
      throw wrong('gateway-twice', `Two gateways have the guests of ${guests.place}`);
    if (guests !== undefined) places.add(guests.place);
  }
}

const NAMES = { id: 'id', datapathId: 'datapath id' } as const;

/** @throws SojournError `mapping-twice`, or as `checkMapping`. */
export function checkMappings(
  gateways: ReadonlyMap<string, Gateway>,
  mappings: readonly Mapping[],
): void {
  const seen = new Map<string, string>();
  for (const mapping of mappings) {
    checkMapping(gateways, mapping);
    const names = [
      `the number ${mapping.number}`,
      `the name ${mapping.guest}`,
      ...[mapping.hoa4, mapping.hoa6].filter((one) => one !== undefined).map(normal),
      ...Object.values(mapping.places)
        .flatMap(({ moa4, moa6 }) => [moa4, moa6])
        .filter((one) => one !== undefined)
        .map(normal),
    ];
    for (const name of new Set(names)) {
      const other = seen.get(name);
      if (other !== undefined)
        throw wrong('mapping-twice', `${other} and ${mapping.guest} both have ${name}`);
      seen.set(name, mapping.guest);
    }
  }
}

/** @throws SojournError `mapping-place`, `mapping-prefix`, `mapping-no-way` */
export function checkMapping(gateways: ReadonlyMap<string, Gateway>, mapping: Mapping): void {
  const { guest, place, from, next } = mapping;
  for (const id of [...holders(mapping), ...Object.keys(mapping.places)])
    if (!gateways.has(id))
      throw wrong('mapping-place', `${guest} names ${id}, which is no gateway`);
  for (const id of [place, from, next])
    if (id !== undefined && mapping.places[id] === undefined)
      throw wrong('mapping-place', `${guest} has no port at ${id}`);
  if (from === place || next === place)
    throw wrong('mapping-place', `${guest} cannot be sent on to where it is`);
  for (const family of FAMILIES) {
    const hoa = home(mapping, family);
    if (hoa === undefined) continue;
    const isTranslated = (at: string) => mobile(mapping, at, family) !== undefined;
    const noWay = (id: string, at: string) =>
      wrong(
        'mapping-no-way',
        `IPv${family.version} of ${guest} has no way between ${id} and ${at}`,
      );
    for (const at of new Set([place, next ?? place])) {
      if (!isTranslated(at)) continue;
      if (hoa.address === undefined)
        throw wrong('mapping-prefix', `${guest} has a prefix, which cannot be translated at ${at}`);
      if (!isRouter(gateways.get(at) as Gateway)) throw noWay(at, at);
    }
    for (const id of holders(mapping)) {
      // Nothing is led to the next place yet, and maybe nothing from there.
      if (id === place || id === next) continue;
      if (!reaches(gateways.get(id) as Gateway, place, isTranslated(place))) throw noWay(id, place);
    }
  }
}

/** Whether a gateway has a way to guests at another one, which have a mobile address there or not. */
export function reaches({ uplink, tunnels }: Gateway, place: string, translated: boolean): boolean {
  return tunnels[place] !== undefined || (translated && uplink !== undefined);
}

/**
 * The mobile addresses of a guest at a gateway: as far into its pools as the guest's number says, so that they need not be
 * kept anywhere. @throws SojournError `pool-too-small`
 */
export function mobileAddresses(
  { id, pool4, pool6 }: Gateway,
  number: number,
): { moa4?: string; moa6?: string } {
  return {
    ...(pool4 !== undefined && { moa4: nth(id, pool4, number) }),
    ...(pool6 !== undefined && { moa6: nth(id, pool6, number) }),
  };
}

function nth(id: string, pool: string, number: number): string {
  const [address, length] = ipaddr.parseCIDR(pool);
  const bytes = address.toByteArray();
  const bits = bytes.length * 8;
  const network =
    (BigInt(`0x${Buffer.from(bytes).toString('hex')}`) >> BigInt(bits - length)) <<
    BigInt(bits - length);
  // The last one is the broadcast address of IPv4, and is left out in IPv6, too.
  if (BigInt(number) >= (1n << BigInt(bits - length)) - 1n)
    throw wrong('pool-too-small', `${pool} of ${id} has no address for guest number ${number}`);
  const hex = (network + BigInt(number)).toString(16).padStart(bits / 4, '0');
  return ipaddr.fromByteArray([...Buffer.from(hex, 'hex')]).toString();
}

function normal(address: string): string {
  return address.includes('/') ? address : ipaddr.parse(address).toString();
}

function wrong(code: string, message: string): SojournError {
  return new SojournError({
    kind: 'usage',
    code,
    message,
    remedy: 'Correct the gateways or the mappings that the controller was given',
  });
}
