/** Whose word the home of a guest believes about where it is. */
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { RegistryService } from '../../../src/agent/network/registry-service.ts';
import type { Places } from '../../../src/agent/places/places.ts';
import { openDatabase } from '../../../src/agent/state/database.ts';
import type { SojournError } from '../../../src/common/index.ts';
import { parseHomePrefixes, Registry } from '../../../src/mobility/index.ts';
import type { Session } from '../../../src/transport/index.ts';

const HOME = '0'.repeat(64);
const ANN = 'a'.repeat(64);
const BOB = 'b'.repeat(64);
const EVE = 'e'.repeat(64);
const GUEST = '11111111-1111-4111-8111-111111111111';
const prefixes = { prefix4: '192.0.2.0/24', prefix6: '2001:db8:7700::/48', dns: [] };

type Handler = (params: unknown, context: { signal: AbortSignal }) => Promise<unknown>;

class Home {
  readonly registry = new Registry(openDatabase(':memory:'), parseHomePrefixes(prefixes));
  readonly moved: string[] = [];
  readonly #service = new RegistryService({
    registry: this.registry,
    places: () =>
      ({ self: { id: HOME, name: 'home' }, ref: (id: string) => ({ id, name: id }) }) as Places,
    log: pino({ level: 'silent' }),
    moved: ({ place }) => this.moved.push(place),
    freed: () => undefined,
  });

  /** What a place says over its session; `done`, or the code of the answer. */
  async hears(peer: string, call: 'locate' | 'expect', place: string, epoch: number) {
    const handlers = new Map<string, Handler>();
    const session = { peer, handle: (name: string, one: Handler) => handlers.set(name, one) };
    this.#service.register(session as unknown as Session);
    const params = { guestId: GUEST, place, epoch };
    const context = { signal: new AbortController().signal };
    return handlers
      .get(`registry.${call}`)?.(params, context)
      .then(
        () => 'done',
        (error: SojournError) => error.code,
      );
  }
}

let home: Home;
beforeEach(() => {
  home = new Home();
  const mac = '52:54:00:12:34:56';
  const guest = { guestId: GUEST, guestName: 'desktop', mac };
  home.registry.allocate({ ...guest, place: ANN, at: new Date() });
});

describe('a place that the guest was expected at', () => {
  test('is believed at once, under that epoch', async () => {
    expect(await home.hears(ANN, 'expect', BOB, 2)).toBe('done');
    expect(await home.hears(BOB, 'locate', BOB, 2)).toBe('done');
    expect(home.registry.find(GUEST)).toMatchObject({ place: BOB, epoch: 2 });
    expect(home.moved).toEqual([BOB]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['without a word of who has it', async () => home.hears(BOB, 'locate', BOB, 2)],
    [
      'under another epoch',
      async () => {
        await home.hears(ANN, 'expect', BOB, 2);
        return home.hears(BOB, 'locate', BOB, 3);
      },
    ],
    [
      'if it says that the guest is elsewhere',
      async () => {
        await home.hears(ANN, 'expect', BOB, 2);
        return home.hears(BOB, 'locate', EVE, 2);
      },
    ],
    [
      'if it is another place',
      async () => {
        await home.hears(ANN, 'expect', BOB, 2);
        return home.hears(EVE, 'locate', EVE, 2);
      },
    ],
    [
      'once who has it has said that it stays',
      async () => {
        await home.hears(ANN, 'expect', BOB, 2);
        await home.hears(ANN, 'locate', ANN, 1);
        return home.hears(BOB, 'locate', BOB, 2);
      },
    ],
    ['by the word of who does not have it', async () => home.hears(EVE, 'expect', EVE, 2)],
  ])('is not believed %s', async (_what, says) => {
    expect(await says()).toBe('guest-not-yours');
    expect(home.registry.find(GUEST)).toMatchObject({ place: ANN, epoch: 1 });
  });
});
