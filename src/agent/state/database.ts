/** The agent's database: everything but who owns a guest, which the journal alone decides. */
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { errorText, SojournError } from '../../common/index.ts';

/** Migration n brings the schema from version n to n + 1; entries are never changed, only added. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE guests (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     record TEXT NOT NULL             -- JSON, StoredGuest
   ) STRICT;
   CREATE TABLE peers (
     id TEXT PRIMARY KEY,             -- place id
     name TEXT NOT NULL UNIQUE,
     profile TEXT NOT NULL,           -- 'device' | 'site'
     endpoints TEXT NOT NULL,         -- JSON [{host, port}], empty for a peer that dials us
     tunnel_port INTEGER,
     paired_at TEXT NOT NULL,
     last_seen_at TEXT
   ) STRICT;
   CREATE TABLE invites (
     id TEXT PRIMARY KEY,
     key TEXT NOT NULL,               -- as good as the secret
     expires_at INTEGER NOT NULL,     -- ms since the epoch
     used_by TEXT                     -- place id
   ) STRICT;
   CREATE TABLE home_addresses (
     guest_id TEXT PRIMARY KEY,
     guest_name TEXT NOT NULL,
     host_number INTEGER NOT NULL UNIQUE,  -- place in the IPv4 prefix and number of the /64
     network TEXT NOT NULL,           -- JSON, GuestNetwork
     mac TEXT NOT NULL,
     place TEXT NOT NULL,             -- where the guest is
     epoch INTEGER NOT NULL,
     updated_at TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE standbys (
     guest_id TEXT PRIMARY KEY,
     wish TEXT NOT NULL               -- JSON, StandbyWish
   ) STRICT;`,
  `CREATE TABLE settings (
     name TEXT PRIMARY KEY,
     value TEXT NOT NULL              -- JSON
   ) STRICT;`,
  `CREATE TABLE ways_back (
     guest_id TEXT PRIMARY KEY,
     handoff_id TEXT NOT NULL         -- by which the guest comes
   ) STRICT;`,
];

/**
 * Opens the database and brings its schema up to date, in one transaction a step.
 *
 * @throws SojournError `state-newer`, `state-damaged`
 */
export function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    if (path !== ':memory:') chmodSync(path, 0o600);
  } catch (error) {
    throw new SojournError({
      kind: 'requirement',
      code: 'state-damaged',
      message: `The database ${path} cannot be opened: ${errorText(error)}`,
      remedy:
        'Check the disk, or restore the file from a backup; who owns a guest is kept apart in journal.jsonl',
      cause: error,
    });
  }
  migrate(database, path);
  return database;
}

function migrate(database: DatabaseSync, path: string): void {
  const row = database.prepare('PRAGMA user_version').get() as { user_version: number };
  if (row.user_version > MIGRATIONS.length) {
    database.close();
    throw new SojournError({
      kind: 'requirement',
      code: 'state-newer',
      message: `The database ${path} has schema ${row.user_version}, this Sojourn knows up to ${MIGRATIONS.length}`,
      remedy: 'Run the newer Sojourn that wrote it, or name another directory with --state DIR',
    });
  }
  for (let version = row.user_version; version < MIGRATIONS.length; version += 1) {
    database.exec(`BEGIN; ${MIGRATIONS[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}
