import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Channel, Session } from '../../src/transport/index.ts';
import {
  Cleanup,
  FAST,
  makePlaces,
  type Places,
  Relay,
  seeded,
  startDialer,
  startListener,
} from './harness.ts';

let places: Places;
const cleanup = new Cleanup();
beforeAll(async () => {
  places = await makePlaces();
});
afterAll(() => places.remove());
afterEach(() => cleanup.run());

const MIB = 1024 * 1024;
/** Megabytes through TLS on a machine that others use too. */
vi.setConfig({ testTimeout: 60_000 });

/** The byte at each position of a channel's stream: any loss, repetition or swap shows. */
function pattern(seed: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index += 1) {
    const at = from + index;
    bytes[index] = (Math.imul(at, 2654435761) >>> 24) ^ (at >>> 8) ^ seed;
  }
  return bytes;
}

async function send(channel: Channel, seed: number, total: number, random: () => number) {
  let at = 0;
  while (at < total) {
    const length = Math.min(total - at, 1 + Math.floor(random() ** 3 * 200_000));
    const more = channel.write(pattern(seed, at, length));
    at += length;
    if (!more) await once(channel, 'drain');
  }
  channel.end();
  await channel.allAcked();
}

/** Reads to the end; the number of bytes that came, all of them right. */
async function receive(channel: Channel, seed: number): Promise<number> {
  let at = 0;
  for await (const chunk of channel as AsyncIterable<Buffer>) {
    if (!chunk.equals(pattern(seed, at, chunk.length))) throw new Error(`wrong bytes near ${at}`);
    at += chunk.length;
  }
  return at;
}

async function connected(options: {
  onSession: (session: Session) => void;
}): Promise<{ relay: Relay; near: Session; far: Session }> {
  const { port, sessions } = await startListener(places, cleanup, {
    timings: { keepalive: FAST },
    onSession: options.onSession,
  });
  const relay = await Relay.start(port);
  cleanup.add(() => relay.close());
  const dialer = startDialer(places, cleanup, relay.port, { timings: { keepalive: FAST } });
  const near = await dialer.connected({ timeoutMs: 10_000 });
  return { relay, near, far: sessions[0] as Session };
}

describe('a session over a bad network', () => {
  it.each([1, 2, 3])(
    'loses and repeats nothing when connections are cut (seed %i)',
    async (seed) => {
      const random = seeded(seed);
      const total = 4 * MIB;
      const lanes = ['bulk', 'bulk', 'control'] as const;
      const arrived: Promise<number>[] = [];
      const { relay, near, far } = await connected({
        onSession: (session) => {
          session.handle('echo', (params) => params);
          session.onChannel('stream', (channel) => {
            const number = channel.meta.number as number;
            arrived.push(
              receive(channel, number),
              send(channel, 100 + number, total, random).then(() => total),
            );
          });
        },
      });
      let cuts = 0;
      let next = MIB / 2 + random() * 1.5 * MIB;
      relay.onBytes = (bytes) => {
        if (bytes < next) return;
        next = bytes + random() * 2.5 * MIB;
        cuts += 1;
        relay.cut();
      };
      const sent = lanes.map(async (priority, number) => {
        const channel = near.openChannel('stream', { number }, { priority });
        const [, received] = await Promise.all([
          send(channel, number, total, random),
          receive(channel, 100 + number),
        ]);
        expect(channel.bytesAcked).toBe(total);
        expect(channel.bytesPending).toBe(0);
        expect(channel.wireBytes).toBeGreaterThan(total);
        return received;
      });
      // Calls are made once each, whatever happens to the connections under them.
      for (let index = 0; index < 50; index += 1) {
        expect(await near.call('echo', { index }, { timeoutMs: 30_000 })).toEqual({ index });
      }
      expect(await Promise.all(sent)).toEqual([total, total, total]);
      expect(await Promise.all(arrived)).toEqual(Array(6).fill(total));
      expect(cuts).toBeGreaterThan(3);
      expect(near.state).toBe('connected');
      expect(far.state).toBe('connected');
    },
    60_000,
  );

  it('opens a channel whose OPEN was lost with its connection', async () => {
    const { relay, near } = await connected({
      onSession: (session) => session.onChannel('echo', (channel) => channel.pipe(channel)),
    });
    relay.cut();
    // Now nobody has noticed yet: this goes into a connection that is dead.
    const channel = near.openChannel('echo');
    channel.end('hello');
    expect(Buffer.concat(await channel.toArray()).toString()).toBe('hello');
    expect(near.state).toBe('connected');
    expect(near.attempt).toBe(2);
  });

  it('goes on where it was after a stall that neither side was told of', async () => {
    const total = 4 * MIB;
    let received: Promise<number> | undefined;
    const { relay, near, far } = await connected({
      onSession: (session) => {
        session.onChannel('stream', (channel) => {
          channel.end();
          received = receive(channel, 7);
        });
      },
    });
    const states: string[] = [];
    near.on('suspect', (suspect) => states.push(suspect ? 'suspect' : 'well'));
    near.on('state', (state) => states.push(state));
    const channel = near.openChannel('stream');
    channel.resume();
    const sent = send(channel, 7, total, seeded(9));
    while (channel.bytesAcked < MIB) await once(channel, 'drain');
    relay.stall();
    const [suspect] = await once(near, 'suspect');
    expect(suspect).toBe(true);
    expect(near.suspect).toBe(true);
    expect(near.state).toBe('connected');
    // Short of dead: the same connection goes on.
    relay.resume();
    await sent;
    expect(await received).toBe(total);
    expect(states).toEqual(['suspect', 'well']);
    expect(far.attempt).toBe(1);
  });

  it('gives up a silent connection, and the newest one wins over a half-open one', async () => {
    // More than fits in flight, so that some is left when the connection falls silent.
    const total = 16 * MIB;
    let received: Promise<number> | undefined;
    const { relay, near, far } = await connected({
      onSession: (session) => {
        session.onChannel('stream', (channel) => {
          channel.end();
          received = receive(channel, 7);
        });
      },
    });
    const channel = near.openChannel('stream');
    channel.resume();
    const sent = send(channel, 7, total, seeded(4));
    while (channel.bytesAcked < MIB / 2) await once(channel, 'drain');
    const farStates: string[] = [];
    far.on('state', (state) => farStates.push(state));
    relay.forget();
    await once(near, 'state');
    expect(near.state).toBe('resuming');
    await sent;
    expect(await received).toBe(total);
    expect(near.attempt).toBe(2);
    expect(far.attempt).toBe(2);
    expect(far.state).toBe('connected');
    expect(near.place).toEqual({ name: 'cloud', profile: 'site' });
  });

  it('lets the newest connection win while the listener believes in the old one', async () => {
    const { listener, port, sessions } = await startListener(places, cleanup);
    const relay = await Relay.start(port);
    cleanup.add(() => relay.close());
    const dialer = startDialer(places, cleanup, relay.port);
    const near = await dialer.connected({ timeoutMs: 10_000 });
    const far = sessions[0] as Session;
    far.handle('echo', (params) => params);
    const farStates: string[] = [];
    far.on('state', (state) => farStates.push(state));
    relay.forget();
    dialer.redial();
    expect(near.state).toBe('resuming');
    expect(await near.call('echo', 5, { timeoutMs: 10_000 })).toBe(5);
    // The listener never saw the old connection end; keepalive is too slow to have noticed.
    expect(farStates).toEqual([]);
    expect(sessions).toHaveLength(1);
    expect(listener.sessions.get(places.device.id)).toBe(far);
    expect(far.attempt).toBe(2);
  });

  it('holds no more than its caps when the peer does not read, nor when the network is gone', async () => {
    let stuck: Channel | undefined;
    const { relay, near, far } = await connected({
      onSession: (session) => {
        session.handle('echo', (params) => params);
        session.onChannel('stuck', (channel) => {
          stuck = channel;
        });
        session.onChannel('flowing', (channel) => {
          channel.resume();
          channel.end();
        });
      },
    });
    const channel = near.openChannel('stuck');
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    while (written < 6 * MIB) {
      channel.write(chunk);
      written += chunk.length;
    }
    // A reader that takes nothing stops its own channel only.
    const other = near.openChannel('flowing');
    other.resume();
    await send(other, 3, 8 * MIB, seeded(5));
    await near.call('echo', 1, { timeoutMs: 10_000 });
    expect(stuck?.bytesReceived).toBe(4 * MIB);
    expect(channel.bytesPending).toBe(2 * MIB);
    expect(near.bytes.kept).toBeLessThanOrEqual(8 * MIB);
    relay.refuse = true;
    relay.cut();
    if (near.state !== 'resuming') await once(near, 'state');
    const lost = near.openChannel('flowing');
    let accepted = 0;
    while (lost.write(chunk)) accepted += chunk.length;
    expect(accepted).toBeLessThan(MIB);
    expect(far.bytes.kept).toBeLessThanOrEqual(MIB);
  });

  it('sends control ahead of bulk that fills the link', async () => {
    const { relay, near } = await connected({
      onSession: (session) => {
        session.handle('echo', (params) => params);
        session.onChannel('stream', (channel) => {
          channel.resume();
          channel.end();
        });
      },
    });
    const channel = near.openChannel('stream');
    channel.resume();
    const sent = send(channel, 1, 16 * MIB, seeded(8));
    while (channel.bytesAcked < MIB) await once(channel, 'drain');
    const before = relay.bytes;
    await near.call('echo', 'now', { timeoutMs: 10_000 });
    // Queues hold what is in flight, not the 16 MiB that are waiting.
    expect(relay.bytes - before).toBeLessThan(8 * MIB);
    expect(channel.bytesAcked).toBeLessThan(16 * MIB);
    await sent;
  });
});
