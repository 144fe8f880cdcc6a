/** Datapath processes on loopback, and guests that are no more than the far end of a QEMU stream. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  type AddressInfo,
  createConnection,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DatapathEvent,
  type DatapathHandle,
  endDatapath,
  startDatapath,
} from '../../src/datapath/index.ts';
import type { GuestNetwork } from '../../src/guest/spec.ts';
import { FrameReader, ipToBytes, macToBytes } from '../../src/switch/index.ts';
import { GATEWAY_MAC } from '../../src/switch/services/index.ts';
import { type Identity, loadOrCreateIdentity } from '../../src/transport/index.ts';

export interface GuestIdentity {
  readonly guestId: string;
  readonly mac: string;
  readonly network: GuestNetwork;
}

export function guestNumber(n: number): GuestIdentity {
  return {
    guestId: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
    mac: `52:54:00:00:00:${n.toString(16).padStart(2, '0')}`,
    network: {
      hoa4: `192.0.2.${n}`,
      hoa4PrefixLength: 24,
      gateway4: '192.0.2.1',
      hoa6Prefix: `2001:db8:77:${n.toString(16)}::/64`,
      dns: [],
    },
  };
}

/** Something that comes in any order and is waited for. */
export class Inbox<T> {
  readonly items: T[] = [];
  #waiting: (() => void)[] = [];

  push(item: T): void {
    this.items.push(item);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(enough: (items: readonly T[]) => boolean, what: string, ms = 8_000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!enough(this.items)) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`${what} did not happen; there were ${this.items.length}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async next(wanted: (item: T) => boolean, what: string, ms?: number): Promise<T> {
    await this.until((items) => items.some(wanted), what, ms);
    return this.items.find(wanted) as T;
  }
}

/** A place: an identity and its datapath process. */
export class Place {
  readonly directory: string;
  readonly identity: Identity;
  readonly events = new Inbox<DatapathEvent>();
  handle!: DatapathHandle;

  private constructor(directory: string, identity: Identity) {
    this.directory = directory;
    this.identity = identity;
  }

  static async start(): Promise<Place> {
    const directory = await mkdtemp(join(tmpdir(), `sj${process.pid}-`));
    const place = new Place(directory, await loadOrCreateIdentity(directory));
    await place.startDatapath();
    return place;
  }

  async startDatapath(): Promise<void> {
    this.handle = await startDatapath({
      directory: join(this.directory, 'dp'),
      onEvent: (event) => this.events.push(event),
    });
  }

  get client() {
    return this.handle.client;
  }

  get id(): string {
    return this.identity.id;
  }

  socketOf(guest: GuestIdentity): string {
    return join(this.directory, `${guest.network.hoa4}.sock`);
  }

  async stop(): Promise<void> {
    await this.handle.client.close();
    await endDatapath(join(this.directory, 'dp'));
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A relay for TCP that delays every byte by `delayMs` in each direction. */
async function delayed(port: number, delayMs: number): Promise<Server> {
  const server = createServer((near) => {
    const far = createConnection(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => setTimeout(() => to.write(chunk), delayMs));
      from.on('close', () => setTimeout(() => to.destroy(), delayMs));
      from.on('error', () => from.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export interface Network {
  readonly site: Place;
  readonly devices: readonly Place[];
  stop(): Promise<void>;
}

/** A site that listens and devices that dial it, connected; one way between them takes `delayMs`. */
export async function siteAndDevices(count: number, delayMs = 0): Promise<Network> {
  const site = await Place.start();
  const devices = await Promise.all(range(count).map(() => Place.start()));
  const { listening } = await site.client.call('configure', {
    identityDir: site.directory,
    listen: { host: '127.0.0.1', port: 0 },
    peers: devices.map(({ id }) => ({ id })),
  });
  let port = listening?.port as number;
  const relay = delayMs === 0 ? undefined : await delayed(port, delayMs);
  if (relay !== undefined) port = (relay.address() as AddressInfo).port;
  for (const device of devices) {
    await device.client.call('configure', {
      identityDir: device.directory,
      peers: [{ id: site.id, dial: { hosts: ['127.0.0.1'], port } }],
      defaultPeer: site.id,
    });
    await device.events.next(({ event }) => event === 'tunnelUp', 'the tunnel');
    const isUp = (event: DatapathEvent) => event.event === 'tunnelUp' && event.peer === device.id;
    await site.events.next(isUp, 'the tunnel at the site');
  }
  const stop = async () => {
    relay?.close();
    await Promise.all([site, ...devices].map((place) => place.stop()));
  };
  return { site, devices, stop };
}

/** The far end of a guest port. Answers ARP for its own address, as any guest does. */
export class FakeGuest {
  readonly frames = new Inbox<Buffer>();
  readonly identity: GuestIdentity;
  answersArp = true;
  #socket: Socket;

  private constructor(identity: GuestIdentity, socket: Socket) {
    this.identity = identity;
    this.#socket = socket;
    const reader = new FrameReader('stream', (buffer, start, end) =>
      this.#receive(Buffer.from(buffer.subarray(start, end))),
    );
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    // A datapath that is killed resets it.
    socket.on('error', () => socket.destroy());
  }

  static async connect(identity: GuestIdentity, path: string): Promise<FakeGuest> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new FakeGuest(identity, socket);
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  get socket(): Socket {
    return this.#socket;
  }

  send(...frames: Buffer[]): void {
    const parts = frames.flatMap((frame) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(frame.length);
      return [length, frame];
    });
    this.#socket.write(Buffer.concat(parts));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Numbers of the test packets that have arrived, in order. */
  get numbers(): number[] {
    return this.frames.items.flatMap((frame) => numberIn(frame) ?? []);
  }

  #receive(frame: Buffer): void {
    const own = ipToBytes(this.identity.network.hoa4);
    const isRequest = frame.readUInt16BE(12) === 0x0806 && frame.readUInt16BE(20) === 1;
    if (isRequest && this.answersArp && frame.subarray(38, 42).equals(own)) {
      const reply = Buffer.from(frame);
      macToBytes(GATEWAY_MAC).copy(reply, 0);
      macToBytes(this.identity.mac).copy(reply, 6);
      reply.writeUInt16BE(2, 20);
      macToBytes(this.identity.mac).copy(reply, 22);
      own.copy(reply, 28);
      frame.copy(reply, 32, 22, 32);
      this.send(reply);
    }
    this.frames.push(frame);
  }
}

const MAGIC = 0x534f4a31;

/** A UDP packet with a number in it, IPv4 or IPv6, from one guest to another's address, as a frame to the gateway. */
export function numbered(
  from: { mac: string; address: string },
  to: string,
  n: number,
  payloadBytes = 64,
): Buffer {
  const source = ipToBytes(from.address);
  const v4 = source.length === 4;
  const payload = Buffer.alloc(payloadBytes);
  payload.writeUInt32BE(MAGIC, 0);
  payload.writeUInt32BE(n, 4);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(4000, 0);
  udp.writeUInt16BE(4001, 2);
  udp.writeUInt16BE(8 + payloadBytes, 4);
  let header: Buffer;
  if (v4) {
    header = Buffer.alloc(20);
    header[0] = 0x45;
    header.writeUInt16BE(28 + payloadBytes, 2);
    header[8] = 64;
    header[9] = 17;
    source.copy(header, 12);
    ipToBytes(to).copy(header, 16);
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += header.readUInt16BE(i);
    sum = (sum & 0xffff) + (sum >>> 16);
    header.writeUInt16BE(~(sum + (sum >>> 16)) & 0xffff, 10);
  } else {
    header = Buffer.alloc(40);
    header[0] = 0x60;
    header.writeUInt16BE(8 + payloadBytes, 4);
    header[6] = 17;
    header[7] = 64;
    source.copy(header, 8);
    ipToBytes(to).copy(header, 24);
  }
  const type = v4 ? [0x08, 0x00] : [0x86, 0xdd];
  return Buffer.concat([
    macToBytes(GATEWAY_MAC),
    macToBytes(from.mac),
    Buffer.from(type),
    header,
    udp,
    payload,
  ]);
}

export function numberIn(frame: Buffer): number | undefined {
  const offset = 14 + (frame.readUInt16BE(12) === 0x0800 ? 20 : 40) + 8;
  if (frame.length < offset + 8 || frame.readUInt32BE(offset) !== MAGIC) return undefined;
  return frame.readUInt32BE(offset + 4);
}

export function range(count: number): number[] {
  return [...Array(count).keys()];
}
