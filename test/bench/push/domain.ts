/** A domain of many gateways and guests, the same for the same numbers. */
import {
  type Mapping,
  mappingSchema,
  mobileAddresses,
  type Network,
  networkSchema,
} from '../../../src/mobility/flows/index.ts';
import { PORTS } from './protocol.ts';

export interface Size {
  readonly gateways: number;
  readonly mappings: number;
  /** Gateways besides its own whose hosts talk to a guest. */
  readonly correspondents: number;
  /** Gateways where a guest can run. */
  readonly places: number;
}

/** A small generator, so that every run has the same domain (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function makeNetwork({ gateways }: Size): Network {
  return networkSchema.parse({
    homePrefixes: ['100.64.0.0/10', '2001:db8:7700::/48'],
    mobilePrefixes: ['10.0.0.0/8', '2001:db8:8000::/33'],
    gateways: Array.from({ length: gateways }, (_, n) => ({
      id: `gw-${n}`,
      datapathId: (n + 1).toString(16).padStart(16, '0'),
      uplink: { port: PORTS.uplink, mac: '02:00:00:00:00:01', nextHop: '02:00:00:00:00:02' },
      hosts: { port: PORTS.hosts },
      pool4: `10.${n}.0.0/16`,
      pool6: `2001:db8:${(0x8000 + n).toString(16)}::/64`,
    })),
  });
}

export function makeMappings(network: Network, size: Size): Mapping[] {
  const pick = random(1);
  const some = (count: number) => {
    const ids = new Set<number>();
    while (ids.size < Math.min(count, size.gateways)) ids.add(pick(size.gateways));
    return [...ids];
  };
  return Array.from({ length: size.mappings }, (_, index) => {
    const number = index + 1;
    const places = some(size.places).map((n) => network.gateways[n] as Network['gateways'][number]);
    const hex = (value: number) => value.toString(16).padStart(2, '0');
    return mappingSchema.parse({
      guest: `guest-${number}`,
      number,
      mac: `02:01:00:${hex(number >> 16)}:${hex((number >> 8) & 255)}:${hex(number & 255)}`,
      hoa4: `100.${64 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`,
      hoa6: `2001:db8:7700:${number.toString(16)}::2`,
      place: places[0]?.id,
      places: Object.fromEntries(
        places.map((one) => [one.id, { port: PORTS.guests, ...mobileAddresses(one, number) }]),
      ),
      correspondents: some(size.correspondents).map((n) => `gw-${n}`),
    });
  });
}
