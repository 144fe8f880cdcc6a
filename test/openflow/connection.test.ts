import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import type { SojournError } from '../../src/common/index.ts';
import {
  type Clock,
  type ConnectionLimits,
  decodeMessage,
  type Envelope,
  encodeMessage,
  encodeReply,
  formatMessage,
  type Message,
  OpenFlowConnection,
  openFlowError,
} from '../../src/openflow/index.ts';
import { TestClock } from './test-clock.ts';

/** Two streams, each of which reads what is written to the other. */
function pair(): [Pipe, Pipe] {
  const left = new Pipe();
  const right = new Pipe();
  left.other = right;
  right.other = left;
  return [left, right];
}

class Pipe extends Duplex {
  other!: Pipe;
  #waiting: (() => void) | undefined;

  override _read(): void {
    const go = this.#waiting;
    this.#waiting = undefined;
    go?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.other.push(chunk)) done();
    else this.other.#waiting = done;
  }

  override _final(done: () => void): void {
    this.other.push(null);
    done();
  }
}

interface End {
  readonly connection: OpenFlowConnection;
  readonly got: Envelope[];
  closed: SojournError | undefined;
}

function attach(
  stream: Duplex,
  clock: Clock,
  limits: Partial<ConnectionLimits> = {},
  serve: (connection: OpenFlowConnection, envelope: Envelope) => void = () => {},
): End {
  const got: Envelope[] = [];
  const connection: OpenFlowConnection = new OpenFlowConnection({
    stream,
    clock,
    limits,
    handler: {
      message(envelope) {
        got.push(envelope);
        serve(connection, envelope);
      },
      closed(reason) {
        end.closed = reason;
      },
    },
  });
  const end: End = { connection, got, closed: undefined };
  return end;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** What was written to a stream that nobody answers on. */
function collect(stream: Duplex): { messages(): Envelope[] } {
  let bytes = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  return {
    messages() {
      const found: Envelope[] = [];
      for (let at = 0; at < bytes.length; at += bytes.readUInt16BE(at + 2))
        found.push(decodeMessage(bytes.subarray(at, at + bytes.readUInt16BE(at + 2))));
      return found;
    },
  };
}

const hello = encodeMessage(1, { type: 'hello', version: 4, versions: [4] });
const noData = new Uint8Array();

async function greeted(
  serve?: (connection: OpenFlowConnection, envelope: Envelope) => void,
  limits: Partial<ConnectionLimits> = {},
) {
  const [a, b] = pair();
  const clock = new TestClock();
  const controller = attach(a, clock, limits);
  const device = attach(b, clock, {}, serve);
  await turns();
  return { clock, controller, device, streams: [a, b] as const };
}

test('two ends greet each other, and requests find their answers whatever their order', async () => {
  const waiting: Envelope[] = [];
  const { controller, device } = await greeted((connection, envelope) => {
    waiting.push(envelope);
    if (waiting.length < 2) return;
    for (const { xid, message } of waiting.reverse()) {
      if (message.type === 'barrier-request') connection.send({ type: 'barrier-reply' }, xid);
      else connection.send({ type: 'get-config-reply', flags: 0, missSendLength: 9 }, xid);
    }
  });
  expect([controller.connection.isReady, device.connection.isReady]).toEqual([true, true]);
  const config = controller.connection.request({ type: 'get-config-request' }, 'get-config-reply');
  await controller.connection.barrier();
  expect((await config).missSendLength).toBe(9);
});

test('a refused request rejects with the error, another answer as well, and the connection stays', async () => {
  const { controller } = await greeted((connection, { xid, message }) => {
    if (message.type === 'role-request') throw openFlowError('role-request-failed', 'stale', 'old');
    connection.send({ type: 'barrier-reply' }, xid);
  });
  const claim: Message = { type: 'role-request', role: 'master', generation: 1n };
  await expect(controller.connection.request(claim, 'role-reply')).rejects.toThrow(
    /role-request-failed\/stale/,
  );
  await expect(
    controller.connection.request({ type: 'features-request' }, 'features-reply'),
  ).rejects.toMatchObject({ code: 'openflow-wrong-answer' });
  await controller.connection.barrier();
});

test('a multipart answer arrives whole', async () => {
  const tables = Array.from({ length: 9000 }, (_, i) => ({
    table: i & 0xff,
    active: i,
    lookups: 1n,
    matched: 2n,
  }));
  const { controller } = await greeted((connection, { xid }) =>
    connection.reply(xid, { kind: 'table', tables }),
  );
  expect(await controller.connection.multipart({ kind: 'table' })).toEqual({
    kind: 'table',
    tables,
  });
});

test('errors that nobody waits for go to the handler', async () => {
  const { controller } = await greeted(() => {
    throw openFlowError('flow-mod-failed', 'table-full', '');
  });
  const xid = controller.connection.send({ type: 'table-mod', table: 1, config: 0 });
  await turns();
  expect(controller.got.map((one) => formatMessage(one).replace(/ data.*/, ''))).toEqual([
    `error xid=0x${xid.toString(16)} flow-mod-failed/table-full`,
  ]);
});

test('a message that cannot be understood is answered with its error, and the next is served', async () => {
  const [a, b] = pair();
  const end = attach(a, new TestClock());
  const peer = collect(b);
  const bad = Buffer.from('040e000900000007ff', 'hex');
  b.write(Buffer.concat([hello, bad, encodeMessage(8, { type: 'echo-request', data: noData })]));
  await turns();
  expect(peer.messages().map(formatMessage)).toEqual([
    'hello xid=0x1 version=4 versions=[4]',
    'error xid=0x7 bad-request/bad-len data=040e000900000007ff',
    'echo-reply xid=0x8 data=',
  ]);
  expect(end.closed).toBeUndefined();
});

test('an error that cannot be understood is not answered with an error', async () => {
  const [a, b] = pair();
  attach(a, new TestClock());
  const peer = collect(b);
  b.write(Buffer.concat([hello, Buffer.from('0401000a00000007ffff', 'hex')]));
  await turns();
  expect(peer.messages()).toHaveLength(1);
});

test('messages are found however the bytes are cut', async () => {
  const [a, b] = pair();
  const end = attach(a, new TestClock());
  b.resume();
  const message = encodeMessage(3, { type: 'table-mod', table: 1, config: 0 });
  const bytes = Buffer.concat([hello, message, message, message]);
  for (let at = 0; at < bytes.length; at += 5) {
    b.write(bytes.subarray(at, at + 5));
    await turn();
  }
  await turns();
  expect(end.got).toHaveLength(3);
});

test.each<[string, Buffer, string, RegExp]>([
  [
    'another version',
    encodeMessage(5, { type: 'hello', version: 1, versions: [] }),
    'openflow-version',
    /^error xid=0x5 hello-failed\/incompatible/,
  ],
  [
    'no hello at all',
    encodeMessage(5, { type: 'features-request' }),
    'openflow-bad-hello',
    /^hello/,
  ],
  [
    'a length that no header has',
    Buffer.from('0400000700000001', 'hex'),
    'openflow-bad-framing',
    /^hello/,
  ],
])('a connection that begins with %s ends', async (_what, bytes, code, last) => {
  const [a, b] = pair();
  const end = attach(a, new TestClock());
  const peer = collect(b);
  b.write(bytes);
  await turns();
  expect(end.closed?.code).toBe(code);
  expect(formatMessage(peer.messages().at(-1) as Envelope)).toMatch(last);
  expect(a.destroyed).toBe(true);
});

test('a peer that says nothing at all is given up', async () => {
  const [a] = pair();
  const clock = new TestClock();
  const end = attach(a, clock);
  clock.advance(9_999);
  expect(end.closed).toBeUndefined();
  clock.advance(1);
  expect(end.closed?.code).toBe('openflow-no-hello');
});

test('silence is answered with an echo request, and more silence ends the connection', async () => {
  const [a, b] = pair();
  const clock = new TestClock();
  const end = attach(a, clock);
  const peer = collect(b);
  b.write(hello);
  await turns();
  clock.advance(5_000);
  await turns();
  expect(peer.messages().at(-1)?.message.type).toBe('echo-request');
  b.write(encodeMessage(2, { type: 'echo-reply', data: noData }));
  await turns();
  clock.advance(9_999);
  expect(end.closed).toBeUndefined();
  clock.advance(1);
  expect(end.closed?.code).toBe('openflow-silent');
});

test('a process that was stopped reads what came meanwhile before it gives the peer up', async () => {
  const [a, b] = pair();
  const clock = new TestClock();
  const end = attach(a, clock);
  b.write(hello);
  await turns();
  clock.advance(5_000);
  clock.skip(20_000);
  clock.advance(0);
  expect(end.closed).toBeUndefined();
  b.write(encodeMessage(2, { type: 'echo-reply', data: noData }));
  await turns();
  clock.advance(1);
  expect(end.closed).toBeUndefined();
  clock.advance(10_000);
  expect(end.closed?.code).toBe('openflow-silent');
});

test('an echo request comes back with what it held', async () => {
  const [a, b] = pair();
  attach(a, new TestClock());
  const peer = collect(b);
  const data = new Uint8Array([1, 2, 3]);
  b.write(Buffer.concat([hello, encodeMessage(2, { type: 'echo-request', data })]));
  await turns();
  expect(peer.messages().at(-1)).toEqual({ xid: 2, message: { type: 'echo-reply', data } });
});

test('a request that is never answered fails, and one when the connection ends', async () => {
  const { clock, controller, device } = await greeted();
  const late = expect(controller.connection.barrier()).rejects.toMatchObject({
    code: 'openflow-no-answer',
  });
  // Something comes all the time, but not the answer.
  for (let i = 0; i < 10; i++) {
    clock.advance(3_000);
    device.connection.send({ type: 'echo-request', data: noData });
    controller.connection.send({ type: 'echo-request', data: noData });
    await turns(3);
  }
  await late;
  const cut = controller.connection.barrier();
  device.connection.close();
  await expect(cut).rejects.toMatchObject({ code: 'openflow-closed' });
  await expect(controller.connection.barrier()).rejects.toMatchObject({ code: 'openflow-closed' });
});

test('no more requests wait than the limit says', async () => {
  const { controller } = await greeted(undefined, { requests: 2 });
  const { connection } = controller;
  const waiting = Promise.allSettled([connection.barrier(), connection.barrier()]);
  await expect(connection.barrier()).rejects.toThrow(/2 OpenFlow requests wait/);
  connection.close();
  await waiting;
});

test('an unfinished multipart answer may not grow without end', async () => {
  const table = { table: 1, active: 1, lookups: 1n, matched: 1n };
  const part = encodeReply(1, { kind: 'table', tables: [table, table] })[0] as Buffer;
  const { controller, streams } = await greeted(
    (_connection, { xid }) => {
      part.writeUInt32BE(xid, 4);
      part.writeUInt16BE(1, 10);
      for (let i = 0; i < 20; i++) streams[1].write(Buffer.from(part));
    },
    { assembly: { concurrent: 4, bytes: 500 } },
  );
  await expect(controller.connection.multipart({ kind: 'table' })).rejects.toThrow(
    /multipart-buffer-overflow/,
  );
});

test('a peer that does not read its answers is not read from any more, until it does', async () => {
  const [a, b] = pair();
  let served = 0;
  const end = attach(a, new TestClock(), { pauseBytes: 100_000 }, (connection, { xid }) => {
    served++;
    connection.reply(xid, {
      kind: 'experimenter',
      experimenter: 1,
      experimenterType: 1,
      data: new Uint8Array(10_000),
    });
  });
  const request = encodeMessage(1, { type: 'queue-get-config-request', port: 1 });
  b.write(Buffer.concat([hello, ...new Array<Buffer>(1000).fill(request)]));
  await turns();
  // 100,000 and what the two streams hold themselves.
  expect(served).toBeLessThan(40);
  expect(end.connection.unsent).toBeLessThan(200_000);
  b.resume();
  await turns(2000);
  expect(served).toBe(1000);
});

test('what is offered to a peer that does not keep up is dropped; what is sent ends the connection', async () => {
  const [a, b] = pair();
  const limits = { dropBytes: 50_000, closeBytes: 500_000 };
  const end = attach(a, new TestClock(), limits);
  b.write(hello);
  await turns();
  const packet: Message = {
    type: 'packet-in',
    buffer: 0xffffffff,
    totalLength: 1000,
    reason: 'action',
    table: 0,
    cookie: 0n,
    match: {},
    data: new Uint8Array(1000),
  };
  const sent = Array.from({ length: 1000 }, () => end.connection.offer(packet));
  expect(sent.filter(Boolean).length).toBeLessThan(120);
  expect(end.connection.unsent).toBeLessThan(60_000);
  expect(end.closed).toBeUndefined();
  for (let i = 0; i < 1000; i++) end.connection.send(packet);
  expect(end.closed?.code).toBe('openflow-slow-peer');
});

test('a sender can wait until its peer keeps up', async () => {
  const [a, b] = pair();
  const end = attach(a, new TestClock());
  b.write(hello);
  await turns();
  for (let i = 0; i < 100; i++)
    end.connection.send({ type: 'echo-reply', data: new Uint8Array(10_000) });
  let drained = false;
  const waiting = end.connection.drained().then(() => {
    drained = true;
  });
  await turns();
  expect(drained).toBe(false);
  b.resume();
  await waiting;
  expect(end.connection.unsent).toBeLessThan(256 * 1024);
});
