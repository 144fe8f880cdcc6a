import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { placeId } from '../../guest/spec.ts';

export const endpoint = z.object({
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65535),
});

export const peer = z.object({
  id: placeId,
  name: z.string().min(1).max(64),
  profile: z.enum(['device', 'site']),
  /** Where it can be dialled; empty for a peer that dials us. */
  endpoints: z.array(endpoint).max(16),
  /** Port of its datapath's tunnel at the same hosts; null for a peer that dials us. */
  tunnelPort: z.int().min(1).max(65535).nullable(),
  pairedAt: z.iso.datetime(),
  lastSeenAt: z.iso.datetime().nullable(),
});

export type Peer = z.infer<typeof peer>;
export type Endpoint = z.infer<typeof endpoint>;

/** The places that this place is paired with: the identities it trusts. */
export class PeerStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Adds a peer, or replaces what is known of it. A name that another peer has gets a number. */
  put(value: Peer): Peer {
    const stored = { ...peer.parse(value), name: this.#freeName(value) };
    this.#database
      .prepare('INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(
        stored.id,
        stored.name,
        stored.profile,
        JSON.stringify(stored.endpoints),
        stored.tunnelPort,
        stored.pairedAt,
        stored.lastSeenAt,
      );
    return stored;
  }

  seen(id: string, at: Date): void {
    this.#database
      .prepare('UPDATE peers SET last_seen_at = ? WHERE id = ?')
      .run(at.toISOString(), id);
  }

  remove(id: string): void {
    this.#database.prepare('DELETE FROM peers WHERE id = ?').run(id);
  }

  find(id: string): Peer | undefined {
    const row = this.#database.prepare('SELECT * FROM peers WHERE id = ?').get(id);
    return row === undefined ? undefined : toPeer(row);
  }

  list(): Peer[] {
    return this.#database.prepare('SELECT * FROM peers ORDER BY name').all().map(toPeer);
  }

  #freeName(value: Peer): string {
    const taken = new Set(
      this.list()
        .filter((other) => other.id !== value.id)
        .map((other) => other.name),
    );
    if (!taken.has(value.name)) return value.name;
    for (let number = 2; ; number += 1) {
      const name = `${value.name.slice(0, 60)}-${number}`;
      if (!taken.has(name)) return name;
    }
  }
}

function toPeer(row: Record<string, unknown>): Peer {
  return peer.parse({
    id: row.id,
    name: row.name,
    profile: row.profile,
    endpoints: JSON.parse(String(row.endpoints)),
    tunnelPort: row.tunnel_port,
    pairedAt: row.paired_at,
    lastSeenAt: row.last_seen_at,
  });
}
