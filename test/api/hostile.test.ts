import { once } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiClient, type Handlers, type Limits } from '../../src/api/index.ts';
import { MAX_LINE_BYTES } from '../../src/api/protocol.ts';
import { type DoubleAgent, fakeGuest, fakeStatus, startDouble } from './double.ts';
import { RawClient } from './raw.ts';

let agent: DoubleAgent;
const raws: RawClient[] = [];
afterEach(async () => {
  for (const { socket } of raws.splice(0)) socket.destroy();
  await agent.stop();
});

async function start(handlers: Partial<Handlers> = {}, limits: Partial<Limits> = {}) {
  agent = await startDouble({ 'guest.list': async () => [], ...handlers }, { limits });
}

async function raw(): Promise<RawClient> {
  const client = await RawClient.connect(agent.socketPath);
  raws.push(client);
  return client;
}

/** The property that every test here is about. */
async function expectServing(): Promise<void> {
  const client = await ApiClient.connect(agent.socketPath);
  expect(await client.call('guest.list', {})).toEqual([]);
  client.close();
}

function lastError(line: string): unknown {
  return JSON.parse(line).error;
}

const malformed: Record<string, string | Buffer> = {
  'not JSON': 'GET / HTTP/1.1\r\n\r\n',
  'an empty line': '\n',
  'invalid UTF-8': Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]),
  'zero bytes': Buffer.from([0, 0, 0, 0x0a]),
  'a number': '7\n',
  null: 'null\n',
  'an array': '[]\n',
  'id zero': '{"id":0,"call":"guest.list","input":{}}\n',
  'id no integer': '{"id":1.5,"call":"guest.list","input":{}}\n',
  'id beyond exact integers': '{"id":9007199254740993,"call":"guest.list","input":{}}\n',
  'no call': '{"id":1,"input":{}}\n',
  'call and cancel': '{"id":1,"call":"guest.list","input":{},"cancel":true}\n',
  'nested without end': `${'['.repeat(500_000)}\n`,
};

describe('a client that sends garbage is told so and loses only its own connection', () => {
  test.each(Object.entries(malformed))('%s', async (_name, bytes) => {
    await start();
    const client = await raw();
    client.socket.write(bytes);
    expect(lastError(await client.ended)).toMatchObject({
      kind: 'usage',
      code: 'message-malformed',
    });
    await expectServing();
  });

  test('anything at all', async () => {
    await start();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 5 }),
        async (chunks) => {
          const client = await raw();
          for (const chunk of chunks) client.socket.write(chunk);
          client.socket.end('\n');
          await client.ended;
        },
      ),
      { numRuns: 60 },
    );
    await expectServing();
  });
});

test('a call id in use ends the connection', async () => {
  await start({ 'guest.start': () => new Promise(() => {}) });
  const client = await raw();
  client.send({ id: 1, call: 'guest.start', input: { guest: 'a' } });
  client.send({ id: 1, call: 'guest.list', input: {} });
  expect(lastError(await client.ended)).toMatchObject({ code: 'id-in-use' });
});

test.each(['guest.explode', '__proto__', 'constructor', ''])(
  'an unknown call %j is answered and the connection goes on',
  async (call) => {
    await start();
    const client = await raw();
    client.send({ id: 1, call, input: {} });
    client.send({ id: 2, call: 'guest.list', input: {} });
    const [, refused, listed] = await client.lines(3);
    expect(refused).toMatchObject({ id: 1, error: { code: 'call-unknown' } });
    expect(listed).toEqual({ id: 2, result: [] });
  },
);

test('a prototype key in the input is refused', async () => {
  await start();
  const client = await raw();
  client.socket.write('{"id":1,"call":"guest.list","input":{"__proto__":{"x":1}}}\n');
  const [, answer] = await client.lines(2);
  expect(answer).toMatchObject({ id: 1, error: { code: 'input-invalid' } });
});

test('cancelling what is not under way is no error', async () => {
  await start();
  const client = await raw();
  client.send({ id: 9, cancel: true });
  client.send({ id: 1, call: 'guest.list', input: {} });
  expect((await client.lines(2))[1]).toEqual({ id: 1, result: [] });
});

test('an item that comes late does not reach the next call of its id', async () => {
  const gate = Promise.withResolvers<void>();
  let late = () => {};
  await start({
    'status.watch': async (_input, { emit }) => {
      late = () => emit(fakeStatus());
      return {};
    },
    'guest.start': async () => {
      await gate.promise;
      return fakeGuest();
    },
  });
  const client = await raw();
  client.send({ id: 1, call: 'status.watch', input: {} });
  await client.lines(2);
  client.send({ id: 1, call: 'guest.start', input: { guest: 'a' } });
  client.send({ id: 2, call: 'guest.list', input: {} });
  await client.lines(3);
  late();
  gate.resolve();
  expect((await client.lines(4))[3]).toMatchObject({ id: 1, result: {} });
});

test('an oversize line is refused as soon as it exceeds the cap', async () => {
  await start();
  const client = await raw();
  client.socket.write('x'.repeat(MAX_LINE_BYTES + 1));
  expect(lastError(await client.ended)).toMatchObject({ code: 'line-too-long' });
  await expectServing();
});

test('a client that is still sending is told all the same', async () => {
  await start();
  const client = await raw();
  client.socket.write(Buffer.alloc(16 << 20, 0x20));
  expect(lastError(await client.ended)).toMatchObject({ code: 'line-too-long' });
});

test('a never-ending line does not grow memory', async () => {
  await start();
  const client = await raw();
  const chunk = Buffer.alloc(1 << 20, 0x20);
  const before = process.memoryUsage.rss();
  for (let sent = 0; sent < 256 && !client.socket.destroyed; sent += 1) {
    if (!client.socket.write(chunk)) {
      await Promise.race([once(client.socket, 'drain').catch(() => {}), client.ended]);
    }
  }
  await client.ended;
  expect(process.memoryUsage.rss() - before).toBeLessThan(128 << 20);
  await expectServing();
});

test('a line just under the cap is served', async () => {
  await start();
  const client = await raw();
  const message = '{"id":1,"call":"guest.list","input":{}}';
  client.socket.write(`${message.padEnd(MAX_LINE_BYTES, ' ')}\n`);
  expect((await client.lines(2))[1]).toEqual({ id: 1, result: [] });
});

test('a line that begins and does not end is given up', async () => {
  await start({}, { partialLineTimeoutMs: 50 });
  const client = await raw();
  client.socket.write('{"id":1,');
  expect(lastError(await client.ended)).toMatchObject({ code: 'line-unfinished' });
  await expectServing();
});

test('trickled bytes do not renew the time of a line', async () => {
  await start({}, { partialLineTimeoutMs: 100 });
  const client = await raw();
  const trickle = setInterval(() => client.socket.write(' '), 10);
  expect(lastError(await client.ended)).toMatchObject({ code: 'line-unfinished' });
  clearInterval(trickle);
});

test('a message cut off at any byte leaves nothing behind', async () => {
  await start();
  const message = Buffer.from('{"id":1,"call":"guest.list","input":{}}');
  for (let length = 0; length < message.length; length += 1) {
    const client = await raw();
    client.socket.end(message.subarray(0, length));
    await client.ended;
  }
  await expectServing();
  expect(agent.server.connectionCount).toBeLessThanOrEqual(1);
});

test('a message in single bytes is understood', async () => {
  await start();
  const client = await raw();
  for (const byte of Buffer.from('{"id":1,"call":"guest.list","input":{}}\n')) {
    client.socket.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  expect((await client.lines(2))[1]).toEqual({ id: 1, result: [] });
});

test('connections beyond the cap are told so, and there is room again when one ends', async () => {
  await start({}, { connections: 3 });
  const held = [await raw(), await raw(), await raw()];
  await Promise.all(held.map((client) => client.lines(1)));
  await expect(ApiClient.connect(agent.socketPath)).rejects.toMatchObject({
    kind: 'conflict',
    code: 'too-many-connections',
  });
  held[0]?.socket.destroy();
  while (agent.server.connectionCount === 3) await new Promise(setImmediate);
  await expectServing();
});

test('calls beyond the cap of a connection are refused one by one', async () => {
  const gate = Promise.withResolvers<void>();
  await start(
    {
      'guest.start': async () => {
        await gate.promise;
        return fakeGuest();
      },
    },
    { calls: 2 },
  );
  const client = await raw();
  for (const id of [1, 2, 3]) client.send({ id, call: 'guest.start', input: { guest: 'a' } });
  expect((await client.lines(2))[1]).toMatchObject({ id: 3, error: { code: 'too-many-calls' } });
  gate.resolve();
  expect(await client.lines(4)).toMatchObject([{}, {}, { id: 1, result: {} }, { id: 2 }]);
});
