import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SojournError } from '../../src/common/index.ts';
import { MAX_CHANNELS } from '../../src/transport/channels.ts';
import type { Channel, PeerDialer, PeerListener, Session } from '../../src/transport/index.ts';
import { MAX_MESSAGE_BYTES } from '../../src/transport/message.ts';
import {
  Cleanup,
  FAST,
  makePlaces,
  type Places,
  Relay,
  startDialer,
  startListener,
} from './harness.ts';

let places: Places;
const cleanup = new Cleanup();
let listener: PeerListener;
let dialer: PeerDialer;
let port: number;
let near: Session;
let far: Session;
beforeAll(async () => {
  places = await makePlaces();
});
afterAll(() => places.remove());
beforeEach(async () => {
  const started = await startListener(places, cleanup);
  ({ listener, port } = started);
  dialer = startDialer(places, cleanup, port);
  near = await dialer.connected({ timeoutMs: 10_000 });
  far = started.sessions[0] as Session;
});
afterEach(() => cleanup.run());

const LONG = { timeoutMs: 10_000 };
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: SojournError) => error,
  );
/** Unlike `once`, does not mind an error before. */
const closed = (channel: Channel) =>
  new Promise<void>((resolve) => {
    if (channel.closed) resolve();
    channel.once('close', resolve);
  });
const text = async (channel: Channel) => Buffer.concat(await channel.toArray()).toString();

describe('a session', () => {
  it('knows who is at the other end', () => {
    expect(near.peer).toBe(places.site.id);
    expect(far.peer).toBe(places.device.id);
    expect(near.place).toEqual({ name: 'cloud', profile: 'site' });
    expect(far.place).toEqual({ name: 'laptop', profile: 'device' });
    expect(near.id).toBe(far.id);
    expect([near.state, far.state, dialer.status.state]).toEqual(Array(3).fill('connected'));
  });

  it('measures the round trip', async () => {
    near.handle('nothing', () => null);
    while (near.rttMs === undefined) await far.call('nothing', null, LONG);
    expect(near.rttMs).toBeGreaterThan(0);
    expect(near.suspect).toBe(false);
  });

  it('ends at once on both sides with the reason of GOODBYE', async () => {
    const reason = new SojournError({
      kind: 'cancelled',
      code: 'agent-stopped',
      message: 'the agent was stopped',
      remedy: 'Start it again',
    });
    const call = failure(near.call('slow', null, LONG));
    far.handle('slow', () => new Promise(() => undefined));
    const channel = near.openChannel('x');
    far.close(reason);
    expect(await near.closed).toMatchObject({ ...reason, message: reason.message });
    expect(near.state).toBe('closed');
    expect(await call).toMatchObject({ code: 'agent-stopped' });
    expect(channel.errored).toMatchObject({ code: 'agent-stopped' });
    expect(() => near.openChannel('y')).toThrowError('the agent was stopped');
    expect(await failure(near.call('slow', null, LONG))).toMatchObject({ code: 'agent-stopped' });
    expect(listener.sessions.size).toBe(0);
  });

  it('tells the listener when the dialer stops, and does not come back', async () => {
    await dialer.close();
    expect(await far.closed).toMatchObject({ code: 'session-closed' });
    expect(dialer.status).toEqual({ state: 'closed' });
    expect(dialer.session).toBeUndefined();
  });

  it('is replaced when the listener was restarted', async () => {
    const relay = await Relay.start(port);
    cleanup.add(() => relay.close());
    const sessions: Session[] = [];
    const other = startDialer(places, cleanup, relay.port, {
      onSession: (session) => sessions.push(session),
    });
    const first = await other.connected(LONG);
    relay.refuse = true;
    relay.cut();
    // Forgets the session without a word, as a crash does.
    listener.sessions
      .get(places.device.id)
      ?.abandon(new SojournError({ kind: 'internal', code: 'crash', message: 'crash' }));
    relay.refuse = false;
    expect(await first.closed).toMatchObject({ kind: 'unreachable', code: 'session-lost' });
    const second = await other.connected(LONG);
    expect(second).not.toBe(first);
    expect(sessions).toEqual([first, second]);
  });

  it('replaces the one before when the same place comes with a new one', async () => {
    const again = startDialer(places, cleanup, port);
    await again.connected(LONG);
    expect(await far.closed).toMatchObject({ code: 'session-lost' });
    expect(listener.sessions.size).toBe(1);
    await dialer.close();
    expect(listener.sessions.get(places.device.id)?.id).toBe(again.session?.id);
  });

  it('is closed when no connection comes back within the resume window', async () => {
    const timings = { keepalive: FAST, resumeWindowMs: 50 };
    const { port: shortPort, sessions } = await startListener(places, cleanup, { timings });
    const relay = await Relay.start(shortPort);
    cleanup.add(() => relay.close());
    const other = startDialer(places, cleanup, relay.port, { timings });
    const session = await other.connected(LONG);
    relay.refuse = true;
    relay.cut();
    expect(await session.closed).toMatchObject({ code: 'session-expired' });
    expect(await sessions[0]?.closed).toMatchObject({ code: 'session-expired' });
  });
});

describe('calls', () => {
  it('go both ways, with their answers', async () => {
    far.handle('add', (params) => (params as number[]).reduce((a, b) => a + b));
    near.handle('nothing', () => undefined);
    expect(await near.call('add', [1, 2, 3], LONG)).toBe(6);
    expect(await far.call('nothing', undefined, LONG)).toBeNull();
    const many = [...Array(50).keys()].map((n) => near.call('add', [n, n], LONG));
    expect(await Promise.all(many)).toEqual([...Array(50).keys()].map((n) => 2 * n));
  });

  it('carry a SojournError over, without terminal escapes, and make a defect of others', async () => {
    far.handle('refuse', () => {
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-running',
        message: 'the guest\u001b[31m runs',
        remedy: 'Stop it',
      });
    });
    far.handle('break', async () => {
      throw new TypeError('x is not a function');
    });
    expect(await failure(near.call('refuse', null, LONG))).toMatchObject({
      kind: 'conflict',
      code: 'guest-running',
      message: 'the guest [31m runs',
      remedy: 'Stop it',
    });
    expect(await failure(near.call('break', null, LONG))).toMatchObject({
      kind: 'internal',
      message: 'x is not a function',
    });
    expect(await failure(near.call('no.such', null, LONG))).toMatchObject({
      kind: 'requirement',
      code: 'method-unknown',
    });
  });

  it('have deadlines, which the other side is told of', async () => {
    const aborted = new Promise((resolve) => {
      far.handle('slow', (_params, { signal }) => {
        signal.addEventListener('abort', () => resolve(signal.reason));
        return new Promise(() => undefined);
      });
    });
    expect(await failure(near.call('slow', null, { timeoutMs: 20 }))).toMatchObject({
      kind: 'unreachable',
      code: 'peer-timeout',
      message: 'The other place did not answer slow within 0.02 s',
    });
    expect(await aborted).toBeInstanceOf(SojournError);
    expect(near.state).toBe('connected');
  });

  it('can be cancelled, and a late answer is nobody’s', async () => {
    const abort = new AbortController();
    let answer: (value: unknown) => void = () => undefined;
    far.handle('slow', (_params, { signal }) => {
      signal.addEventListener('abort', () => answer('late'));
      abort.abort();
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const call = near.call('slow', null, { ...LONG, signal: abort.signal });
    expect(await failure(call)).toMatchObject({ kind: 'cancelled', code: 'call-cancelled' });
    far.handle('echo', (params) => params);
    expect(await near.call('echo', 1, LONG)).toBe(1);
    const before = near.call('echo', 1, { ...LONG, signal: AbortSignal.abort() });
    expect(await failure(before)).toMatchObject({ code: 'call-cancelled' });
  });

  it('are limited in size both ways', async () => {
    far.handle('huge', () => 'x'.repeat(MAX_MESSAGE_BYTES));
    far.handle('echo', (params) => params);
    const large = 'x'.repeat(MAX_MESSAGE_BYTES - 100);
    expect(await near.call('echo', large, LONG)).toBe(large);
    expect(await failure(near.call('echo', `${large}${large}`, LONG))).toMatchObject({
      code: 'rpc-too-large',
    });
    expect(await failure(near.call('huge', null, LONG))).toMatchObject({ code: 'rpc-too-large' });
    expect(await near.call('echo', 1, LONG)).toBe(1);
  });

  it('are limited in number: more than the peer serves at a time are refused', async () => {
    far.handle('slow', () => new Promise(() => undefined));
    const first = [...Array(64).keys()].map(() => failure(near.call('slow', null, LONG)));
    expect(await failure(near.call('slow', null, LONG))).toMatchObject({ code: 'rpc-busy' });
    near.close();
    expect((await Promise.all(first)).every((error) => error?.code === 'session-closed')).toBe(
      true,
    );
  });

  it('notify without an answer, in order', async () => {
    const got: unknown[] = [];
    far.onNotification('news', (params) => got.push(params));
    far.handle('sync', () => null);
    for (let n = 0; n < 5; n += 1) near.notify('news', n);
    near.notify('nobody.listens', null);
    await near.call('sync', null, LONG);
    expect(got).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('channels', () => {
  it('carry bytes both ways, half-closed like TCP', async () => {
    far.onChannel('shout', async (channel) => {
      expect(channel.meta).toEqual({ to: 'upper' });
      channel.end((await text(channel)).toUpperCase());
    });
    const channel = near.openChannel('shout', { to: 'upper' });
    channel.end('hello');
    expect(await text(channel)).toBe('HELLO');
    expect(channel).toMatchObject({
      bytesSent: 5,
      bytesAcked: 5,
      bytesReceived: 5,
      bytesPending: 0,
    });
  });

  it('can be written to after they were read to the end', async () => {
    far.onChannel('answer', async (channel) => {
      let length = 0;
      for await (const chunk of channel) length += chunk.length;
      channel.end(`got ${length}`);
    });
    const channel = near.openChannel('answer');
    channel.end('hello');
    expect(await text(channel)).toBe('got 5');
  });

  it('can be opened by the listening side, and many at a time', async () => {
    near.onChannel('echo', (channel) => channel.pipe(channel));
    const open = (n: number) => {
      const channel = far.openChannel('echo', { n }, { priority: n % 2 ? 'bulk' : 'control' });
      channel.end(`number ${n}`);
      return text(channel);
    };
    for (let round = 0; round < 3; round += 1) {
      const all = await Promise.all([...Array(MAX_CHANNELS).keys()].map(open));
      expect(all[5]).toBe('number 5');
    }
  });

  it('finish only when the peer has everything', async () => {
    let got = 0;
    far.onChannel('sink', (channel) => {
      channel.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
    });
    const channel = near.openChannel('sink');
    channel.end(Buffer.alloc(300_000));
    await once(channel, 'finish');
    expect(got).toBe(300_000);
    expect(channel.bytesAcked).toBe(300_000);
  });

  it('say when the peer has what was written, or what ended them before', async () => {
    const accepted = new Promise<Channel>((resolve) => {
      far.onChannel('sink', (channel) => resolve(channel.resume()));
    });
    const channel = near.openChannel('sink');
    await channel.allAcked();
    channel.write(Buffer.alloc(500_000));
    await channel.allAcked();
    expect(channel).toMatchObject({ bytesAcked: 500_000, bytesPending: 0 });
    channel.write(Buffer.alloc(6_000_000));
    const waiting = failure(channel.allAcked());
    (await accepted)
      .pause()
      .destroy(new SojournError({ kind: 'conflict', code: 'x', message: 'x' }));
    expect(await waiting).toMatchObject({ code: 'x' });
    expect(await failure(channel.allAcked())).toMatchObject({ code: 'x' });
  });

  it('are reset with the error, at both ends', async () => {
    const accepted = new Promise<Channel>((resolve) => {
      far.onChannel('doomed', resolve);
    });
    const channel = near.openChannel('doomed');
    channel.write('some');
    const other = await accepted;
    const reason = new SojournError({ kind: 'conflict', code: 'disk-full', message: 'disk full' });
    other.destroy(reason);
    await closed(channel);
    expect(channel.errored).toMatchObject({ kind: 'conflict', code: 'disk-full' });
    await expect(finished(channel)).rejects.toMatchObject({ code: 'disk-full' });
    // Data that crossed the RESET on its way hurts nobody.
    far.handle('echo', (params) => params);
    expect(await near.call('echo', 1, LONG)).toBe(1);
  });

  it('tell the peer when they are dropped without a reason', async () => {
    const accepted = new Promise<Channel>((resolve) => {
      far.onChannel('dropped', resolve);
    });
    const channel = near.openChannel('dropped');
    const other = await accepted;
    channel.destroy();
    await closed(other);
    expect(other.errored).toMatchObject({ kind: 'cancelled', code: 'channel-cancelled' });
  });

  it('that nobody accepts are refused', async () => {
    const channel = near.openChannel('what');
    await closed(channel);
    expect(channel.errored).toMatchObject({ code: 'channel-unknown' });
  });

  it('whose handler throws are reset with what it threw', async () => {
    far.onChannel('bad', () => {
      throw new SojournError({ kind: 'usage', code: 'meta-wrong', message: 'no' });
    });
    const channel = near.openChannel('bad');
    await closed(channel);
    expect(channel.errored).toMatchObject({ code: 'meta-wrong' });
    expect(near.state).toBe('connected');
  });

  it('are limited in number', async () => {
    far.onChannel('idle', () => undefined);
    const open = [...Array(MAX_CHANNELS).keys()].map(() => near.openChannel('idle'));
    expect(() => near.openChannel('idle')).toThrowError(
      expect.objectContaining({ code: 'too-many-channels' }),
    );
    const over = closed(open[0] as Channel);
    open[0]?.destroy();
    await over;
    far.handle('echo', (params) => params);
    await near.call('echo', 1, LONG);
    expect(() => near.openChannel('idle')).not.toThrow();
  });
});
