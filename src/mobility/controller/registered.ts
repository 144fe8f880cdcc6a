/**
 * From what the registry of a home site says to mappings. Pure.
 *
 * A place whose guests no gateway has is behind the home: its guests are led to the gateway of the site that anchors their addresses,
 * and its agent sends on what comes there. All gateways that have a way to a guest hold its mapping: nobody says who talks to it.
 */
import { SojournError } from '../../common/index.ts';
import { eui64Address } from '../address-plan.ts';
import {
  type Attachment,
  checkMapping,
  type Gateway,
  isRouter,
  type Mapping,
  mobileAddresses,
  type Network,
  reaches,
} from '../flows/index.ts';

export interface RegisteredGuest {
  readonly id: string;
  readonly name: string;
  /** Its own at the site. */
  readonly number: number;
  readonly mac: string;
  readonly hoa4: string;
  /** A /64. */
  readonly hoa6Prefix: string;
  /** The id of the place where it is, since this epoch. */
  readonly place: string;
  readonly epoch: number;
  /** Where it may be next. */
  readonly expected: { readonly place: string; readonly epoch: number } | null;
}

export interface Registered {
  /** The id of the place that has the registry. */
  readonly home: string;
  /** Names of all places that are named by their ids. */
  readonly places: readonly { readonly id: string; readonly name: string }[];
  readonly guests: readonly RegisteredGuest[];
}

/** What of a registry cannot be followed, or not as one may expect. */
export interface Remark {
  readonly code: string;
  /** Whether guests are left out for it. */
  readonly leftOut: boolean;
  readonly text: string;
}

export interface RegisteredMappings {
  readonly mappings: readonly Mapping[];
  /** Each once. */
  readonly remarks: readonly Remark[];
}

/** A guest of which an older epoch is told stays where it is: a registry may come back from a copy. */
export function newest(before: Registered | undefined, now: Registered): Registered {
  const known = new Map(before?.guests.map((guest) => [guest.id, guest]));
  const guests = now.guests.map((guest) => {
    const old = known.get(guest.id);
    if (old === undefined || old.epoch <= guest.epoch) return guest;
    const { place, epoch } = old;
    return { ...guest, place, epoch, expected: null };
  });
  const named = new Set(now.places.map(({ id }) => id));
  const kept = before?.places.filter(({ id }) => !named.has(id)) ?? [];
  return { ...now, places: [...now.places, ...kept], guests };
}

export function registeredMappings(network: Network, registered: Registered): RegisteredMappings {
  const atlas = new Atlas(network, registered);
  const names = new Map<string, number>();
  for (const { name } of registered.guests) names.set(name, (names.get(name) ?? 0) + 1);
  const mappings: Mapping[] = [];
  for (const guest of registered.guests) {
    const { name, number } = guest;
    // Guests of two devices may have one name; this cannot be that of a third.
    const mapping = atlas.mappingOf(guest, names.get(name) === 1 ? name : `${name}#${number}`);
    if (mapping !== undefined) mappings.push(mapping);
  }
  return { mappings, remarks: [...atlas.remarks.values()] };
}

/** Gateways by the places whose guests they have. */
class Atlas {
  readonly remarks = new Map<string, Remark>();
  readonly #gateways: ReadonlyMap<string, Gateway>;
  readonly #sites: readonly Gateway[];
  readonly #byPlace: ReadonlyMap<string, Gateway>;
  readonly #names: ReadonlyMap<string, string>;
  readonly #home: string;
  readonly #has4: boolean;
  readonly #has6: boolean;
  readonly #translates6: boolean;

  constructor({ gateways }: Network, { home, places }: Registered) {
    this.#gateways = new Map(gateways.map((gateway) => [gateway.id, gateway]));
    this.#sites = gateways.filter(({ guests }) => guests !== undefined);
    this.#names = new Map(places.map(({ id, name }) => [id, name]));
    this.#home = home;
    this.#byPlace = new Map(
      places.flatMap(({ id, name }) => {
        const named = (text: string) => gateways.find(({ guests }) => guests?.place === text);
        const gateway = named(id) ?? named(name);
        return gateway === undefined ? [] : [[id, gateway] as const];
      }),
    );
    const [pools4, pools6] = (['pool4', 'pool6'] as const).map((pool) =>
      this.#sites.some((site) => site[pool] !== undefined),
    ) as [boolean, boolean];
    // Where all is translation, a family without pools has no way.
    const open = gateways.some(({ tunnels }) => Object.keys(tunnels).length > 0);
    this.#has4 = open || pools4 || !pools6;
    this.#has6 = open || pools6 || !pools4;
    // A prefix cannot be translated, and what a guest's address is must not depend on where it is.
    this.#translates6 = pools6;
  }

  mappingOf(guest: RegisteredGuest, name: string): Mapping | undefined {
    const gateway = this.#gatewayOf(guest.place);
    if (gateway === undefined) return undefined;
    const expected = guest.expected === null ? undefined : this.#gatewayOf(guest.expected.place);
    const next = expected === gateway ? undefined : expected;
    try {
      const mapping = this.#build(guest, name, gateway);
      checkMapping(this.#gateways, mapping);
      return (next && this.#expecting(mapping, next)) ?? mapping;
    } catch (error) {
      if (!(error instanceof SojournError)) throw error;
      this.#remark({ code: error.code, leftOut: true, text: error.message });
      return undefined;
    }
  }

  /** Undefined when it cannot be prepared there; then it moves unprepared. */
  #expecting(mapping: Mapping, { id }: Gateway): Mapping | undefined {
    const prepared = { ...mapping, next: id };
    try {
      checkMapping(this.#gateways, prepared);
      return prepared;
    } catch (error) {
      if (!(error instanceof SojournError)) throw error;
      this.#remark({ code: error.code, leftOut: false, text: error.message });
      return undefined;
    }
  }

  #build(guest: RegisteredGuest, name: string, gateway: Gateway): Mapping {
    const { number, mac, hoa4, hoa6Prefix } = guest;
    const { id } = gateway;
    const places: Record<string, Attachment> = {};
    for (const site of this.#sites) {
      const attachment = attachmentAt(site, number, site === gateway);
      if (attachment !== undefined) places[site.id] = attachment;
    }
    const at = places[id];
    const canReach = (other: Gateway) =>
      (!this.#has4 || reaches(other, id, at?.moa4 !== undefined)) &&
      (!this.#has6 || reaches(other, id, at?.moa6 !== undefined));
    const home = this.#byPlace.get(this.#home);
    const anchor =
      home !== undefined && isRouter(home) && (home === gateway || canReach(home))
        ? home.id
        : undefined;
    return {
      guest: name,
      number,
      mac,
      ...(this.#has4 && { hoa4 }),
      ...(this.#has6 && {
        hoa6: this.#translates6 ? eui64Address(hoa6Prefix, mac) : hoa6Prefix,
      }),
      place: id,
      places,
      correspondents: [...this.#gateways.values()]
        .filter((other) => other !== gateway && canReach(other))
        .map((other) => other.id),
      ...(anchor !== undefined && { anchor }),
    };
  }

  #gatewayOf(place: string): Gateway | undefined {
    const own = this.#byPlace.get(place);
    if (own !== undefined) return own;
    const home = this.#byPlace.get(this.#home);
    const [name, homeName] = [place, this.#home].map((id) => this.#names.get(id) ?? id);
    if (home === undefined)
      this.#remark({
        code: 'place-without-gateway',
        leftOut: true,
        text: `Guests at ${name} are left out: no gateway has "guests" of ${name}, nor of ${homeName}, where their addresses are anchored`,
      });
    else
      this.#remark({
        code: 'place-behind-home',
        leftOut: false,
        text: `Guests at ${name} are led to ${home.id}, the gateway of their home ${homeName}: no gateway has "guests" of ${name}`,
      });
    return home;
  }

  #remark(remark: Remark): void {
    this.remarks.set(`${remark.code} ${remark.text}`, remark);
  }
}

/** Undefined where pools have no address for it, unless it is there. @throws SojournError `pool-too-small` */
function attachmentAt(gateway: Gateway, number: number, isThere: boolean): Attachment | undefined {
  const { guests } = gateway;
  if (guests === undefined) return undefined;
  try {
    return { port: guests.port, ...mobileAddresses(gateway, number) };
  } catch (error) {
    if (isThere || !(error instanceof SojournError)) throw error;
    return undefined;
  }
}
