import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import type { InviteStore, PairedPlace, PendingInvite } from '../../transport/index.ts';
import type { PeerStore } from './peer-store.ts';

/** Used and expired invites are kept this long, so that whoever comes late is told why, ms. */
const KEPT_MS = 30 * 24 * 3600 * 1000;

const row = z.object({
  id: z.string(),
  key: z.string(),
  expires_at: z.number(),
  used_by: z.string().nullable(),
});

/** Invites given out by this site. Redeeming one and pinning the device is one transaction. */
export class StoredInvites implements InviteStore {
  readonly #database: DatabaseSync;
  readonly #peers: PeerStore;
  readonly #now: () => number;

  constructor(database: DatabaseSync, peers: PeerStore, now: () => number = Date.now) {
    this.#database = database;
    this.#peers = peers;
    this.#now = now;
  }

  put(invite: PendingInvite): void {
    this.#database.prepare('DELETE FROM invites WHERE expires_at < ?').run(this.#now() - KEPT_MS);
    this.#database
      .prepare('INSERT INTO invites VALUES (?, ?, ?, NULL)')
      .run(invite.id, invite.key, invite.expiresAt);
  }

  find(id: string): PendingInvite | undefined {
    const found = this.#database.prepare('SELECT * FROM invites WHERE id = ?').get(id);
    if (found === undefined) return undefined;
    const { key, expires_at, used_by } = row.parse(found);
    return { id, key, expiresAt: expires_at, ...(used_by === null ? {} : { usedBy: used_by }) };
  }

  redeem(id: string, device: PairedPlace): boolean {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const { changes } = this.#database
        .prepare('UPDATE invites SET used_by = ? WHERE id = ? AND used_by IS NULL')
        .run(device.id, id);
      if (changes === 1)
        this.#peers.put({
          ...device,
          endpoints: [],
          tunnelPort: null,
          pairedAt: new Date(this.#now()).toISOString(),
          lastSeenAt: null,
        });
      this.#database.exec('COMMIT');
      return changes === 1;
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
