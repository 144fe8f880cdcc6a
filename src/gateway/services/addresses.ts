/** Which address stands for which at a gateway, of all mappings that it holds. */
import { holders, type Mapping } from '../../mobility/flows/index.ts';
import { ipToBytes } from '../../switch/index.ts';
import type { AddressChange } from './icmp-errors.ts';

export interface GatewayAddresses {
  /** HoA to the MoA of where the guest is: what leaves toward the network. */
  readonly toMobile: AddressChange;
  /** Every MoA of a guest to its HoA: what comes from the network. */
  readonly toHome: AddressChange;
  /** The mapping that an address belongs to, HoA or MoA. */
  readonly find: (address: Buffer) => Mapping | undefined;
}

export function gatewayAddresses(gateway: string, mappings: Iterable<Mapping>): GatewayAddresses {
  const mobile = new Map<string, Buffer>();
  const home = new Map<string, Buffer>();
  const owners = new Map<string, Mapping>();
  for (const mapping of mappings) {
    if (!holders(mapping).has(gateway)) continue;
    const { hoa4, hoa6, place, places } = mapping;
    for (const family of [4, 6] as const) {
      const hoa = family === 4 ? hoa4 : hoa6;
      // A prefix is never translated.
      if (hoa === undefined || hoa.includes('/')) continue;
      const address = ipToBytes(hoa);
      owners.set(key(address), mapping);
      for (const [id, attachment] of Object.entries(places)) {
        const moa = family === 4 ? attachment.moa4 : attachment.moa6;
        if (moa === undefined) continue;
        const there = ipToBytes(moa);
        owners.set(key(there), mapping);
        home.set(key(there), address);
        if (id === place) mobile.set(key(address), there);
      }
    }
  }
  return {
    toMobile: (address) => mobile.get(key(address)),
    toHome: (address) => home.get(key(address)),
    find: (address) => owners.get(key(address)),
  };
}

function key(address: Buffer): string {
  return address.toString('latin1');
}
