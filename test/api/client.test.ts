import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiClient, ApiServer, PROTOCOL_VERSION } from '../../src/api/index.ts';
import { fakeHandlers } from './double.ts';

let directory: string;
let path: string;
let server: Server | undefined;
const sockets: Socket[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sojourn-client-'));
  path = join(directory, 'api.sock');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
  await rm(directory, { recursive: true, force: true });
});

/** Something at the socket that behaves as told. */
async function serve(onConnection: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(path);
  await once(server, 'listening');
}

const hello = (protocol: number) =>
  `${JSON.stringify({ sojourn: 'api', protocol, version: '9.9.9', pid: 1 })}\n`;

/** Answers the first request with these bytes. */
const answering = (protocol: number, answer: string) => (socket: Socket) => {
  socket.write(hello(protocol));
  socket.once('data', () => socket.write(answer));
};

describe('connecting', () => {
  test('where nobody listens', async () => {
    await expect(ApiClient.connect(path)).rejects.toMatchObject({
      kind: 'unreachable',
      code: 'agent-not-running',
    });
  });

  test('to a socket that a killed agent left, which a new agent then takes over', async () => {
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`,
    ]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(existsSync(path)).toBe(true);
    await expect(ApiClient.connect(path)).rejects.toMatchObject({ code: 'agent-not-running' });

    const agent = await ApiServer.listen({ path, version: '1', handlers: fakeHandlers() });
    const client = await ApiClient.connect(path);
    expect(client.greeting.version).toBe('1');
    client.close();
    await agent.close();
  });

  test('with a path that the system would cut off', async () => {
    await expect(ApiClient.connect(`/tmp/${'d'.repeat(120)}/api.sock`)).rejects.toMatchObject({
      code: 'socket-path-too-long',
    });
  });

  test('to something that says nothing', async () => {
    await serve(() => {});
    await expect(ApiClient.connect(path, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'agent-silent',
    });
  });

  test.each(['220 mail.example ESMTP\r\n', '{"hello":"there"}\n', '7\n'])(
    'to something else: %j',
    async (greeting) => {
      await serve((socket) => socket.write(greeting));
      await expect(ApiClient.connect(path)).rejects.toMatchObject({ code: 'not-an-agent' });
    },
  );

  test('to something that greets without end', async () => {
    await serve((socket) => socket.write('x'.repeat(2 << 20)));
    await expect(ApiClient.connect(path)).rejects.toMatchObject({ code: 'answer-malformed' });
  });

  test('to something that hangs up', async () => {
    await serve((socket) => socket.end());
    await expect(ApiClient.connect(path)).rejects.toMatchObject({ code: 'agent-gone' });
  });
});

describe('an agent of another protocol', () => {
  test('is named in the error of a call', async () => {
    await serve(answering(PROTOCOL_VERSION + 1, ''));
    const client = await ApiClient.connect(path);
    const call = client.call('status', {});
    await expect(call).rejects.toMatchObject({ kind: 'requirement', code: 'agent-version' });
    await expect(call).rejects.toThrow(/9\.9\.9/);
  });

  test('can still be stopped', async () => {
    await serve(answering(PROTOCOL_VERSION + 1, '{"id":1,"result":{"guestsLeftRunning":[]}}\n'));
    const client = await ApiClient.connect(path);
    expect(await client.call('agent.stop', {})).toEqual({ guestsLeftRunning: [] });
  });
});

describe('an answer that cannot be understood', () => {
  test.each([
    'garbage\n',
    '{"id":1}\n',
    '{"id":1,"result":{"not":"a list"}}\n',
    '{"id":1,"item":{}}\n',
    '{"id":1,"error":{"kind":"odd","code":"x","message":"y"}}\n',
  ])('%j fails the call', async (answer) => {
    await serve(answering(PROTOCOL_VERSION, answer));
    const client = await ApiClient.connect(path);
    await expect(client.call('guest.list', {})).rejects.toMatchObject({ code: 'answer-malformed' });
    client.close();
  });

  test('for a call nobody made is ignored', async () => {
    await serve(answering(PROTOCOL_VERSION, '{"id":5,"result":1}\n{"id":1,"result":[]}\n'));
    const client = await ApiClient.connect(path);
    expect(await client.call('guest.list', {})).toEqual([]);
    client.close();
  });
});

test('an agent that dies fails the calls under way', async () => {
  await serve((socket) => {
    socket.write(hello(PROTOCOL_VERSION));
    socket.once('data', () => socket.destroy());
  });
  const client = await ApiClient.connect(path);
  await expect(client.call('guest.list', {})).rejects.toMatchObject({
    kind: 'unreachable',
    code: 'agent-gone',
  });
});
