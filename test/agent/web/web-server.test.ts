import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { WebServer } from '../../../src/agent/web/index.ts';
import { noteFrame, pictureFrames } from '../../../src/api/index.ts';
import { SojournError } from '../../../src/common/index.ts';
import { type DoubleAgent, fakeInfo, startDouble } from '../../api/double.ts';

let agent: DoubleAgent;
let web: WebServer;
let directory: string;
let port: number;

/** Echoes what a viewer sends as a picture, after a note. */
async function screen(guest: string): Promise<Duplex> {
  if (guest !== SCREEN_ID)
    throw new SojournError({ kind: 'conflict', code: 'not-running', message: 'It is not running' });
  const [ours, theirs] = duplexPair();
  theirs.write(
    noteFrame({ kind: 'open', clipboard: false, place: { id: 'a'.repeat(64), name: 'here' } }),
  );
  theirs.on('data', (bytes) => {
    for (const frame of pictureFrames(bytes)) theirs.write(frame);
  });
  return ours;
}
const SCREEN_ID = '3f2b8c1e-58a4-4cdd-9b1b-0b9f3a1c2d4e';

beforeAll(async () => {
  agent = await startDouble({ 'agent.info': async () => fakeInfo() });
  directory = await mkdtemp(join(tmpdir(), 'sojourn-web-'));
  await mkdir(join(directory, 'assets'));
  await writeFile(join(directory, 'index.html'), '<!doctype html>');
  await writeFile(join(directory, 'assets', 'a-1.js'), 'export {};');
  await writeFile(join(directory, 'secret'), 'no type, not served');
  web = new WebServer({
    socketPath: agent.socketPath,
    screen,
    log: pino({ level: 'silent' }),
    directory,
  });
  port = Number(new URL((await web.open()).url).port);
});

afterAll(async () => {
  await web.close();
  await agent.stop();
  await rm(directory, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** `fetch` would not let a test forge Host and Origin. */
async function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  sent.end(body);
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, headers: response.headers, body: text };
}

const origin = () => `http://127.0.0.1:${port}`;

async function tokenOf(): Promise<string> {
  const { url } = await web.open();
  return new URLSearchParams(new URL(url).hash.slice(1)).get('token') ?? '';
}

async function redeem(token: string, headers: Record<string, string> = {}): Promise<Answer> {
  return ask('/session', {
    method: 'POST',
    headers: { Origin: origin(), 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ token }),
  });
}

async function enter(): Promise<{ cookie: string; key: string }> {
  const { headers, body } = await redeem(await tokenOf());
  const [cookie = ''] = headers['set-cookie'] ?? [];
  return { cookie: cookie.split(';')[0] ?? '', key: JSON.parse(body).key };
}

/** The first message, or the HTTP status that refused the WebSocket. */
async function attempt(headers: Record<string, string>, key: string): Promise<string | number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, ['sojourn.1', `sojourn-key.${key}`], {
    headers,
  });
  const end = Promise.withResolvers<string | number>();
  socket.on('message', (data) => end.resolve(data.toString()));
  socket.on('unexpected-response', (_request, response) => end.resolve(response.statusCode ?? 0));
  socket.on('error', end.reject);
  const result = await end.promise;
  socket.terminate();
  return result;
}

describe('files', () => {
  test('the page comes with a policy that trusts nobody else, and is not stored', async () => {
    const { status, headers, body } = await ask('/');
    expect([status, body]).toEqual([200, '<!doctype html>']);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
  });

  test('what is named by its content may be kept', async () => {
    const { status, headers } = await ask('/assets/a-1.js');
    expect(status).toBe(200);
    expect(headers['cache-control']).toContain('max-age');
  });

  test.each([
    '/secret',
    '/../secret',
    '/assets/../../etc/passwd',
    '/%2e%2e/etc/passwd',
    '//x',
    '//',
    'http://evil.example/',
  ])('%s is not there', async (path) => {
    expect((await ask(path)).status).toBe(404);
  });

  test('a page that is not built is an error that says so', async () => {
    const unbuilt = new WebServer({
      socketPath: agent.socketPath,
      screen,
      log: pino({ level: 'silent' }),
      directory: join(directory, 'none'),
    });
    await expect(unbuilt.open()).rejects.toMatchObject({ code: 'ui-not-built' });
  });
});

describe('another name of this host, or another page', () => {
  test.each(['evil.example', 'evil.example:80', '127.0.0.1', '127.0.0.1.evil.example'])(
    'Host %j is refused',
    async (host) => {
      expect((await ask('/', { headers: { Host: host } })).status).toBeGreaterThanOrEqual(400);
    },
  );

  test('a token is not taken from another origin, nor from a form', async () => {
    const token = await tokenOf();
    expect((await redeem(token, { Origin: 'http://evil.example' })).status).toBe(403);
    expect((await redeem(token, { Origin: 'null' })).status).toBe(403);
    expect((await redeem(token, { 'Content-Type': 'text/plain' })).status).toBe(403);
    expect((await redeem(token, { Host: `evil.example:${port}` })).status).toBe(403);
    expect((await redeem(token)).status).toBe(200);
  });
});

describe('session', () => {
  test('a token is traded once for a cookie that scripts cannot read, and a key', async () => {
    const token = await tokenOf();
    const first = await redeem(token);
    expect(first.status).toBe(200);
    expect(first.headers['set-cookie']?.[0]).toMatch(
      /^sojourn-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const second = await redeem(token);
    expect(second.status).toBe(401);
    expect(JSON.parse(second.body).error).toMatchObject({ code: 'link-used' });
  });

  test('it can be asked whether it lives', async () => {
    const { cookie, key } = await enter();
    const headers = { Cookie: cookie, Authorization: `Bearer ${key}` };
    expect((await ask('/session', { headers })).status).toBe(204);
    expect((await ask('/session', { headers: { Cookie: cookie } })).status).toBe(401);
  });

  test('a body that is too long or no token is refused', async () => {
    expect((await redeem('x'.repeat(5000))).status).toBe(400);
    const headers = { Origin: origin(), 'Content-Type': 'application/json' };
    expect((await ask('/session', { method: 'POST', headers, body: '{' })).status).toBe(400);
  });
});

describe('WebSocket', () => {
  test('cookie, key and origin together get the agent greeting', async () => {
    const { cookie, key } = await enter();
    const greeting = await attempt({ Cookie: cookie, Origin: origin() }, key);
    expect(JSON.parse(`${greeting}`)).toMatchObject({ sojourn: 'api', protocol: 1 });
  });

  test('anything less is refused', async () => {
    const { cookie, key } = await enter();
    const other = await enter();
    expect(await attempt({ Cookie: cookie }, key)).toBe(403);
    expect(await attempt({ Cookie: cookie, Origin: 'http://evil.example' }, key)).toBe(403);
    expect(
      await attempt({ Cookie: cookie, Origin: origin(), Host: `evil.example:${port}` }, key),
    ).toBe(403);
    expect(await attempt({ Origin: origin() }, key)).toBe(401);
    expect(await attempt({ Cookie: cookie, Origin: origin() }, 'wrong')).toBe(401);
    expect(await attempt({ Cookie: cookie, Origin: origin() }, other.key)).toBe(401);
  });

  async function connected(): Promise<WebSocket> {
    const { cookie, key } = await enter();
    const protocols = ['sojourn.1', `sojourn-key.${key}`];
    const headers = { Cookie: cookie, Origin: origin() };
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, { headers });
    await once(socket, 'message');
    expect(socket.protocol).toBe('sojourn.1');
    return socket;
  }

  async function said(socket: WebSocket): Promise<unknown> {
    const [data] = await once(socket, 'message');
    return JSON.parse(data.toString());
  }

  test('calls of the contract cross it; others and malformed ones do not', async () => {
    const socket = await connected();
    socket.send(JSON.stringify({ id: 1, call: 'agent.info', input: {} }));
    expect(await said(socket)).toMatchObject({ id: 1, result: { version: expect.any(String) } });
    socket.send(JSON.stringify({ id: 2, call: 'shell.exec', input: {} }));
    expect(await said(socket)).toMatchObject({ id: 2, error: { code: 'call-unknown' } });
    socket.send(JSON.stringify({ id: 3, call: 'agent.info', input: { more: 1 } }));
    expect(await said(socket)).toMatchObject({ id: 3, error: { code: 'input-invalid' } });
    socket.send('no JSON');
    expect(await said(socket)).toMatchObject({ error: { code: 'message-malformed' } });
    await once(socket, 'close');
  });

  test.each<[string, string | Buffer]>([
    ['two lines in one message', '{"id":1,"call":"agent.info","input":{}}\n{"id":2}'],
    ['bytes', Buffer.from([1, 2, 3])],
  ])('%s end it', async (_what, message) => {
    const socket = await connected();
    socket.send(message);
    const [code] = await once(socket, 'close');
    expect(code).toBe(1003);
  });

  test('a message above the cap ends it, and others go on', async () => {
    const other = await connected();
    const socket = await connected();
    socket.send(' '.repeat((1 << 20) + 1));
    const [code] = await once(socket, 'close');
    expect(code).toBe(1009);
    other.send(JSON.stringify({ id: 1, call: 'agent.info', input: {} }));
    expect(await said(other)).toMatchObject({ id: 1 });
    other.terminate();
  });
});

describe('the screen of a guest', () => {
  async function opened(path: string, origins = origin()) {
    const { cookie, key } = await enter();
    const protocols = ['sojourn.1', `sojourn-key.${key}`];
    const headers = { Cookie: cookie, Origin: origins };
    return new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers });
  }

  test('comes as binary messages, its notes as text', async () => {
    const socket = await opened(`/screen/${SCREEN_ID}`);
    const [note, noteIsBinary] = await once(socket, 'message');
    expect([JSON.parse(`${note}`).kind, noteIsBinary]).toEqual(['open', false]);
    socket.send(Buffer.from('RFB'));
    const [picture, pictureIsBinary] = await once(socket, 'message');
    expect([`${picture}`, pictureIsBinary]).toEqual(['RFB', true]);
    socket.send('text');
    const [code] = await once(socket, 'close');
    expect(code).toBe(1003);
  });

  test('that cannot be shown says why', async () => {
    const socket = await opened(`/screen/${SCREEN_ID.replace('3', '4')}`);
    const [note] = await once(socket, 'message');
    expect(JSON.parse(`${note}`)).toMatchObject({ kind: 'over', error: { code: 'not-running' } });
    await once(socket, 'close');
  });

  test('is for our own page and a session only', async () => {
    const foreign = await opened(`/screen/${SCREEN_ID}`, 'http://evil.example');
    const [error] = await once(foreign, 'error');
    expect(error.message).toContain('403');
    const url = `ws://127.0.0.1:${port}/screen/${SCREEN_ID}`;
    const without = new WebSocket(url, ['sojourn.1'], { headers: { Origin: origin() } });
    expect((await once(without, 'error'))[0].message).toContain('401');
  });
});

test('one port for all: another one is refused', async () => {
  await expect(web.open(port)).resolves.toMatchObject({ expiresAt: expect.any(String) });
  await expect(web.open(port === 2000 ? 2001 : 2000)).rejects.toMatchObject({
    code: 'ui-port-other',
  });
  const second = new WebServer({
    socketPath: agent.socketPath,
    screen,
    log: pino({ level: 'silent' }),
    directory,
  });
  await expect(second.open(port)).rejects.toMatchObject({ code: 'ui-port-in-use' });
  const { url } = await second.open();
  expect(new URL(url).port).not.toBe(`${port}`);
  await second.close();
});
