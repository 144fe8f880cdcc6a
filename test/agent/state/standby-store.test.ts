import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { openDatabase } from '../../../src/agent/state/database.ts';
import { StandbyStore, type StandbyWish } from '../../../src/agent/state/standby-store.ts';

const wish: StandbyWish = {
  guestId: '11111111-1111-4111-8111-111111111111',
  place: 'b'.repeat(64),
  whenUnmetered: true,
  bothWays: false,
  since: '2026-01-02T03:04:05.000Z',
};

test('a wish is there after a restart, until it is taken back', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'standby-'));
  const path = join(directory, 'state.db');
  try {
    const first = openDatabase(path);
    new StandbyStore(first).put(wish);
    new StandbyStore(first).put({ ...wish, bothWays: true });
    first.close();
    const again = openDatabase(path);
    const store = new StandbyStore(again);
    expect(store.list()).toEqual([{ ...wish, bothWays: true }]);
    expect(store.find(wish.guestId)?.bothWays).toBe(true);
    store.remove(wish.guestId);
    expect(store.list()).toEqual([]);
    again.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a way back that is expected survives a restart, and is of one handoff only', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'standby-'));
  const path = join(directory, 'state.db');
  const [first, second] = ['handoff-1', 'handoff-2'];
  try {
    const before = openDatabase(path);
    new StandbyStore(before).expectWayBack(wish.guestId, first);
    before.close();
    const database = openDatabase(path);
    const store = new StandbyStore(database);
    expect(store.expectsWayBack(wish.guestId, first)).toBe(true);
    store.expectWayBack(wish.guestId, second);
    expect(store.expectsWayBack(wish.guestId, first)).toBe(false);
    expect(store.expectsWayBack(wish.guestId, second)).toBe(true);
    store.forgetWayBack(wish.guestId);
    expect(store.expectsWayBack(wish.guestId, second)).toBe(false);
    database.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the database of an agent that knew no standbys is brought up to date', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'standby-'));
  const path = join(directory, 'state.db');
  try {
    openDatabase(path).close();
    const old = new DatabaseSync(path);
    old.exec(
      'DROP TABLE standbys; DROP TABLE settings; DROP TABLE ways_back; PRAGMA user_version = 1',
    );
    old.close();
    const database = openDatabase(path);
    expect(new StandbyStore(database).list()).toEqual([]);
    database.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});
