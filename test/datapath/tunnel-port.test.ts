/** A tunnel port and a peer that does not read. */
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_HELD_BYTES } from '../../src/datapath/guest-attachment.ts';
import {
  decodeGuestHeader,
  encodeFrame,
  encodeMarker,
  encodeNumber,
  FRAME,
  GUEST_HEADER_BYTES,
} from '../../src/datapath/tunnel-frames.ts';
import { MAX_UNSENT_BYTES, TunnelPort } from '../../src/datapath/tunnel-port.ts';
import { FrameReader, Switch } from '../../src/switch/index.ts';
import { guestNumber, Inbox, numbered, numberIn } from './harness.ts';

const { guestId, mac, network } = guestNumber(2);
const HELLO = encodeFrame(FRAME.hello, Buffer.from([1, 1]));

/** The far end of a connection: takes what it is sent from `read` on. */
class Peer extends Duplex {
  readonly frames = new Inbox<{ type: number; payload: Buffer }>();
  readonly #reader = new FrameReader('tunnel', (buffer, start, end, type) => {
    this.frames.push({ type, payload: Buffer.from(buffer.subarray(start, end)) });
  });
  #waiting: (() => void)[] | undefined = [];

  setNoDelay(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const take = () => {
      this.#reader.push(chunk);
      done();
    };
    if (this.#waiting === undefined) take();
    else this.#waiting.push(take);
  }

  readAll(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const take of waiting) take();
  }

  /** What the other side sent of a type, in order. */
  of(type: number): Buffer[] {
    return this.frames.items.filter((frame) => frame.type === type).map(({ payload }) => payload);
  }

  async says(...chunks: Buffer[]): Promise<void> {
    for (const chunk of chunks) {
      this.push(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const ports: TunnelPort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.drop('the test has ended');
});

async function setUp() {
  const owner = new Switch(() => {});
  const lost: string[] = [];
  const port = new TunnelPort(1, 'peer', owner, {
    onUp: () => {},
    onDown: (reason) => lost.push(reason),
    onForward: () => {},
    onMarker: (_marker, guest, epoch) => port.sendMarker('end', guest, epoch),
  });
  owner.attach(port);
  ports.push(port);
  const peer = new Peer();
  port.adopt(peer as unknown as TLSSocket);
  await peer.says(HELLO);
  expect(port.connected).toBe(true);
  return { owner, port, peer, lost };
}

const pings = (first: number, count: number) =>
  Buffer.concat([...Array(count).keys()].map((n) => encodeNumber(FRAME.ping, first + n)));

describe('a peer that does not read', () => {
  it('has no more than some answers queued for it; of those that wait the last', async () => {
    const { port, peer, lost } = await setUp();
    for (let n = 0; n < 200; n++) await peer.says(pings(n * 1_000, 1_000));
    expect(peer.writableLength).toBeLessThan(128 * 1024);
    expect(lost).toEqual([]);
    expect(port.connected).toBe(true);
    peer.readAll();
    const last = (type: number, value: number) => (frame: { type: number; payload: Buffer }) =>
      frame.type === type && frame.payload.readDoubleBE(0) === value;
    await peer.frames.next(last(FRAME.pong, 199_999), 'the last PONG');
    await peer.frames.next(last(FRAME.ack, HELLO.length + 200_000 * 11), 'the last ACK');
  });

  it('gets every END and every packet that was held, in order, once it reads', async () => {
    const { owner, port, peer, lost } = await setUp();
    const frame = numbered({ mac, address: network.hoa4 }, '192.0.2.9', 0, 1_000);
    const packet = (n: number) => {
      frame.writeUInt32BE(n, 14 + 20 + 8 + 4);
      return frame.subarray(14);
    };
    const count = Math.floor(MAX_HELD_BYTES / frame.length);
    for (let n = 0; n < count; n++) port.sendForward(guestId, 3, packet(n));
    await peer.says(encodeMarker('hold', guestId, 3));
    packet(count);
    owner.sendFrames(port.number, Array(count).fill(frame));
    expect(lost).toEqual([]);
    peer.readAll();
    await peer.frames.until(() => peer.of(FRAME.packet).length === count, 'the packets');
    const numbers = peer
      .of(FRAME.forward)
      .map((payload) =>
        numberIn(Buffer.concat([frame.subarray(0, 14), payload.subarray(GUEST_HEADER_BYTES)])),
      );
    expect(numbers).toEqual([...Array(count).keys()]);
    const order = peer.frames.items.map(({ type }) => type).filter((type) => type >= FRAME.hold);
    expect(order.indexOf(FRAME.end)).toBe(count);
    expect(decodeGuestHeader(peer.of(FRAME.end)[0] as Buffer)).toEqual({ guestId, epoch: 3 });
  });

  it.each([
    [
      'markers',
      (peer: Peer) => {
        const holds = Array(2_000).fill(encodeMarker('hold', guestId, 3));
        return peer.says(Buffer.concat(holds));
      },
    ],
    [
      'packets that are sent back',
      (_peer: Peer, port: TunnelPort) => {
        for (let n = 0; n < 20; n++) port.sendForward(guestId, 3, Buffer.alloc(60_000));
      },
    ],
    [
      'packets that were held',
      (_peer: Peer, port: TunnelPort, owner: Switch) => {
        const frame = numbered({ mac, address: network.hoa4 }, '192.0.2.9', 0, 1_300);
        owner.sendFrames(port.number, Array(1_000).fill(frame));
      },
    ],
  ])('loses the connection when too much is queued: %s', async (_what, cause) => {
    const { owner, port, peer, lost } = await setUp();
    let most = 0;
    for (let n = 0; lost.length === 0 && n < 2_000; n++) {
      await cause(peer, port, owner);
      port.flush();
      most = Math.max(most, peer.writableLength);
    }
    expect(lost).toEqual(['the peer does not read what it is sent']);
    expect(peer.destroyed).toBe(true);
    expect(most).toBeLessThan(MAX_UNSENT_BYTES + 1024);
  });
});
