/** At which of their devices somebody is, from what places tell each other. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Presence, personAt, TELL_EVERY_MS } from '../../../src/agent/places/presence.ts';

const MINUTE = 60_000;

describe('somebody is', () => {
  it.each([
    ['here', 0, undefined],
    ['here', MINUTE, 0],
    ['elsewhere', 2 * MINUTE, MINUTE],
    // A pause, or a change of devices that is not sure yet.
    ['unknown', 1.5 * MINUTE, 0],
    ['unknown', 2 * MINUTE, 1.5 * MINUTE],
    ['unknown', 2 * MINUTE, undefined],
    // No app says whether this one is used.
    ['unknown', undefined, 0],
  ] as const)('%s where this device was used %s ms ago, another %s ms ago', (at, here, other) => {
    expect(personAt(here, other)).toBe(at);
  });
});

/** Devices and a site by name; each has had the guests that are named. */
function network(guests: Record<string, readonly string[]>) {
  let now = 1_000_000;
  const names = Object.keys(guests);
  const handlers = new Map<string, (peer: string, usedMsAgo: number | null) => number | null>();
  const presences = names.map((name) => {
    const known = guests[name] ?? [];
    const had = (peer: string, guest: string) => guests[peer]?.includes(guest) === true;
    const session = (peer: string) => ({
      state: 'connected',
      call: async (_method: string, { usedMsAgo }: { usedMsAgo: number }) => ({
        usedMsAgo: handlers.get(peer)?.(name, usedMsAgo) ?? null,
      }),
    });
    // Devices know the site, and nobody else.
    const peers = name === 'site' ? [] : ['site'];
    const presence = new Presence({
      store: {
        list: () => known.map((id) => ({ spec: { id } })),
        find: (id: string) => ({ spec: { id, home: 'nobody' } }),
      },
      journal: {
        of: (id: string) =>
          names
            .filter((peer) => peer !== name && had(peer, id))
            .map((peer) => ({ type: 'incoming-claimed', peer })),
      },
      places: () => ({ all: () => peers.map((id) => ({ id })), session }),
      now: () => now,
      log: { debug: () => undefined },
    } as never);
    handlers.set(name, (peer, usedMsAgo) => presence.heard(peer, usedMsAgo));
    return [name, presence] as const;
  });
  const tick = async (ms: number) => {
    now += ms;
    await vi.advanceTimersByTimeAsync(ms);
  };
  return { ...Object.fromEntries(presences), tick } as Record<string, Presence> & {
    tick: typeof tick;
  };
}

describe('devices of a site', () => {
  afterEach(() => vi.useRealTimers());

  async function bothTell(guests: Record<string, readonly string[]>) {
    vi.useFakeTimers();
    const { old, young, tick } = network(guests);
    if (old === undefined || young === undefined) throw new Error('two devices');
    old.start();
    young.start();
    for (let told = 0; told < 2; told += 1) {
      old.used(10 * MINUTE);
      young.used(1_000);
      await tick(TELL_EVERY_MS);
    }
    return { old, young, tick };
  }

  it('know of each other where they have had a guest in common', async () => {
    const { old, young } = await bothTell({ site: ['a'], old: ['a'], young: ['a'] });
    expect([old.personAt, young.personAt]).toEqual(['elsewhere', 'here']);
  });

  it('are of different people where they have not', async () => {
    const { old, young } = await bothTell({ site: ['a', 'b'], old: ['a'], young: ['b'] });
    expect([old.personAt, young.personAt]).toEqual(['unknown', 'here']);
  });

  it('of which one is silent do not know for long where somebody is', async () => {
    const { old, tick } = await bothTell({ site: ['a'], old: ['a'], young: ['a'] });
    for (let minutes = 0; minutes < 2 * MINUTE; minutes += TELL_EVERY_MS) {
      old.used(10 * MINUTE);
      await tick(TELL_EVERY_MS);
    }
    expect(old.personAt).toBe('unknown');
  });
});
