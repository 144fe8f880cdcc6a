/**
 * The address plan of a site: which home addresses a guest gets out of the site's prefixes.
 *
 * Guest number n (2, 3, ...) of a site that anchors 192.0.2.0/24 and 2001:db8:7700::/48 has
 * 192.0.2.n and the /64 2001:db8:7700:n::/64 (RFC 8273: a prefix per host). The gateway is the first
 * address of the IPv4 prefix and fe80::1, with one MAC, at every place.
 */
import ipaddr from 'ipaddr.js';
import { SojournError } from '../common/index.ts';
import type { GuestNetwork } from '../guest/spec.ts';

export interface HomePrefixes {
  /** IPv4 CIDR, /8 to /28. */
  readonly prefix4: string;
  /** IPv6 CIDR, /32 to /60. */
  readonly prefix6: string;
  /** Name servers told to guests. */
  readonly dns: readonly string[];
}

/** Number 1 is the gateway. */
export const FIRST_GUEST_NUMBER = 2;

/** @throws SojournError `prefix-invalid` */
export function parseHomePrefixes(prefixes: HomePrefixes): HomePrefixes {
  const [, length4] = parse(prefixes.prefix4, 'ipv4', 8, 28);
  const [, length6] = parse(prefixes.prefix6, 'ipv6', 32, 60);
  const first4 = ipaddr.IPv4.networkAddressFromCIDR(prefixes.prefix4);
  const first6 = ipaddr.IPv6.networkAddressFromCIDR(prefixes.prefix6);
  return {
    prefix4: `${first4.toString()}/${length4}`,
    prefix6: `${first6.toString()}/${length6}`,
    dns: prefixes.dns.map((address) => {
      if (!ipaddr.isValid(address)) throw invalid(address, 'it is not an IP address');
      return address;
    }),
  };
}

/** The highest guest number that both prefixes have room for. */
export function lastGuestNumber(prefixes: HomePrefixes): number {
  const length4 = Number(prefixes.prefix4.split('/')[1]);
  const length6 = Number(prefixes.prefix6.split('/')[1]);
  const hosts4 = 2 ** (32 - length4) - 2;
  const subnets6 = 2 ** (64 - length6) - 1;
  return Math.min(hosts4, subnets6);
}

/** The network of guest number `number`, between FIRST_GUEST_NUMBER and lastGuestNumber(). */
export function networkOfGuest(prefixes: HomePrefixes, number: number): GuestNetwork {
  const [base4, length4] = ipaddr.IPv4.parseCIDR(prefixes.prefix4);
  const [base6] = ipaddr.IPv6.parseCIDR(prefixes.prefix6);
  return {
    hoa4: addToIpv4(base4, number),
    hoa4PrefixLength: length4,
    gateway4: addToIpv4(base4, 1),
    hoa6Prefix: `${subnetOf(base6, number)}/64`,
    dns: [...prefixes.dns],
  };
}

/** The address that stateless autoconfiguration makes of a MAC in a /64 (RFC 4291, appendix A). */
export function eui64Address(prefix64: string, mac: string): string {
  const [base] = ipaddr.IPv6.parseCIDR(prefix64);
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
  const interfaceId = [a ^ 0x02, b, c, 0xff, 0xfe, d, e, f];
  return ipaddr.fromByteArray([...base.toByteArray().slice(0, 8), ...interfaceId]).toString();
}

function addToIpv4(base: ipaddr.IPv4, number: number): string {
  const value = base.toByteArray().reduce((sum, byte) => sum * 256 + byte, 0) + number;
  return ipaddr
    .fromByteArray([24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256))
    .toString();
}

function subnetOf(base: ipaddr.IPv6, number: number): string {
  const bytes = base.toByteArray();
  for (let index = 7, rest = number; index >= 4 && rest > 0; index -= 1) {
    bytes[index] = (bytes[index] ?? 0) + (rest % 256);
    rest = Math.floor(rest / 256);
  }
  return ipaddr.fromByteArray(bytes).toString();
}

function parse(
  cidr: string,
  kind: 'ipv4' | 'ipv6',
  shortest: number,
  longest: number,
): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (!ipaddr.isValidCIDR(cidr)) throw invalid(cidr, 'it is not ADDRESS/LENGTH');
  const [address, length] = ipaddr.parseCIDR(cidr);
  if (address.kind() !== kind) throw invalid(cidr, `an ${kind} prefix is wanted here`);
  if (length < shortest || length > longest)
    throw invalid(cidr, `its length must be /${shortest} to /${longest}`);
  return [address, length];
}

function invalid(text: string, why: string): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'prefix-invalid',
    message: `${text.slice(0, 60)} cannot be used for home addresses: ${why}`,
    remedy: 'Give prefixes such as --hoa4 192.0.2.0/24 --hoa6 2001:db8:7700::/48',
  });
}
