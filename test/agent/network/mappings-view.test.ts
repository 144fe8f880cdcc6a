/** What the registry of a site tells a controller of its guests. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { mappingsHandlers, mappingsView } from '../../../src/agent/network/mappings-view.ts';
import { RegistryService } from '../../../src/agent/network/registry-service.ts';
import type { Places } from '../../../src/agent/places/places.ts';
import { openDatabase } from '../../../src/agent/state/database.ts';
import {
  contract,
  MAX_LINE_BYTES,
  MAX_MAPPINGS,
  type MappingsView,
} from '../../../src/api/index.ts';
import { type HomeRecord, parseHomePrefixes, Registry } from '../../../src/mobility/index.ts';

const HOME = '0'.repeat(64);
const ANN = 'a'.repeat(64);
const GUEST = '11111111-1111-4111-8111-111111111111';
const MAC = '52:54:00:12:34:56';
const prefixes = { prefix4: '192.0.2.0/24', prefix6: '2001:db8:7700::/48', dns: [] };
const ref = (id: string) => ({ id, name: id === HOME ? 'cloud' : 'laptop' });

/** The site that anchors, with a guest of its own, and somebody who watches. */
class Watched {
  readonly service: RegistryService;
  readonly items: MappingsView[] = [];
  readonly #stop = new AbortController();
  readonly end: Promise<unknown>;

  constructor(anchors = true) {
    const registry = new Registry(openDatabase(':memory:'), parseHomePrefixes(prefixes));
    registry.allocate({
      ...{ guestId: GUEST, guestName: 'desktop', mac: MAC, place: HOME },
      at: new Date(),
    });
    const places = { self: ref(HOME), ref } as Places;
    this.service = new RegistryService({
      registry: anchors ? registry : undefined,
      places: () => places,
      log: pino({ level: 'silent' }),
      moved: () => undefined,
      freed: () => undefined,
    });
    const handlers = mappingsHandlers({ registry: this.service, places });
    this.end = handlers['mappings.watch'](
      {},
      { signal: this.#stop.signal, emit: (item) => this.items.push(item) },
    );
  }

  async guests(): Promise<MappingsView['guests']> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.items.at(-1)?.guests ?? [];
  }

  close(): Promise<unknown> {
    this.#stop.abort();
    return this.end;
  }
}

const one = { id: GUEST, name: 'desktop', number: 2, mac: MAC, hoa4: '192.0.2.2' };

test('where a guest is, and where it may be next, is told at once until nobody watches', async () => {
  const watched = new Watched();
  const { service } = watched;
  expect(watched.items).toEqual([
    {
      home: HOME,
      places: [ref(HOME)],
      guests: [
        { ...one, hoa6Prefix: '2001:db8:7700:2::/64', place: HOME, epoch: 1, expected: null },
      ],
    },
  ]);
  await service.expect(HOME, GUEST, ANN, 2);
  expect(await watched.guests()).toMatchObject([
    { place: HOME, epoch: 1, expected: { place: ANN, epoch: 2 } },
  ]);
  expect(watched.items.at(-1)?.places).toEqual([ref(HOME), ref(ANN)]);
  service.locate(HOME, GUEST, ANN, 2);
  expect(await watched.guests()).toMatchObject([{ place: ANN, epoch: 2, expected: null }]);
  // What is said too late changes nothing.
  service.locate(HOME, GUEST, HOME, 1);
  expect(await watched.guests()).toMatchObject([{ place: ANN, epoch: 2 }]);
  expect(await watched.close()).toEqual({});
  service.changes.emit('change');
  expect(watched.items).toHaveLength(4);
});

test('a guest that stays after all is expected nowhere', async () => {
  const watched = new Watched();
  await watched.service.expect(HOME, GUEST, ANN, 2);
  watched.service.locate(HOME, GUEST, HOME, 1);
  expect(await watched.guests()).toMatchObject([{ place: HOME, epoch: 1, expected: null }]);
  await watched.close();
});

test('changes that come together are one item', async () => {
  const watched = new Watched();
  for (const name of ['a', 'b', 'c'])
    await watched.service.allocate(HOME, {
      ...{ guestId: `${name.repeat(8)}-1111-4111-8111-111111111111`, guestName: name, mac: MAC },
    });
  expect(await watched.guests()).toHaveLength(4);
  await watched.close();
  expect(watched.items.length).toBeLessThan(4);
});

test('only a site that anchors addresses has mappings', async () => {
  await expect(new Watched(false).end).rejects.toMatchObject({ code: 'no-home-addresses' });
});

test('the most that can be told are one line, and one more is refused in words', () => {
  const network = {
    ...{ hoa4: '192.168.100.100', hoa4PrefixLength: 16, gateway4: '192.168.0.1', dns: [] },
    hoa6Prefix: '2001:0db8:7700:ffff::/64',
  };
  const record = (number: number): HomeRecord => ({
    ...{ guestId: GUEST, guestName: 'g'.repeat(40), number, network, mac: MAC },
    ...{ place: ANN, epoch: 2 ** 40, updatedAt: '' },
  });
  const many = Array.from({ length: MAX_MAPPINGS }, (_, index) => record(index + 1));
  const at = { home: HOME, ref, expected: () => ({ place: HOME, epoch: 2 ** 41 }) };
  const view = contract['mappings.watch'].item.parse(mappingsView(many, at));
  // Each can be at a place of its own, with a name of 64 letters.
  const names = MAX_MAPPINGS * JSON.stringify({ id: ANN, name: 'n'.repeat(64) }).length;
  expect(JSON.stringify(view).length + names).toBeLessThan(MAX_LINE_BYTES);
  expect(() => mappingsView([...many, record(7)], at)).toThrow(/more|most/);
});
