import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { SojournError } from '../../common/index.ts';
import { guestProcessRecord, guestRuntime } from '../../guest/index.ts';
import { guestSpec } from '../../guest/spec.ts';

const exit = z.object({
  at: z.iso.datetime(),
  code: z.int().nullable(),
  signal: z.string().nullable(),
  reason: z.string(),
});

export const storedGuest = z.object({
  spec: guestSpec,
  /** What the user asked for last; tells a crash from a stop. */
  intent: z.enum(['running', 'stopped']),
  /** Finds its QEMU again; null when none was left running. */
  process: guestProcessRecord.nullable(),
  /** Where its overlays are at this place; empty when none are here. */
  disks: guestRuntime.shape.disks,
  /** How it ended, when it ended by itself. */
  crash: exit.nullable(),
  /** When the present state began. */
  since: z.iso.datetime(),
});

export type StoredGuest = z.infer<typeof storedGuest>;

/** The guests that this place knows: those it owns, and those of its own that are elsewhere. */
export class GuestStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @throws SojournError `guest-exists` when another guest has the name. */
  put(guest: StoredGuest): void {
    const taken = this.#database
      .prepare('SELECT id FROM guests WHERE name = ? AND id <> ?')
      .get(guest.spec.name, guest.spec.id);
    if (taken !== undefined)
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-exists',
        message: `There is already a guest named ${guest.spec.name} here`,
        remedy: 'Choose another name, or delete that guest',
      });
    this.#database
      .prepare('INSERT OR REPLACE INTO guests VALUES (?, ?, ?)')
      .run(guest.spec.id, guest.spec.name, JSON.stringify(storedGuest.parse(guest)));
  }

  remove(id: string): void {
    this.#database.prepare('DELETE FROM guests WHERE id = ?').run(id);
  }

  find(id: string): StoredGuest | undefined {
    const row = this.#database.prepare('SELECT record FROM guests WHERE id = ?').get(id);
    return row === undefined ? undefined : toGuest(row);
  }

  list(): StoredGuest[] {
    return this.#database.prepare('SELECT record FROM guests ORDER BY name').all().map(toGuest);
  }
}

function toGuest(row: Record<string, unknown>): StoredGuest {
  return storedGuest.parse(JSON.parse(String(row.record)));
}
