/**
 * The registry of a home site: which guest has which home address, and where each guest is.
 *
 * It records ownership, it does not decide it: a handoff is decided between two agents and their
 * journals, and the registry takes the newer epoch. A place whose registry is away can still run
 * the guests that it owns.
 */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { SojournError } from '../common/index.ts';
import { type GuestNetwork, guestNetwork } from '../guest/spec.ts';
import {
  FIRST_GUEST_NUMBER,
  type HomePrefixes,
  lastGuestNumber,
  networkOfGuest,
} from './address-plan.ts';

/** Where a guest is, as the registry last heard. */
export interface HomeRecord {
  readonly guestId: string;
  readonly guestName: string;
  /** Its own at this site: that of its addresses (`address-plan.ts`). */
  readonly number: number;
  readonly network: GuestNetwork;
  readonly mac: string;
  readonly place: string;
  readonly epoch: number;
  readonly updatedAt: string;
}

const row = z.object({
  guest_id: z.string(),
  guest_name: z.string(),
  host_number: z.number(),
  network: z.string(),
  mac: z.string(),
  place: z.string(),
  epoch: z.number(),
  updated_at: z.string(),
});

/** One peer may hold at most this many home addresses, so that it cannot use up the prefix. */
export const MAX_GUESTS_PER_PLACE = 64;

export class Registry {
  readonly #database: DatabaseSync;
  readonly #prefixes: HomePrefixes;

  constructor(database: DatabaseSync, prefixes: HomePrefixes) {
    this.#database = database;
    this.#prefixes = prefixes;
  }

  get prefixes(): HomePrefixes {
    return this.#prefixes;
  }

  /**
   * Gives a guest its home addresses; asking again for the same guest gives the same ones.
   *
   * @throws SojournError `home-addresses-used-up`, `guest-not-yours`
   */
  allocate(request: {
    guestId: string;
    guestName: string;
    mac: string;
    place: string;
    at: Date;
  }): GuestNetwork {
    const known = this.find(request.guestId);
    if (known !== undefined) {
      if (known.place !== request.place) throw notYours(request.guestId);
      return known.network;
    }
    const { count } = this.#database
      .prepare('SELECT count(*) AS count FROM home_addresses WHERE place = ?')
      .get(request.place) as { count: number };
    const number = this.#freeNumber();
    if (number === undefined || count >= MAX_GUESTS_PER_PLACE)
      throw new SojournError({
        kind: 'requirement',
        code: 'home-addresses-used-up',
        message: `The site has no home address left in ${this.#prefixes.prefix4} for this place`,
        remedy: 'Delete a guest that is no longer needed, or give the site a larger prefix',
      });
    const network = networkOfGuest(this.#prefixes, number);
    this.#database
      .prepare('INSERT INTO home_addresses VALUES (?, ?, ?, ?, ?, ?, 1, ?)')
      .run(
        request.guestId,
        request.guestName,
        number,
        JSON.stringify(network),
        request.mac,
        request.place,
        request.at.toISOString(),
      );
    return network;
  }

  /** Takes note of where a guest is; older epochs than the recorded one change nothing. */
  locate(guestId: string, place: string, epoch: number, at: Date): HomeRecord | undefined {
    this.#database
      .prepare(
        'UPDATE home_addresses SET place = ?, epoch = ?, updated_at = ? WHERE guest_id = ? AND epoch < ?',
      )
      .run(place, epoch, at.toISOString(), guestId, epoch);
    return this.find(guestId);
  }

  /** @throws SojournError `guest-not-yours` when another place has the guest. */
  free(guestId: string, place: string): void {
    const known = this.find(guestId);
    if (known === undefined) return;
    if (known.place !== place) throw notYours(guestId);
    this.#database.prepare('DELETE FROM home_addresses WHERE guest_id = ?').run(guestId);
  }

  find(guestId: string): HomeRecord | undefined {
    const found = this.#database
      .prepare('SELECT * FROM home_addresses WHERE guest_id = ?')
      .get(guestId);
    return found === undefined ? undefined : toRecord(found);
  }

  list(): HomeRecord[] {
    return this.#database
      .prepare('SELECT * FROM home_addresses ORDER BY host_number')
      .all()
      .map(toRecord);
  }

  #freeNumber(): number | undefined {
    const used = new Set(
      (
        this.#database.prepare('SELECT host_number FROM home_addresses').all() as {
          host_number: number;
        }[]
      ).map((entry) => entry.host_number),
    );
    const last = lastGuestNumber(this.#prefixes);
    for (let number = FIRST_GUEST_NUMBER; number <= last; number += 1)
      if (!used.has(number)) return number;
    return undefined;
  }
}

function toRecord(found: unknown): HomeRecord {
  const value = row.parse(found);
  return {
    guestId: value.guest_id,
    guestName: value.guest_name,
    number: value.host_number,
    network: guestNetwork.parse(JSON.parse(value.network)),
    mac: value.mac,
    place: value.place,
    epoch: value.epoch,
    updatedAt: value.updated_at,
  };
}

function notYours(guestId: string): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'guest-not-yours',
    message: `Guest ${guestId} is registered at another place`,
    remedy: 'Ask at the place that has it; "sojourn guest list" shows where',
  });
}
