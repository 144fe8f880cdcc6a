import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OpenVSwitchGateway } from '../../../src/gateway/index.ts';
import { OvsDatabase } from '../../../src/gateway/ovs/database.ts';
import { JsonStream } from '../../../src/gateway/ovs/json-stream.ts';

let directory: string;
let server: Server | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ovsdb-'));
});

afterEach(async () => {
  server?.close();
  await rm(directory, { recursive: true, force: true });
});

/** A server that answers every request with what `answer` makes of it; undefined for nothing. */
async function serve(answer: (request: { method: string; id: number }, socket: Socket) => unknown) {
  const path = join(directory, 'db.sock');
  server = createServer((socket) => {
    const requests = new JsonStream(1e6);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      for (const one of requests.push(`${data}`)) {
        const request = one as { method: string; id: number };
        const result = answer(request, socket);
        if (result !== undefined)
          socket.write(JSON.stringify({ id: request.id, result, error: null }));
      }
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return path;
}

test('no server: what is missing, and what to do', async () => {
  await expect(OvsDatabase.connect(join(directory, 'nothing'))).rejects.toMatchObject({
    ...{ kind: 'requirement', code: 'ovs-not-running' },
    remedy: expect.stringContaining('openvswitch-switch'),
  });
});

test('an operation that is refused comes with the server’s own words', async () => {
  const path = await serve(() => [{}, { error: 'constraint violation', details: 'name "x"' }]);
  const database = await OvsDatabase.connect(path);
  await expect(database.transact([{ op: 'x' }])).rejects.toMatchObject({
    code: 'ovs-refused',
    message: expect.stringContaining('name "x"'),
  });
  database.close();
});

test('requests under way fail when the connection ends, and so do later ones', async () => {
  const path = await serve((_, socket) => {
    socket.destroy();
    return undefined;
  });
  const database = await OvsDatabase.connect(path);
  await expect(database.select('Bridge')).rejects.toMatchObject({ code: 'ovs-connection-lost' });
  await expect(database.select('Bridge')).rejects.toMatchObject({ code: 'ovs-connection-lost' });
  expect(await database.closed).toMatchObject({ code: 'ovs-connection-lost' });
});

test.each(['nonsense', '{"method":5}'])(
  'a server that sends something else is left (%#)',
  async (text) => {
    const path = await serve((_, socket) => {
      socket.write(text);
      return undefined;
    });
    const database = await OvsDatabase.connect(path);
    await expect(database.select('Bridge')).rejects.toMatchObject({ code: 'ovs-connection-lost' });
  },
);

test('an echo of the server’s is answered', async () => {
  const answered = Promise.withResolvers<string>();
  const path = await serve((request, socket) => {
    if (request.method !== 'transact') answered.resolve(JSON.stringify(request));
    else socket.write('{"method":"echo","params":["hi"],"id":"e"}');
    return request.method === 'transact' ? [{ rows: [] }] : undefined;
  });
  const database = await OvsDatabase.connect(path);
  await database.select('Bridge');
  expect(JSON.parse(await answered.promise)).toMatchObject({ id: 'e', result: ['hi'] });
  database.close();
});

test('a database that takes the configuration while nobody carries it out', async () => {
  const rows = [{ cur_cfg: 1, next_cfg: 2 }];
  const path = await serve(({ method }) =>
    method === 'monitor' ? {} : [{ rows }, {}, {}, {}, {}, {}, {}],
  );
  let now = 0;
  const gateway = new OpenVSwitchGateway({
    database: path,
    settings: {
      ...{ name: 'gw', datapathId: '00000000000000a1', datapathType: 'netdev' as const },
      ...{ failMode: 'secure' as const, controllers: [], ports: [] },
    },
    clock: {
      now: () => now,
      after: (ms: number, call: () => void) => {
        now += ms;
        const timer = setImmediate(call);
        return () => clearImmediate(timer);
      },
    },
  });
  await expect(gateway.start()).rejects.toMatchObject({ code: 'ovs-idle' });
});
