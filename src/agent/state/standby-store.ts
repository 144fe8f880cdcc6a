/** What people want to stand by, and where: kept until they want it no more, whatever happens meanwhile. */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { guestId, placeId } from '../../guest/spec.ts';

const standbyWish = z.object({
  guestId,
  place: placeId,
  whenUnmetered: z.boolean(),
  bothWays: z.boolean(),
  since: z.iso.datetime(),
});
export type StandbyWish = z.infer<typeof standbyWish>;

export class StandbyStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** One wish a guest: the last. */
  put(wish: StandbyWish): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO standbys VALUES (?, ?)')
      .run(wish.guestId, JSON.stringify(standbyWish.parse(wish)));
  }

  remove(guest: string): void {
    this.#database.prepare('DELETE FROM standbys WHERE guest_id = ?').run(guest);
  }

  find(guest: string): StandbyWish | undefined {
    const row = this.#database.prepare('SELECT wish FROM standbys WHERE guest_id = ?').get(guest);
    return row === undefined ? undefined : toWish(row);
  }

  list(): StandbyWish[] {
    return this.#database.prepare('SELECT wish FROM standbys ORDER BY guest_id').all().map(toWish);
  }

  /** A guest that comes by this handoff shall stand by where it was, as soon as it is here. */
  expectWayBack(guest: string, handoffId: string): void {
    this.#database.prepare('INSERT OR REPLACE INTO ways_back VALUES (?, ?)').run(guest, handoffId);
  }

  expectsWayBack(guest: string, handoffId: string): boolean {
    return (
      this.#database
        .prepare('SELECT 1 FROM ways_back WHERE guest_id = ? AND handoff_id = ?')
        .get(guest, handoffId) !== undefined
    );
  }

  forgetWayBack(guest: string): void {
    this.#database.prepare('DELETE FROM ways_back WHERE guest_id = ?').run(guest);
  }
}

function toWish(row: Record<string, unknown>): StandbyWish {
  return standbyWish.parse(JSON.parse(String(row.wish)));
}
