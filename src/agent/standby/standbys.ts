/** The guests of this place that stand by at others, by wishes that outlive everything but their end. */
import type { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { PlaceRef, StandbyView } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import { type UpkeepBudget, upkeepBudget } from '../../handoff/index.ts';
import type { Guests } from '../guests/guests.ts';
import type { Departures } from '../handoffs/departures.ts';
import type { Journal } from '../ownership/journal.ts';
import type { Places } from '../places/places.ts';
import type { GuestStore } from '../state/guest-store.ts';
import type { StandbyStore, StandbyWish } from '../state/standby-store.ts';
import { StandbyKeeper } from './standby-keeper.ts';

export interface HostConditions {
  readonly metered: boolean;
  readonly onBattery: boolean;
}

export interface StandbysOptions {
  readonly wishes: StandbyStore;
  readonly store: GuestStore;
  readonly guests: Guests;
  readonly journal: Journal;
  readonly departures: Departures;
  readonly places: Places;
  readonly log: Logger;
  /** Emits `change` whenever a view may have changed. */
  readonly changes: EventEmitter<{ change: [] }>;
}

export interface StandbyParts
  extends Pick<
    StandbysOptions,
    'guests' | 'journal' | 'departures' | 'places' | 'log' | 'changes'
  > {
  readonly conditions: () => HostConditions;
  readonly budget: (wish: StandbyWish, linkBytesPerSecond: number | undefined) => UpkeepBudget;
  readonly handedOver: (wish: StandbyWish) => void;
  /** Before the next try, ms; for tests. */
  readonly retryMs?: (failures: number) => number;
  readonly changed: () => void;
}

export class Standbys {
  readonly #options: StandbysOptions;
  readonly #keepers = new Map<string, StandbyKeeper>();
  #conditions: HostConditions = { metered: false, onBattery: false };
  #tight: ReadonlySet<string> = new Set();
  #closed = false;

  constructor(options: StandbysOptions) {
    this.#options = options;
  }

  /** Goes on with all wishes of an earlier agent. */
  start(): void {
    for (const wish of this.#options.wishes.list())
      if (!this.#keepers.has(wish.guestId)) this.#keep(wish);
  }

  /** Ends all standbys; the wishes stay. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#keepers.values()].map((keeper) => keeper.end()));
  }

  get conditions(): HostConditions {
    return this.#conditions;
  }

  set conditions(value: HostConditions) {
    this.#conditions = value;
    this.#options.changes.emit('change');
  }

  /** Guests whose copies shall be as fresh as the link allows, because they may have to leave at any moment. */
  tighten(guests: ReadonlySet<string>): void {
    this.#tight = guests;
  }

  /** What is wanted from now on. @throws SojournError `already-there`, `not-paired`, `guest-elsewhere` */
  async arm(
    spec: GuestSpec,
    to: PlaceRef,
    how: { readonly whenUnmetered: boolean; readonly bothWays: boolean },
  ): Promise<void> {
    const { places, journal, wishes } = this.#options;
    if (to.id === places.self.id)
      throw new SojournError({
        kind: 'conflict',
        code: 'already-there',
        message: `${spec.name} cannot stand by at ${to.name}, where it is`,
        remedy: 'Name another place; see "sojourn places"',
      });
    if (journal.ownership(spec.id).kind !== 'here')
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-elsewhere',
        message: `${spec.name} is not at this place`,
        remedy: 'Arm it where it is; see "sojourn status"',
      });
    const before = wishes.find(spec.id);
    const wish: StandbyWish = {
      guestId: spec.id,
      place: to.id,
      ...how,
      since: new Date().toISOString(),
    };
    const same = before?.place === to.id && this.#keepers.has(spec.id);
    wishes.put(wish);
    if (same && before.bothWays === how.bothWays && before.whenUnmetered === how.whenUnmetered)
      return;
    await this.#keepers.get(spec.id)?.end();
    this.#keep(wish);
  }

  /** @throws SojournError `not-armed` */
  async disarm(spec: GuestSpec): Promise<void> {
    const { wishes, changes } = this.#options;
    const keeper = this.#keepers.get(spec.id);
    if (wishes.find(spec.id) === undefined)
      throw new SojournError({
        kind: 'conflict',
        code: 'not-armed',
        message: `${spec.name} stands by nowhere`,
        remedy: `Arm it with "sojourn arm ${spec.name} --at PLACE"`,
      });
    this.#forget(spec.id);
    await keeper?.end();
    changes.emit('change');
  }

  /** The guest is gone for good. */
  async forget(guestId: string): Promise<void> {
    const keeper = this.#keepers.get(guestId);
    this.#forget(guestId);
    await keeper?.end();
  }

  /** The place is paired no more: nothing stands by there. */
  async forgetPlace(place: string): Promise<void> {
    const there = this.#options.wishes.list().filter((wish) => wish.place === place);
    await Promise.all(there.map(({ guestId }) => this.forget(guestId)));
    this.#options.changes.emit('change');
  }

  view(guestId: string): StandbyView | null {
    return this.#keepers.get(guestId)?.view(Date.now()) ?? null;
  }

  #forget(guestId: string): void {
    this.#options.wishes.remove(guestId);
    this.#keepers.delete(guestId);
  }

  #keep(wish: StandbyWish): void {
    const { store, changes } = this.#options;
    const stored = store.find(wish.guestId);
    if (stored === undefined || this.#closed) return;
    const { guests, journal, departures, places, log } = this.#options;
    const keeper: StandbyKeeper = new StandbyKeeper(
      {
        ...{ guests, journal, departures, places, log, changes },
        conditions: () => this.#conditions,
        budget: (of, linkBytesPerSecond) => this.#budget(of, linkBytesPerSecond),
        handedOver: ({ guestId }) => {
          if (this.#keepers.get(guestId) === keeper) this.#forget(guestId);
          changes.emit('change');
        },
        changed: () => changes.emit('change'),
      },
      stored.spec,
      wish,
    );
    this.#keepers.set(wish.guestId, keeper);
    changes.emit('change');
  }

  /** Guests that stand by at the same place share the link to it. */
  #budget(wish: StandbyWish, linkBytesPerSecond: number | undefined): UpkeepBudget {
    const standbys = [...this.#keepers.values()].filter(
      (keeper) => keeper.isArmed && keeper.wish.place === wish.place,
    ).length;
    const tight = this.#tight.has(wish.guestId);
    return upkeepBudget({ ...this.#conditions, linkBytesPerSecond, standbys, tight });
  }
}
