/** Gateways and mappings with what finds them quickly. No I/O. */
import ipaddr from 'ipaddr.js';
import { SojournError } from '../../common/index.ts';
import {
  checkMapping,
  checkMappings,
  checkNetwork,
  type DesiredFlow,
  datapathIdOf,
  type Gateway,
  gatewayFlows,
  holders,
  type InstalledFlow,
  type Mapping,
  mappingFlows,
  type Network,
  readCookie,
  type Way,
} from '../flows/index.ts';
import type { GatewayServices } from './services.ts';

export interface DomainOptions {
  readonly network: Network;
  readonly mappings: readonly Mapping[];
  readonly way: Way;
  readonly services?: GatewayServices;
}

export class Domain {
  readonly way: Way;
  readonly gateways: ReadonlyMap<string, Gateway>;
  readonly network: Network;
  readonly #services: GatewayServices;
  readonly #byDatapath: ReadonlyMap<bigint, Gateway>;
  readonly #mappings = new Map<number, Mapping>();
  readonly #numbers = new Map<string, number>();
  readonly #held = new Map<string, Set<number>>();
  /** Guests by home and mobile address. */
  readonly #addresses = new Map<string, number>();
  /** In the lazy way: gateways that asked for a guest. */
  readonly #asked = new Map<number, Set<string>>();

  /** @throws SojournError as `checkNetwork` and `checkMappings`. */
  constructor({ network, mappings, way, services = {} }: DomainOptions) {
    checkNetwork(network);
    this.way = way;
    this.network = network;
    this.#services = services;
    this.gateways = new Map(network.gateways.map((gateway) => [gateway.id, gateway]));
    this.#byDatapath = new Map(network.gateways.map((one) => [datapathIdOf(one), one]));
    checkMappings(this.gateways, mappings);
    for (const mapping of mappings) this.put(mapping);
  }

  get mappings(): Iterable<Mapping> {
    return this.#mappings.values();
  }

  get size(): number {
    return this.#mappings.size;
  }

  gatewayOf(datapathId: bigint): Gateway | undefined {
    return this.#byDatapath.get(datapathId);
  }

  find(number: number): Mapping | undefined {
    return this.#mappings.get(number);
  }

  /** @throws SojournError `guest-unknown` */
  named(guest: string): Mapping {
    const mapping = this.#mappings.get(this.#numbers.get(guest) ?? 0);
    if (mapping === undefined)
      throw new SojournError({
        kind: 'not-found',
        code: 'guest-unknown',
        message: `No mapping is of a guest ${JSON.stringify(guest)}`,
        remedy: 'Give the name that the mapping has',
      });
    return mapping;
  }

  /** Gateways that a mapping concerns, or did. */
  *concerned(...mappings: readonly (Mapping | undefined)[]): Iterable<Gateway> {
    const ids = new Set(mappings.flatMap((one) => (one === undefined ? [] : [...holders(one)])));
    for (const id of ids) {
      const gateway = this.gateways.get(id);
      if (gateway !== undefined) yield gateway;
    }
  }

  /** The guest that has an address, its HoA, one of its HoA prefix, or a MoA. */
  owner(address: Uint8Array): Mapping | undefined {
    const bytes = [...address];
    // A guest's prefix is a /64, as told to it (RFC 8273).
    const prefix = bytes.map((byte, index) => (index < 8 ? byte : 0));
    const number =
      this.#addresses.get(ipaddr.fromByteArray(bytes).toString()) ??
      (bytes.length === 16
        ? this.#addresses.get(ipaddr.fromByteArray(prefix).toString())
        : undefined);
    return number === undefined ? undefined : this.#mappings.get(number);
  }

  /** @throws SojournError as `checkMapping`, or `mapping-twice`; then a mapping cannot be put. */
  check(mapping: Mapping): void {
    checkMapping(this.gateways, mapping);
    const { number, guest } = mapping;
    const others = [
      this.#numbers.get(guest),
      ...addressesOf(mapping).map((a) => this.#addresses.get(a)),
    ];
    const other = others.find((one) => one !== undefined && one !== number);
    if (other === undefined) return;
    throw new SojournError({
      kind: 'usage',
      code: 'mapping-twice',
      message: `${guest} has a name or an address of guest number ${other}`,
      remedy: 'Give every guest its own',
    });
  }

  put(mapping: Mapping): void {
    this.remove(mapping.number);
    this.#mappings.set(mapping.number, mapping);
    this.#numbers.set(mapping.guest, mapping.number);
    for (const address of addressesOf(mapping)) this.#addresses.set(address, mapping.number);
    for (const id of holders(this.effective(mapping))) this.#heldBy(id).add(mapping.number);
  }

  remove(number: number): void {
    const mapping = this.#mappings.get(number);
    if (mapping === undefined) return;
    this.#mappings.delete(number);
    this.#numbers.delete(mapping.guest);
    for (const address of addressesOf(mapping)) this.#addresses.delete(address);
    for (const id of holders(this.effective(mapping))) this.#held.get(id)?.delete(number);
  }

  /** The mapping with the gateways that are to hold it now: in the lazy way those that asked. */
  effective(mapping: Mapping): Mapping {
    if (this.way === 'push') return mapping;
    return { ...mapping, correspondents: [...(this.#asked.get(mapping.number) ?? [])] };
  }

  /** @returns whether that is news. */
  ask(mapping: Mapping, gateway: string): boolean {
    const asked = this.#asked.get(mapping.number) ?? new Set();
    if (asked.has(gateway)) return false;
    this.#asked.set(mapping.number, asked.add(gateway));
    this.#heldBy(gateway).add(mapping.number);
    return true;
  }

  /** In the lazy way nobody but a gateway remembers what it asked for. */
  adopt({ id }: Gateway, flows: readonly InstalledFlow[]): void {
    if (this.way === 'push') return;
    for (const number of new Set(flows.map(({ cookie }) => readCookie(cookie)?.number))) {
      const mapping = number === undefined ? undefined : this.find(number);
      if (mapping !== undefined) this.ask(mapping, id);
    }
  }

  /** Gateways must ask again for a guest. */
  forget(mapping: Mapping): void {
    const { number } = mapping;
    const asked = this.#asked.get(number);
    if (asked === undefined) return;
    this.#asked.delete(number);
    const rest = holders(this.effective(mapping));
    for (const id of asked) if (!rest.has(id)) this.#held.get(id)?.delete(number);
  }

  /** The flows of a guest at a gateway, services' included. */
  flowsOf(gateway: Gateway, effective: Mapping): DesiredFlow[] {
    const flows = mappingFlows(gateway, effective);
    const more = this.#services.guestFlows;
    if (more === undefined || !holders(effective).has(gateway.id)) return flows;
    return [...flows, ...more.call(this.#services, gateway, effective)];
  }

  /** Everything that a gateway should have now. */
  desired(gateway: Gateway): DesiredFlow[] {
    const flows = gatewayFlows(this.network, gateway, this.way);
    flows.push(...(this.#services.gatewayFlows?.(gateway) ?? []));
    for (const number of this.#held.get(gateway.id) ?? []) {
      const mapping = this.#mappings.get(number);
      if (mapping !== undefined) flows.push(...this.flowsOf(gateway, this.effective(mapping)));
    }
    return flows;
  }

  #heldBy(gateway: string): Set<number> {
    let held = this.#held.get(gateway);
    if (held === undefined) {
      held = new Set();
      this.#held.set(gateway, held);
    }
    return held;
  }
}

function addressesOf({ hoa4, hoa6, places }: Mapping): string[] {
  const mobile = Object.values(places).flatMap(({ moa4, moa6 }) => [moa4, moa6]);
  return [hoa4, hoa6, ...mobile]
    .filter((one) => one !== undefined)
    .map((one) => (one.includes('/') ? prefixKey(one) : ipaddr.parse(one).toString()));
}

/** A prefix is found by its first address. */
function prefixKey(cidr: string): string {
  return ipaddr.IPv6.networkAddressFromCIDR(cidr).toString();
}
