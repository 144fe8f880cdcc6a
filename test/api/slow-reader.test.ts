import { afterEach, describe, expect, test } from 'vitest';
import type { Handlers, Limits } from '../../src/api/index.ts';
import { MAX_CALLS } from '../../src/api/protocol.ts';
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

describe('a client that does not read', () => {
  test('is given only the newest item when it reads again', async () => {
    const filled = Promise.withResolvers<void>();
    const total = 3000;
    await start({
      'status.watch': async (_input, { emit }) => {
        for (let pid = 1; pid <= total; pid += 1) {
          emit(fakeStatus({ datapath: { running: false, reason: `snapshot ${pid}` } }));
        }
        filled.resolve();
        return new Promise(() => {});
      },
    });
    const client = await raw();
    await client.lines(1);
    client.socket.pause();
    client.send({ id: 1, call: 'status.watch', input: {} });
    await filled.promise;
    client.socket.resume();
    const seen: string[] = [];
    for (let count = 2; seen.at(-1) !== `snapshot ${total}`; count += 1) {
      const line = (await client.lines(count)).at(-1) as {
        item: { datapath: { reason: string } };
      };
      seen.push(line.item.datapath.reason);
    }
    expect(seen.length).toBeLessThan(total / 2);
  });

  test('is not read from while its answers wait, and gets them all in the end', async () => {
    let begun = 0;
    const big = Array.from({ length: 1000 }, () => fakeGuest());
    await start({
      'guest.list': async () => {
        begun += 1;
        return big;
      },
    });
    const client = await raw();
    await client.lines(1);
    client.socket.pause();
    for (let id = 1; id <= MAX_CALLS; id += 1) {
      client.send({ id, call: 'guest.list', input: {} });
      await new Promise(setImmediate);
    }
    expect(begun).toBeLessThan(MAX_CALLS);
    client.socket.resume();
    const answers = (await client.lines(MAX_CALLS + 1)).slice(1);
    expect(answers.every((answer) => Object.hasOwn(answer as object, 'result'))).toBe(true);
    expect(begun).toBe(MAX_CALLS);
  });

  test('is disconnected when too much waits for it all the same', async () => {
    const big = Array.from({ length: 1000 }, () => fakeGuest());
    await start({ 'guest.list': async () => big }, { outputBytes: 1 << 20 });
    const client = await raw();
    await client.lines(1);
    client.socket.pause();
    const burst = Array.from({ length: MAX_CALLS }, (_, index) => ({
      id: index + 1,
      call: 'guest.list',
      input: {},
    }));
    client.socket.write(burst.map((call) => `${JSON.stringify(call)}\n`).join(''));
    while (agent.server.connectionCount > 0) await new Promise(setImmediate);
    const another = await raw();
    another.send({ id: 1, call: 'guest.list', input: {} });
    expect(await another.lines(2)).toMatchObject([{}, { id: 1 }]);
  });
});
