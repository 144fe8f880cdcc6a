import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  createInvite,
  type Invite,
  type InviteStore,
  type PairedPlace,
  type PendingInvite,
  pairWithSite,
  parseInvite,
} from '../../src/transport/index.ts';
import { Cleanup, makePlaces, type Places, startDialer, startListener } from './harness.ts';

let places: Places;
const cleanup = new Cleanup();
beforeAll(async () => {
  places = await makePlaces();
});
afterAll(() => places.remove());
afterEach(() => cleanup.run());

class MemoryInvites implements InviteStore {
  readonly invites = new Map<string, PendingInvite>();
  readonly pinned = new Map<string, PairedPlace>();

  put(invite: PendingInvite): void {
    this.invites.set(invite.id, invite);
  }

  find(id: string): PendingInvite | undefined {
    return this.invites.get(id);
  }

  redeem(id: string, device: PairedPlace): boolean {
    const invite = this.invites.get(id);
    if (invite === undefined || invite.usedBy !== undefined) return false;
    this.invites.set(id, { ...invite, usedBy: device.id });
    this.pinned.set(device.id, device);
    return true;
  }
}

const NOW = Date.parse('2026-01-01T00:00:00Z');
const HOUR = 3_600_000;
const laptop = { name: 'laptop', profile: 'device' } as const;

async function site() {
  const store = new MemoryInvites();
  const clock = { now: NOW };
  const paired: PairedPlace[] = [];
  const { port, listener } = await startListener(places, cleanup, {
    isPinned: (id) => store.pinned.has(id),
    invites: store,
    onPaired: (device) => paired.push(device),
    now: () => clock.now,
  });
  const { text } = await createInvite({
    identity: places.site,
    name: 'cloud',
    hosts: ['127.0.0.1'],
    port,
    ttlMs: HOUR,
    now: NOW,
    store,
  });
  return { store, clock, paired, port, listener, text };
}

const pair = (invite: Invite, identity = places.device) =>
  pairWithSite({ identity, place: laptop, invite });

describe('an invite', () => {
  it('pairs both sides: each has the identity and the name of the other', async () => {
    const { store, text, port, paired } = await site();
    expect(text).toMatch(/^sojourn1\.[A-Za-z0-9_-]+$/);
    const result = await pair(parseInvite(` ${text}\n`));
    expect(result).toEqual({
      id: places.site.id,
      name: 'cloud',
      profile: 'site',
      hosts: ['127.0.0.1'],
      port,
    });
    const device = { id: places.device.id, ...laptop };
    expect(store.pinned.get(places.device.id)).toEqual(device);
    expect(paired).toEqual([device]);
    const session = await startDialer(places, cleanup, port).connected({ timeoutMs: 10_000 });
    expect(session.peer).toBe(places.site.id);
  });

  it('works once; the same device may repeat it while it is paired', async () => {
    const { store, text } = await site();
    const invite = parseInvite(text);
    await pair(invite);
    await expect(pair(invite, places.stranger)).rejects.toMatchObject({
      kind: 'refused',
      code: 'invite-used',
      remedy: expect.stringContaining('sojourn invite'),
    });
    expect((await pair(invite)).id).toBe(places.site.id);
    store.pinned.delete(places.device.id);
    await expect(pair(invite)).rejects.toMatchObject({ code: 'invite-used' });
    expect(store.pinned.size).toBe(0);
  });

  it('goes to one of two devices that use it at the same time', async () => {
    const { store, text } = await site();
    const invite = parseInvite(text);
    const results = await Promise.allSettled([pair(invite), pair(invite, places.stranger)]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(store.pinned.size).toBe(1);
  });

  it('goes to one of two devices even when the store is asked for both first', async () => {
    const { store, text } = await site();
    const asked: (() => void)[] = [];
    const find = store.find.bind(store);
    store.find = (async (id: string) => {
      const invite = find(id);
      await new Promise<void>((resolve) => {
        asked.push(resolve);
        if (asked.length === 2) for (const go of asked) go();
      });
      return invite;
    }) as unknown as typeof store.find;
    const invite = parseInvite(text);
    const results = await Promise.allSettled([pair(invite), pair(invite, places.stranger)]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(results.find((result) => result.status === 'rejected')).toMatchObject({
      reason: { code: 'invite-used' },
    });
  });

  it('expires by the site’s clock', async () => {
    const { clock, store, text } = await site();
    clock.now = NOW + HOUR;
    await expect(pair(parseInvite(text))).rejects.toMatchObject({ code: 'invite-expired' });
    expect(store.pinned.size).toBe(0);
    clock.now = NOW + HOUR - 1;
    await pair(parseInvite(text));
  });

  it('is of no use with another secret', async () => {
    const { store, text } = await site();
    const invite = parseInvite(text);
    const secret = Buffer.alloc(16, 1).toString('base64url');
    await expect(pair({ ...invite, secret })).rejects.toMatchObject({ code: 'invite-unknown' });
    // Someone who learned the stored id, but not the key.
    const [stored] = [...store.invites.values()];
    store.put({ ...(stored as PendingInvite), key: 'ab'.repeat(32) });
    await expect(pair(invite)).rejects.toMatchObject({ code: 'invite-unknown' });
    expect(store.pinned.size).toBe(0);
  });

  it('leads to no other site than the one that made it', async () => {
    const { store, text } = await site();
    const invite = { ...parseInvite(text), id: places.stranger.id };
    await expect(pair(invite)).rejects.toMatchObject({ code: 'peer-not-pinned' });
    expect([...store.invites.values()][0]?.usedBy).toBeUndefined();
  });

  it('is refused by a place that gives out none', async () => {
    const { text } = await site();
    const { port } = await startListener(places, cleanup);
    await expect(pair({ ...parseInvite(text), port })).rejects.toMatchObject({
      code: 'not-paired',
    });
  });

  it('says so when the site cannot be reached', async () => {
    const { listener, text } = await site();
    await listener.close();
    await expect(pair(parseInvite(text))).rejects.toMatchObject({ code: 'peer-unreachable' });
  });

  it('is refused when it is malformed, whatever is wrong with it', async () => {
    const { text } = await site();
    const remake = (change: Record<string, unknown>) =>
      `sojourn1.${Buffer.from(JSON.stringify({ ...parseInvite(text), ...change })).toString('base64url')}`;
    expect(parseInvite(remake({ future: 1 }))).toEqual(parseInvite(text));
    const wrong = [
      '',
      'sojourn1.',
      text.slice(0, -3),
      text.slice(1),
      text.replace('sojourn1', 'sojourn2'),
      `sojourn1.${'A'.repeat(5000)}`,
      remake({ hosts: [] }),
      remake({ hosts: ['a b'] }),
      remake({ hosts: Array(9).fill('h') }),
      remake({ port: 0 }),
      remake({ id: 'x' }),
      remake({ secret: 'short' }),
      remake({ expires: 'soon' }),
      remake({ name: '' }),
    ];
    for (const bad of wrong) {
      expect(() => parseInvite(bad), bad).toThrowError(
        expect.objectContaining({ kind: 'usage', code: 'invite-malformed' }),
      );
    }
    expect(parseInvite(remake({ name: 'a\u001b]0;x' })).name).toBe('a ]0;x');
  });
});
