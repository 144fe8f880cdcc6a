import { expect, it } from 'vitest';
import { openDatabase } from '../../../src/agent/state/database.ts';
import { StoredInvites } from '../../../src/agent/state/invite-store.ts';
import { PeerStore } from '../../../src/agent/state/peer-store.ts';

const device = (digit: string) => ({
  id: digit.repeat(64),
  name: 'laptop',
  profile: 'device' as const,
});

function stores() {
  const database = openDatabase(':memory:');
  const peers = new PeerStore(database);
  return { peers, invites: new StoredInvites(database, peers, () => 1_000) };
}

it('redeems an invite once, and pins who did', () => {
  const { peers, invites } = stores();
  invites.put({ id: 'i', key: 'k', expiresAt: 5_000 });
  expect(invites.find('i')).toEqual({ id: 'i', key: 'k', expiresAt: 5_000 });
  expect(invites.redeem('i', device('a'))).toBe(true);
  expect(invites.redeem('i', device('b'))).toBe(false);
  expect(invites.find('i')).toMatchObject({ usedBy: 'a'.repeat(64) });
  expect(peers.list().map(({ id }) => id)).toEqual(['a'.repeat(64)]);
});

it('gives a second peer of the same name a number', () => {
  const { peers, invites } = stores();
  for (const digit of ['a', 'b']) {
    invites.put({ id: digit, key: 'k', expiresAt: 5_000 });
    invites.redeem(digit, device(digit));
  }
  expect(peers.list().map(({ name }) => name)).toEqual(['laptop', 'laptop-2']);
});

it('forgets invites a month after they expired', () => {
  const { invites } = stores();
  invites.put({ id: 'old', key: 'k', expiresAt: 1_000 - 31 * 24 * 3600 * 1000 });
  invites.put({ id: 'new', key: 'k', expiresAt: 900 });
  expect(invites.find('old')).toBeUndefined();
  expect(invites.find('new')).toBeDefined();
});
