/** Where places are reached. */
import { networkInterfaces } from 'node:os';
import type { Listens } from '../../transport/index.ts';
import type { Endpoint } from '../state/peer-store.ts';

export function endpointsOf({ hosts, port }: NonNullable<Listens>): Endpoint[] {
  return hosts.map((host) => ({ host, port }));
}

/** Addresses of this host that others may reach it by. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address)
    .slice(0, 8);
}
