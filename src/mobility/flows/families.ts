/** What IPv4 and IPv6 have in common, so that flows are written once; addresses as numbers. */

import { ETH_TYPE, type FieldValue, type Match } from '../../openflow/index.ts';
import { cidrToBigInt, ipToBigInt, macToBigInt, prefix } from '../../switch/index.ts';
import type { Mapping } from './network.ts';

export type Family = (typeof FAMILIES)[number];

export const FAMILIES = [
  {
    version: 4,
    eth: { eth_type: BigInt(ETH_TYPE.ipv4) },
    source: 'ipv4_src',
    destination: 'ipv4_dst',
    hoa: 'hoa4',
    moa: 'moa4',
  },
  {
    version: 6,
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

export function home(mapping: Mapping, { hoa }: Family): HomeAddress | undefined {
  const text = mapping[hoa];
  if (text === undefined) return undefined;
  if (!text.includes('/')) {
    const address = ipToBigInt(text);
    return { match: address, address };
  }
  const { value, length, bits } = cidrToBigInt(text);
  return { match: prefix(value, length, bits), address: undefined };
}

/** The mobile address of a guest at a place. */
export function mobile(mapping: Mapping, place: string, { moa }: Family): bigint | undefined {
  const text = mapping.places[place]?.[moa];
  return text === undefined ? undefined : ipToBigInt(text);
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
