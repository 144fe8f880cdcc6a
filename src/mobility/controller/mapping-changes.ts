/** Changes of mappings, those of one guest in turn. */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../openflow/index.ts';
import { type Mapping, planChanges } from '../flows/index.ts';
import { carryOut } from './change.ts';
import type { Connected } from './connected.ts';
import type { Domain } from './domain.ts';
import type { ChangeReport } from './events.ts';

/** Mappings of a new set that are changed at once: each waits for barriers. */
const CHANGES_AT_ONCE = 256;

export interface MappingChangesOptions {
  readonly domain: Domain;
  readonly clock: Clock;
  /** How long the place that a guest left sends on what still comes there, ms. */
  readonly lingerMs: number;
  readonly connected: (gateway: string) => Connected | undefined;
  /** A guest of a new set has another place. */
  readonly moved: (mapping: Mapping, report: ChangeReport) => void;
}

export class MappingChanges {
  domain: Domain;
  readonly #options: MappingChangesOptions;
  /** The end of what is being done with a guest, by its number. */
  readonly #tails = new Map<number, Promise<unknown>>();
  readonly #lingering = new Map<number, () => void>();
  /** The newest set; an older one that still waits for gateways makes these mappings, too. */
  #wanted: ReadonlyMap<number, Mapping> = new Map();

  constructor(options: MappingChangesOptions) {
    this.#options = options;
    this.domain = options.domain;
    this.lingerAll();
  }

  /**
   * Waits for the guest's turn, then makes its mapping what `next` says.
   * @throws what `next` throws, or as `checkMapping`; then nothing is changed.
   */
  change(
    number: number,
    next: (before: Mapping | undefined) => Mapping | undefined,
  ): Promise<ChangeReport> {
    const work = async () => {
      const before = this.domain.find(number);
      return this.#make(before, next(before));
    };
    const tail = this.#tails.get(number);
    const result = tail === undefined ? work() : tail.then(work);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#tails.set(number, settled);
    void settled.then(() => {
      if (this.#tails.get(number) === settled) this.#tails.delete(number);
    });
    return result;
  }

  /** Makes all mappings what these say. Rejects as `change`. */
  async follow(mappings: readonly Mapping[]): Promise<void> {
    this.#wanted = byNumber(mappings);
    const known = [...this.domain.mappings].map(({ number }) => number);
    // What goes, first: another may get its name.
    const gone = known.filter((number) => !this.#wanted.has(number));
    const queue = [...gone, ...this.#wanted.keys()].values();
    const work = async () => {
      for (const number of queue) await this.#follow(number);
    };
    await Promise.all(Array.from({ length: CHANGES_AT_ONCE }, work));
  }

  /** Other gateways, with all their mappings. */
  replace(domain: Domain, mappings: readonly Mapping[]): void {
    this.stop();
    this.domain = domain;
    this.#wanted = byNumber(mappings);
    this.lingerAll();
  }

  /** Begins the time after which the places that guests left are forgotten. */
  lingerAll(): void {
    for (const mapping of this.domain.mappings) this.#linger(mapping);
  }

  stop(): void {
    for (const stop of this.#lingering.values()) stop();
    this.#lingering.clear();
  }

  async #follow(number: number): Promise<void> {
    const wanted = (before: Mapping | undefined) => {
      const after = this.#wanted.get(number);
      return after && leaving(before, after);
    };
    const before = this.domain.find(number);
    if (isDeepStrictEqual(before, wanted(before))) return;
    let moved: Mapping | undefined;
    const report = await this.change(number, (now) => {
      const after = wanted(now);
      moved = now === undefined || now.place === after?.place ? undefined : after;
      return after;
    });
    if (moved !== undefined) this.#options.moved(moved, report);
  }

  #make(before: Mapping | undefined, after: Mapping | undefined): Promise<ChangeReport> {
    const { domain } = this;
    const { connected, clock } = this.#options;
    if (after !== undefined) domain.check(after);
    const old = before && domain.effective(before);
    if (before !== undefined) {
      // Whoever asked in the lazy way must ask again: only a guest's own places are told.
      if (before.place !== after?.place) domain.forget(before);
      if (after === undefined) domain.remove(before.number);
    }
    if (after !== undefined) domain.put(after);
    const now = after && domain.effective(after);
    const changes = [...domain.concerned(old, now)].map((gateway) => {
      const have = old === undefined ? [] : domain.flowsOf(gateway, old);
      const want = now === undefined ? [] : domain.flowsOf(gateway, now);
      return {
        id: gateway.id,
        connected: connected(gateway.id),
        plan: planChanges(have, want),
      };
    });
    if (after !== undefined) this.#linger(after);
    return carryOut(changes, clock);
  }

  #linger({ number, from }: Mapping): void {
    this.#lingering.get(number)?.();
    this.#lingering.delete(number);
    if (from === undefined) return;
    const { clock, lingerMs } = this.#options;
    const stop = clock.after(lingerMs, () => {
      this.#lingering.delete(number);
      // A gateway that is left behind is repaired, so nobody waits for the report.
      void this.change(number, (mapping) => {
        if (mapping?.from !== from) return mapping;
        const { from: _, ...rest } = mapping;
        return rest;
      });
    });
    this.#lingering.set(number, stop);
  }
}

/** A mapping that comes with another place than before is that of a guest which has moved. */
export function leaving(before: Mapping | undefined, after: Mapping): Mapping {
  if (before === undefined || after.from !== undefined) return after;
  const { place, from, places } = before;
  if (place !== after.place)
    return places[place] && after.places[place] ? { ...after, from: place } : after;
  return from === undefined ? after : { ...after, from };
}

function byNumber(mappings: readonly Mapping[]): ReadonlyMap<number, Mapping> {
  return new Map(mappings.map((mapping) => [mapping.number, mapping]));
}
