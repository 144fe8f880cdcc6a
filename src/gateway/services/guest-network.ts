/** What a guest is told of its network, out of its mapping and the home prefixes. */
import ipaddr from 'ipaddr.js';
import type { GuestNetwork } from '../../guest/spec.ts';
import type { Mapping } from '../../mobility/flows/index.ts';

/** The prefix that an address is of. */
export function withinPrefixes(address: string, prefixes: readonly string[]): string | undefined {
  const parsed = ipaddr.parse(address);
  return prefixes.find((cidr) => {
    const [network, length] = ipaddr.parseCIDR(cidr);
    return network.kind() === parsed.kind() && parsed.match(network, length);
  });
}

/** The first address of a home prefix, as in every address plan (`src/mobility/address-plan.ts`). */
export function gatewayAddress4(cidr: string): string {
  const bytes = ipaddr.IPv4.networkAddressFromCIDR(cidr).toByteArray();
  bytes[3] = (bytes[3] as number) | 1;
  return ipaddr.fromByteArray(bytes).toString();
}

/** Undefined for a guest without an IPv4 address of a home prefix, or without IPv6: it is not set up from here. */
export function guestNetworkOf(
  { hoa4, hoa6 }: Mapping,
  homePrefixes: readonly string[],
): GuestNetwork | undefined {
  const home4 = hoa4 === undefined ? undefined : withinPrefixes(hoa4, homePrefixes);
  if (hoa4 === undefined || home4 === undefined || hoa6 === undefined) return undefined;
  return {
    hoa4,
    hoa4PrefixLength: Number(home4.split('/')[1]),
    gateway4: gatewayAddress4(home4),
    hoa6Prefix: `${prefix64(hoa6)}/64`,
    dns: [],
  };
}

function prefix64(address: string): string {
  const bytes = ipaddr.IPv6.parse(address.split('/')[0] ?? '').toByteArray();
  return ipaddr.fromByteArray([...bytes.slice(0, 8), ...Array<number>(8).fill(0)]).toString();
}
