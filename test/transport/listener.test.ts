import { once } from 'node:events';
import { type Socket, connect as tcpConnect } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeHeader, type Frame, FrameParser, FrameType } from '../../src/transport/frame.ts';
import {
  ALPN_SESSION,
  type Identity,
  type ListenerOptions,
  PeerListener,
  tlsClientOptions,
} from '../../src/transport/index.ts';
import { Cleanup, makePlaces, type Places, startDialer, startListener } from './harness.ts';

let places: Places;
const cleanup = new Cleanup();
beforeAll(async () => {
  places = await makePlaces();
});
afterAll(() => places.remove());
afterEach(() => cleanup.run());

const LONG = { timeoutMs: 10_000 };

/** Reads until the other side closes. */
async function drain(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks);
}

async function tcp(port: number): Promise<Socket> {
  const socket = tcpConnect({ host: '127.0.0.1', port });
  cleanup.add(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function tls(port: number, identity: Identity): Promise<TLSSocket> {
  const socket = tlsConnect({
    ...tlsClientOptions(identity, ALPN_SESSION),
    host: '127.0.0.1',
    port,
  });
  cleanup.add(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

function frameOf(type: FrameType, payload: Buffer, version = 1): Buffer {
  return Buffer.concat([encodeHeader(version, type, 0, payload.length, 0), payload]);
}

const HELLO = {
  intent: 'session',
  versions: { oldest: 1, newest: 1 },
  place: { name: 'laptop', profile: 'device' },
  session: '0'.repeat(32),
  attempt: 1,
  resume: false,
  received: [0, 0],
};

const hello = (change: Record<string, unknown> = {}) =>
  frameOf(FrameType.hello, Buffer.from(JSON.stringify({ ...HELLO, ...change })));

/** What the listener says to these bytes before it closes. */
async function answer(port: number, identity: Identity, bytes: Buffer): Promise<Frame[]> {
  const socket = await tls(port, identity);
  const reply = drain(socket);
  socket.write(bytes);
  const frames: Frame[] = [];
  new FrameParser().push(await reply, (frame) => frames.push(frame));
  return frames;
}

const goodbyeCode = (frames: Frame[]) => {
  expect(frames).toHaveLength(1);
  expect(frames[0]?.type).toBe(FrameType.goodbye);
  return JSON.parse(String(frames[0]?.payload[0])).code;
};

/** The listener still serves those it should. */
async function works(port: number): Promise<void> {
  const dialer = startDialer(places, cleanup, port);
  const session = await dialer.connected(LONG);
  expect(session.peer).toBe(places.site.id);
  await dialer.close();
}

async function start(options: Partial<ListenerOptions> = {}) {
  const refused: string[] = [];
  const started = await startListener(places, cleanup, {
    onRefused: (_address, reason) => refused.push(reason),
    ...options,
  });
  return { ...started, refused };
}

describe('the listener', () => {
  it('survives plain TCP garbage, at once closed connections and half handshakes', async () => {
    const { port, refused } = await start();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 600 }), async (junk) => {
        const socket = await tcp(port);
        socket.end(Buffer.from(junk));
        await drain(socket);
      }),
      { numRuns: 30 },
    );
    const http = await tcp(port);
    http.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await drain(http);
    (await tcp(port)).resetAndDestroy();
    expect(refused.length).toBeGreaterThan(0);
    await works(port);
  });

  it('survives any bytes inside TLS, from strangers and from paired places', async () => {
    const { port, listener } = await start();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(places.stranger, places.device),
        fc.constantFrom('none', 'hello'),
        fc.uint8Array({ minLength: 1, maxLength: 400 }),
        async (identity, first, junk) => {
          const socket = await tls(port, identity);
          const reply = drain(socket);
          if (first === 'hello') socket.write(hello());
          socket.end(Buffer.from(junk));
          await reply;
        },
      ),
      { numRuns: 40 },
    );
    await works(port);
    expect(listener.strangers).toBe(0);
  }, 20_000);

  it.each([
    ['something else than HELLO', frameOf(FrameType.ping, Buffer.alloc(8))],
    ['DATA on the RPC channel', frameOf(FrameType.data, Buffer.from('x'))],
    ['HELLO that is not JSON', frameOf(FrameType.hello, Buffer.from('{{'))],
    ['HELLO that does not fit', hello({ session: 'x' })],
    ['HELLO with a name of 1 KB', hello({ place: { name: 'x'.repeat(1024), profile: 'device' } })],
    ['HELLO larger than the cap', Buffer.from([1, 1, 0xff, 0xff, ...Array(12).fill(0)])],
    ['a frame of version 0', Buffer.from([0, 1, 0, 2, ...Array(12).fill(0), 0x7b, 0x7d])],
  ])('answers %s with protocol-violation', async (_name, bytes) => {
    const { port } = await start();
    expect(goodbyeCode(await answer(port, places.device, bytes))).toBe('protocol-violation');
    await works(port);
  });

  it('speaks to newer and older versions, or says that it cannot', async () => {
    const { port } = await start();
    const newer = hello({ versions: { oldest: 2, newest: 3 } });
    expect(goodbyeCode(await answer(port, places.device, newer))).toBe('peer-version');
    const socket = await tls(port, places.device);
    socket.write(hello({ versions: { oldest: 1, newest: 9 }, future: true }));
    const [bytes] = await once(socket, 'data');
    const frames: Frame[] = [];
    new FrameParser().push(bytes, (frame) => frames.push(frame));
    expect(frames[0]?.type).toBe(FrameType.hello);
    expect(JSON.parse(String(frames[0]?.payload[0]))).toMatchObject({ version: 1 });
  });

  it('lets a stranger do nothing but pair', async () => {
    const { port, sessions, refused } = await start();
    expect(goodbyeCode(await answer(port, places.stranger, hello()))).toBe('not-paired');
    expect(sessions).toHaveLength(0);
    expect(refused.at(-1)).toContain('not paired');
  });

  it.each([
    ['claims more than was sent', { received: [1_000_000, 0] }],
    ['claims part of a frame', { received: [5, 0] }],
  ])('ends the session of a peer that %s', async (_name, change) => {
    const { port, sessions } = await start();
    const frames = await answer(port, places.device, hello(change));
    expect(frames.map((frame) => frame.type)).toEqual([FrameType.hello, FrameType.goodbye]);
    expect(sessions[0]?.state).toBe('closed');
    await works(port);
  });

  describe('ends the session of a peer', () => {
    /** Numbered frames in a row, each at the offset that it must have in its lane. */
    function lane(...frames: [type: FrameType, channel: number, payload: string][]): Buffer {
      let offset = 0;
      return Buffer.concat(
        frames.flatMap(([type, channel, payload]) => {
          const header = encodeHeader(1, type, channel, payload.length, offset);
          offset += header.length + payload.length;
          return [header, Buffer.from(payload)];
        }),
      );
    }
    const { open, data, fin, reset } = FrameType;
    const meta = '{"kind":"x","meta":{}}';
    const full = 'x'.repeat(16_368);
    const unnumbered = (type: FrameType, channel: number, payload: Buffer) =>
      Buffer.concat([encodeHeader(1, type, channel, payload.length, 0), payload]);

    it.each([
      ['a gap in a lane', Buffer.concat([encodeHeader(1, data, 0, 1, 99), Buffer.from('x')])],
      ['DATA on a channel that was never opened', lane([data, 6, 'x'])],
      ['FIN on a channel of ours that we never opened', lane([fin, 7, ''])],
      ['a channel with a number of ours', lane([open, 7, meta])],
      ['a channel number that was used before', lane([open, 10, meta], [open, 6, meta])],
      ['a channel without a kind', lane([open, 6, '{}'])],
      ['DATA after FIN', lane([open, 6, meta], [fin, 6, ''], [data, 6, 'x'])],
      ['a second FIN', lane([open, 6, meta], [fin, 6, ''], [fin, 6, ''])],
      ['the end of the RPC channel', lane([fin, 0, ''])],
      ['the reset of the RPC channel', lane([reset, 0, '{}'])],
      ['a message larger than the cap', lane([data, 0, '\u007f\u007f\u007f\u007f'])],
      ['an answer to no call', lane([data, 0, '\0\0\0\u0013{"id":1,"result":1}'])],
      ['an ACK for what was not sent', unnumbered(FrameType.ack, 0, Buffer.alloc(16, 1))],
      ['a WINDOW for no channel', unnumbered(FrameType.window, 6, Buffer.alloc(8))],
      ['a second HELLO', hello()],
      [
        'DATA beyond the window',
        lane([open, 6, meta], ...Array<[FrameType, number, string]>(257).fill([data, 6, full])),
      ],
      [
        'too many channels',
        lane(
          ...[...Array(129).keys()].map((n): [FrameType, number, string] => [
            open,
            6 + 4 * n,
            meta,
          ]),
        ),
      ],
    ])('that sends %s', async (_name, bytes) => {
      const { port, sessions } = await start({
        onSession: (session) => session.onChannel('x', () => undefined),
      });
      const frames = await answer(port, places.device, Buffer.concat([hello(), bytes]));
      const last = frames.at(-1);
      expect(last?.type).toBe(FrameType.goodbye);
      expect(JSON.parse(String(last?.payload[0])).code).toBe('protocol-violation');
      expect(sessions[0]?.state).toBe('closed');
    });
  });

  it('ignores a connection that was overtaken by a newer one of the same session', async () => {
    const { port, sessions } = await start();
    const newest = await tls(port, places.device);
    newest.write(hello({ attempt: 2 }));
    await once(newest, 'data');
    expect(goodbyeCode(await answer(port, places.device, hello()))).toBe('connection-stale');
    expect(sessions).toHaveLength(1);
    expect(sessions[0]).toMatchObject({ state: 'connected', attempt: 2 });
  });

  it('forgets no session it never knew', async () => {
    const { port } = await start();
    const frames = await answer(port, places.device, hello({ resume: true }));
    expect(goodbyeCode(frames)).toBe('session-lost');
  });

  it('closes a connection that says nothing, or says it too slowly', async () => {
    const { port, listener } = await start({ admission: { deadlineMs: 300 } });
    const silent = await tcp(port);
    const slow = await tls(port, places.device);
    let at = 0;
    const trickle = setInterval(() => slow.write(hello().subarray(at, ++at)), 10);
    await Promise.all([drain(silent), drain(slow)]);
    clearInterval(trickle);
    expect(listener.strangers).toBe(0);
    await works(port);
  });

  it.each([
    ['in all', { total: 5, perAddress: 100 }],
    ['from one address', { total: 100, perAddress: 5 }],
  ])('holds only so many strangers %s, and drops the oldest', async (_name, limits) => {
    const { port, listener } = await start({ admission: { ...limits, deadlineMs: 60_000 } });
    const sockets: Socket[] = [];
    const closed: number[] = [];
    for (let index = 0; index < 12; index += 1) {
      const socket = await tcp(port);
      sockets.push(socket);
      void drain(socket).then(() => closed.push(index));
    }
    await works(port);
    // Sockets of TLS connections that are no stranger's any more are not touched by newcomers.
    expect(listener.strangers).toBeLessThanOrEqual(5);
    expect(closed).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('ends the session of a place that is revoked, at once, and takes it no more', async () => {
    const pinned = new Set([places.device.id]);
    const { port, listener, sessions } = await start({ isPinned: (id) => pinned.has(id) });
    const dialer = startDialer(places, cleanup, port);
    const session = await dialer.connected(LONG);
    pinned.clear();
    listener.revoke(places.device.id);
    expect(sessions[0]?.state).toBe('closed');
    expect(await session.closed).toMatchObject({ kind: 'refused', code: 'not-paired' });
    dialer.redial();
    await expect(dialer.connected({ timeoutMs: 300 })).rejects.toMatchObject({
      code: 'not-paired',
    });
  });

  it('says in words that its port is taken', async () => {
    const { port } = await start();
    const second = new PeerListener({
      identity: places.site,
      place: { name: 'x', profile: 'site' },
      isPinned: () => false,
      onSession: () => undefined,
    });
    await expect(second.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
      kind: 'requirement',
      code: 'listen-failed',
    });
  });
});

describe('the dialer', () => {
  it('refuses a site that is not the pinned one, and says so', async () => {
    const { port, sessions } = await start();
    const dialer = startDialer(places, cleanup, port, { peer: places.stranger.id });
    await expect(dialer.connected({ timeoutMs: 500 })).rejects.toMatchObject({
      kind: 'refused',
      code: 'peer-not-pinned',
    });
    expect(sessions).toHaveLength(0);
  });

  it('finds the address that works among those that do not', async () => {
    const { port } = await start();
    const hosts = ['192.0.2.1', 'no-such-name.invalid', '127.0.0.1'];
    const session = await startDialer(places, cleanup, port, { hosts }).connected(LONG);
    expect(session.state).toBe('connected');
  });

  it('says why nobody answers', async () => {
    const { listener, port } = await start();
    await listener.close();
    const dialer = startDialer(places, cleanup, port);
    await expect(dialer.connected({ timeoutMs: 300 })).rejects.toMatchObject({
      kind: 'unreachable',
      code: 'peer-unreachable',
      message: expect.stringContaining(`127.0.0.1 port ${port}: nothing listens there`),
    });
    await expect(
      dialer.connected({ timeoutMs: 10_000, signal: AbortSignal.timeout(10) }),
    ).rejects.toMatchObject({ code: 'dial-cancelled' });
  });

  it('reaches a site that comes up later, at a new address', async () => {
    const { listener, port } = await start();
    await listener.close();
    const dialer = startDialer(places, cleanup, port);
    await once(dialer, 'status');
    const later = await start();
    dialer.setAddresses(['127.0.0.1'], later.port);
    dialer.redial();
    expect((await dialer.connected(LONG)).state).toBe('connected');
  });
});
