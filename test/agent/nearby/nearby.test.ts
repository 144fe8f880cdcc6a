/** Pairing with devices nearby: two places on loopback that see one another without any multicast. */
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Announcement, Discovery, FoundDevice } from '../../../src/agent/nearby/discovery.ts';
import { Nearby } from '../../../src/agent/nearby/index.ts';
import type { NearbyView } from '../../../src/api/index.ts';
import {
  ALPN_NEARBY,
  type Identity,
  type Listens,
  type PairedPlace,
  tlsClientOptions,
} from '../../../src/transport/index.ts';
import { makePlaces, type Places } from '../../transport/harness.ts';

const DEADLINE_MS = 5_000;
const log = pino({ level: 'silent' });

/** One network: everybody hears everybody at once. */
class Air {
  readonly voices = new Set<FakeDiscovery>();

  discover = (own: Announcement): Discovery => new FakeDiscovery(this, own);
}

class FakeDiscovery extends EventEmitter<{ changed: [] }> implements Discovery {
  readonly problem = undefined;
  readonly own: Announcement;
  readonly #air: Air;

  constructor(air: Air, own: Announcement) {
    super();
    this.#air = air;
    this.own = own;
    air.voices.add(this);
    this.#tell();
  }

  get devices(): FoundDevice[] {
    return [...this.#air.voices]
      .filter(({ own }) => own.id !== this.own.id)
      .map(({ own: { port, ...device } }) => ({
        ...device,
        targets: [{ host: '127.0.0.1', port }],
      }));
  }

  async close(): Promise<void> {
    this.#air.voices.delete(this);
    this.#tell();
  }

  #tell(): void {
    for (const voice of this.#air.voices) setImmediate(() => voice.emit('changed'));
  }
}

/** A device with somebody who looks at it. */
class Device {
  readonly pinned: { device: PairedPlace; listens: Listens }[] = [];
  readonly nearby: Nearby;
  readonly name: string;
  readonly #leave = new AbortController();
  readonly #views = new EventEmitter<{ view: [] }>();
  #watching: Promise<void> | undefined;
  view: NearbyView | undefined;

  constructor(name: string, identity: Identity, air: Air, compareMs = DEADLINE_MS) {
    this.name = name;
    this.nearby = new Nearby({
      identity,
      place: { name, profile: 'device' },
      listens: () => ({ hosts: ['192.0.2.9'], port: 7000 }),
      isPaired: () => false,
      pin: (device, listens) => {
        this.pinned.push({ device, listens });
        return { id: device.id, name: device.name };
      },
      opened: async () => undefined,
      discover: air.discover,
      log,
      compareMs,
    });
  }

  watch(): this {
    const take = (view: NearbyView) => {
      this.view = view;
      this.#views.emit('view');
    };
    this.#watching = this.nearby.watch(take, this.#leave.signal);
    return this;
  }

  async leave(): Promise<void> {
    this.#leave.abort();
    await this.#watching;
  }

  async sees<Found>(find: (view: NearbyView) => Found | undefined | false): Promise<Found> {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    for (;;) {
      const found = this.view && find(this.view);
      if (found) return found;
      await once(this.#views, 'view', { signal }).catch(() => {
        throw new Error(`${this.name} saw ${JSON.stringify(this.view)}`);
      });
    }
  }

  comparing() {
    return this.sees(({ attempt }) => {
      if (attempt?.state.kind !== 'comparing') return undefined;
      return { id: attempt.id, ...attempt.state };
    });
  }

  failure(): Promise<string> {
    return this.sees(({ attempt }) => attempt?.state.kind === 'failed' && attempt.state.code);
  }

  async answer(answer: 'same' | 'different' | 'cancel'): Promise<void> {
    this.nearby.answer((await this.comparing()).id, answer);
  }
}

let places: Places;
let devices: Device[] = [];
beforeAll(async () => {
  places = await makePlaces();
});
afterAll(() => places.remove());
afterEach(async () => {
  await Promise.all(devices.map((device) => device.leave()));
  devices = [];
});

async function two(compareMs?: number): Promise<[Device, Device]> {
  const air = new Air();
  const ann = new Device('ann', places.device, air, compareMs).watch();
  const bob = new Device('bob', places.site, air, compareMs).watch();
  devices.push(ann, bob);
  await ann.sees((view) => view.devices.find(({ name }) => name === 'bob'));
  await bob.sees((view) => view.devices.find(({ name }) => name === 'ann'));
  return [ann, bob];
}

describe('two devices', () => {
  test('show one code, and trust one another when both people have confirmed it', async () => {
    const [ann, bob] = await two();
    ann.nearby.pair('bob');
    const [here, there] = [await ann.comparing(), await bob.comparing()];
    expect(there.code).toBe(here.code);
    expect(bob.view?.attempt).toMatchObject({ direction: 'there', peer: { name: 'ann' } });
    await ann.answer('same');
    await bob.sees(({ attempt }) => attempt?.state.kind === 'comparing' && attempt.state.there);
    expect([...ann.pinned, ...bob.pinned]).toEqual([]);
    await bob.answer('same');
    for (const one of [ann, bob]) await one.sees(({ attempt }) => attempt?.state.kind === 'paired');
    expect(ann.pinned).toMatchObject([
      { device: { id: places.site.id, name: 'bob' }, listens: { port: 7000 } },
    ]);
    // Where they have met comes first.
    expect(bob.pinned[0]?.listens?.hosts).toEqual(['127.0.0.1', '192.0.2.9']);
  });

  test.each([
    ['different', 'pairing-codes-differ-here', 'pairing-codes-differ-there'],
    ['cancel', 'pairing-refused-here', 'pairing-refused-there'],
  ] as const)('part when one says %s, and nothing remains', async (answer, here, there) => {
    const [ann, bob] = await two();
    bob.nearby.pair('ann');
    await ann.answer('same');
    await bob.answer(answer);
    expect([await bob.failure(), await ann.failure()]).toEqual([here, there]);
    expect([...ann.pinned, ...bob.pinned]).toEqual([]);
  });

  test('part when nobody answers in time', async () => {
    const [ann, bob] = await two(150);
    ann.nearby.pair('bob');
    const ends = [await ann.failure(), await bob.failure()];
    expect(ends).toContain('pairing-timed-out');
    expect([...ann.pinned, ...bob.pinned]).toEqual([]);
  });

  test('that choose one another at once meet once', async () => {
    const [ann, bob] = await two();
    ann.nearby.pair('bob');
    bob.nearby.pair('ann');
    const codes = [await ann.comparing(), await bob.comparing()].map(({ code }) => code);
    expect(codes[0]).toBe(codes[1]);
    await ann.answer('same');
    await bob.answer('same');
    for (const one of [ann, bob]) await one.sees(({ attempt }) => attempt?.state.kind === 'paired');
  });

  test('are not seen, and cannot be dialled, when nobody looks any more', async () => {
    const [ann, bob] = await two();
    const target = [...(ann.view?.devices ?? [])];
    expect(target).toHaveLength(1);
    ann.nearby.pair('bob');
    await bob.comparing();
    await bob.leave();
    expect(await ann.failure()).toBe('pairing-refused-there');
    await ann.sees((view) => view.devices.length === 0);
    expect(() => ann.nearby.pair('bob')).toThrow(/nearby/);
    expect(bob.nearby.isOpen).toBe(false);
  });
});

describe('a stranger', () => {
  /** The port that a device is open at. */
  async function openAt(air: Air, device: Device): Promise<number> {
    devices.push(device.watch());
    await device.sees(() => true);
    return [...air.voices][0]?.own.port ?? 0;
  }

  async function knock(port: number): Promise<TLSSocket> {
    const socket = connectTls({ ...tlsClientOptions(places.stranger, ALPN_NEARBY), port });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  }

  test('that speaks nonsense is refused, and after a few times not even heard', async () => {
    const air = new Air();
    const ann = new Device('ann', places.device, air);
    const port = await openAt(air, ann);
    const heard: string[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const socket = await knock(port);
      let text = '';
      socket.on('data', (data: Buffer) => {
        text += data.toString();
      });
      socket.write('hello\n');
      await once(socket, 'close');
      heard.push(text);
    }
    expect(heard[2]).toContain('"protocol"');
    expect(heard[3]).toContain('"too-many-tries"');
    expect(heard[3]).not.toContain('"commit"');
    expect(ann.pinned).toEqual([]);
  });

  test('that says nothing, or no TLS, holds nothing up', async () => {
    const air = new Air();
    const ann = new Device('ann', places.device, air);
    const port = await openAt(air, ann);
    const plain = connect({ port });
    plain.on('error', () => undefined);
    plain.write('GET / HTTP/1.1\r\n\r\n');
    await once(plain, 'close');
    const silent = await knock(port);
    await ann.sees(({ attempt }) => attempt?.direction === 'there');
    // A person who sees that gets rid of it.
    ann.nearby.answer(ann.view?.attempt?.id ?? '', 'cancel');
    await once(silent.resume(), 'close');
    expect(await ann.failure()).toBe('pairing-refused-here');
  });
});
