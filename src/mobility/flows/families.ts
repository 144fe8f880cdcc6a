/** What IPv4 and IPv6 have in common, so that flows are written once; addresses as numbers. */

import { ETH_TYPE, type FieldValue, type Match } from '../../openflow/index.ts';
import { cidrToBigInt, ipToBigInt, macToBigInt, prefix } from '../../switch/index.ts';
import type { Attachment, Mapping } from './network.ts';

export type Family = (typeof FAMILIES)[number];

export const FAMILIES = [
  {
    version: 4,
    index: 0,
    eth: { eth_type: BigInt(ETH_TYPE.ipv4) },
    source: 'ipv4_src',
    destination: 'ipv4_dst',
    hoa: 'hoa4',
    moa: 'moa4',
  },
  {
    version: 6,
    index: 1,
    eth: { eth_type: BigInt(ETH_TYPE.ipv6) },
    source: 'ipv6_src',
    destination: 'ipv6_dst',
    hoa: 'hoa6',
    moa: 'moa6',
  },
] as const;

export interface HomeAddress {
  readonly match: FieldValue;
  /** Undefined for a prefix. */
  readonly address: bigint | undefined;
}

/** Mappings and what is in them are never changed, only replaced: each address is read once. */
const homes = new WeakMap<Mapping, (HomeAddress | undefined)[]>();
const mobiles = new WeakMap<Attachment, (bigint | undefined)[]>();

export function home(mapping: Mapping, { index }: Family): HomeAddress | undefined {
  let known = homes.get(mapping);
  if (known === undefined) {
    known = FAMILIES.map(({ hoa }) => readHome(mapping[hoa]));
    homes.set(mapping, known);
  }
  return known[index];
}

function readHome(text: string | undefined): HomeAddress | undefined {
  if (text === undefined) return undefined;
  if (!text.includes('/')) {
    const address = ipToBigInt(text);
    return { match: address, address };
  }
  const { value, length, bits } = cidrToBigInt(text);
  return { match: prefix(value, length, bits), address: undefined };
}

/** The mobile address of a guest at a place. */
export function mobile(mapping: Mapping, place: string, { index }: Family): bigint | undefined {
  const attachment = mapping.places[place];
  if (attachment === undefined) return undefined;
  let known = mobiles.get(attachment);
  if (known === undefined) {
    known = FAMILIES.map(({ moa }) => {
      const text = attachment[moa];
      return text === undefined ? undefined : ipToBigInt(text);
    });
    mobiles.set(attachment, known);
  }
  return known[index];
}

/** One match for each prefix. */
export function prefixMatches(
  prefixes: readonly string[],
  side: 'source' | 'destination',
): Match[] {
  return prefixes.map((cidr) => {
    const { value, length, bits } = cidrToBigInt(cidr);
    const family = FAMILIES[bits === 32 ? 0 : 1];
    return { ...family.eth, [family[side]]: prefix(value, length, bits) };
  });
}

export const macValue = macToBigInt;
