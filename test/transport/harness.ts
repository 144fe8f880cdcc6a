/** Two places on loopback with a TCP relay between them that can cut and stall. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DialerOptions,
  type Identity,
  type ListenerOptions,
  loadOrCreateIdentity,
  PeerDialer,
  PeerListener,
  type Session,
} from '../../src/transport/index.ts';

export class Relay {
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();
  #stalled = false;
  /** Bytes carried, both directions. */
  bytes = 0;
  /** Called with the running total after each chunk. */
  onBytes: (bytes: number) => void = () => undefined;
  refuse = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(to: number): Promise<Relay> {
    const server = createServer({ allowHalfOpen: true });
    const relay = new Relay(server);
    server.on('connection', (near) => relay.#join(near, to));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Ends every TCP connection with RST, losing what is on the way. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Nothing passes any more, in connections that are there now and in new ones. */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  resume(): void {
    this.#stalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** What is there now stays silent for good, and neither side is told; new connections work. */
  forget(): void {
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        socket.removeAllListeners('data');
        socket.removeAllListeners('close');
        socket.pause();
      }
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket, to: number): void {
    if (this.refuse) {
      near.destroy();
      return;
    }
    const far = connect({ host: '127.0.0.1', port: to, allowHalfOpen: true });
    const pair: [Socket, Socket] = [near, far];
    this.#pairs.add(pair);
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('data', (chunk: Buffer) => {
        this.bytes += chunk.length;
        if (!into.write(chunk)) {
          from.pause();
          into.once('drain', () => {
            if (!this.#stalled) from.resume();
          });
        }
        this.onBytes(this.bytes);
      });
      from.on('end', () => into.end());
      from.on('close', () => {
        into.destroy();
        this.#pairs.delete(pair);
      });
      if (this.#stalled) from.pause();
    }
  }
}

export interface Places {
  readonly device: Identity;
  readonly site: Identity;
  readonly stranger: Identity;
  remove(): Promise<void>;
}

export async function makePlaces(): Promise<Places> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-transport-'));
  const make = (name: string) => loadOrCreateIdentity(join(directory, name));
  return {
    device: await make('device'),
    site: await make('site'),
    stranger: await make('stranger'),
    remove: () => rm(directory, { recursive: true }),
  };
}

/** Everything that a test starts, ended in reverse order. */
export class Cleanup {
  readonly #steps: (() => Promise<unknown> | unknown)[] = [];

  add(step: () => Promise<unknown> | unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step();
  }
}

/** Short enough that a test need not wait, long enough for a busy machine. */
export const FAST = { busyMs: 50, idleMs: 100, suspectMs: 300, deadMs: 1_000 };

export async function startListener(
  places: Places,
  cleanup: Cleanup,
  options: Partial<ListenerOptions> = {},
): Promise<{ listener: PeerListener; port: number; sessions: Session[] }> {
  const sessions: Session[] = [];
  const listener = new PeerListener({
    identity: places.site,
    place: { name: 'cloud', profile: 'site' },
    isPinned: (id) => id === places.device.id,
    ...options,
    onSession: (session) => {
      sessions.push(session);
      options.onSession?.(session);
    },
  });
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 });
  cleanup.add(() => listener.close());
  return { listener, port, sessions };
}

export function startDialer(
  places: Places,
  cleanup: Cleanup,
  port: number,
  options: Partial<DialerOptions> = {},
): PeerDialer {
  const dialer = new PeerDialer({
    identity: places.device,
    place: { name: 'laptop', profile: 'device' },
    peer: places.site.id,
    hosts: ['127.0.0.1'],
    port,
    onSession: () => undefined,
    ...options,
  });
  dialer.start();
  cleanup.add(() => dialer.close());
  return dialer;
}

/** Deterministic pseudo-random numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
