import { expect, test } from 'vitest';
import {
  QmpClient,
  QmpClosedError,
  QmpError,
  type QmpLogEntry,
  QmpProtocolError,
  QmpTimeoutError,
} from '../../src/guest/index.ts';
import { FakeQmp } from './fake-qmp.ts';

test('negotiates oob, runs a command and returns its value', async () => {
  await using fake = await FakeQmp.listen((server, command) =>
    server.result(command, { status: 'running' }),
  );
  const client = await QmpClient.connect(fake.path);
  expect(await client.execute('query-status')).toEqual({ status: 'running' });
  expect(fake.commands[0]).toMatchObject({ arguments: { enable: ['oob'] } });
  expect(fake.commands[1]).toMatchObject({ execute: 'query-status' });
  expect(fake.commands[1]).not.toHaveProperty('arguments');
});

test('an answer in several pieces, and several answers in one piece, both arrive', async () => {
  await using fake = await FakeQmp.listen((server, command) => {
    if (command.execute === 'one') return;
    const [first, second] = server.commands.slice(1);
    const text = `{"return": 1, "id": ${first?.id}}\r\n{"return": 2, "id": ${second?.id}}\r\n`;
    server.raw(text.slice(0, 9));
    setImmediate(() => server.raw(text.slice(9)));
  });
  const client = await QmpClient.connect(fake.path);
  expect(await Promise.all([client.execute('one'), client.execute('two')])).toEqual([1, 2]);
});

test('a refused command fails with QEMU’s class and words, and the connection goes on', async () => {
  await using fake = await FakeQmp.listen((server, command) => {
    if (command.execute !== 'bad') return server.result(command, {});
    server.raw(
      `{"id": ${command.id}, "error": {"class": "GenericError", "desc": "no such disk"}}\r\n`,
    );
  });
  const client = await QmpClient.connect(fake.path);
  const error = await client.execute('bad').catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(QmpError);
  expect(error).toMatchObject({ errorClass: 'GenericError', description: 'no such disk' });
  expect(await client.execute('good')).toEqual({});
});

test('calls and waits that are pending fail when QEMU dies; later ones fail at once', async () => {
  await using fake = await FakeQmp.listen();
  const client = await QmpClient.connect(fake.path);
  const outcomes = Promise.allSettled([
    client.execute('stop', undefined, { timeoutMs: Infinity }),
    client.executeOob('yank'),
    client.waitFor('STOP', () => true, { timeoutMs: Infinity }),
  ]);
  await fake.received(3);
  fake.die();
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(QmpClosedError) });
  }
  await client.closed;
  expect(client.isClosed).toBe(true);
  await expect(client.execute('cont')).rejects.toBeInstanceOf(QmpClosedError);
  await expect(client.waitFor('RESUME')).rejects.toBeInstanceOf(QmpClosedError);
});

test('a deadline ends the call, its late answer is no protocol error', async () => {
  await using fake = await FakeQmp.listen((server, command) => {
    if (command.execute === 'late') return;
    const late = server.commands.find(({ execute }) => execute === 'late');
    server.raw(`{"return": "late", "id": ${late?.id}}\r\n`);
    server.result(command, 'fresh');
  });
  const client = await QmpClient.connect(fake.path);
  await expect(client.execute('late', {}, { timeoutMs: 5 })).rejects.toBeInstanceOf(
    QmpTimeoutError,
  );
  expect(await client.execute('next')).toBe('fresh');
});

test('an out-of-band command overtakes commands in band that hang, however many there are', async () => {
  await using fake = await FakeQmp.listen((server, command) => {
    if (command['exec-oob'] !== undefined) server.result(command, {});
  });
  const client = await QmpClient.connect(fake.path);
  const hanging = Array.from({ length: 20 }, () => client.execute('stop'));
  const ended = Promise.allSettled(hanging);
  await client.executeOob('yank', { instances: [] });
  const inBand = fake.commands.filter(({ execute }) => execute === 'stop');
  // QEMU itself stops reading at 8.
  expect(inBand.length).toBeLessThan(8);
  expect(fake.commands.at(-1)).toMatchObject({ 'exec-oob': 'yank' });
  client.close();
  expect((await ended).every(({ status }) => status === 'rejected')).toBe(true);
});

test('commands beyond the in-flight limit go out as answers come in', async () => {
  await using fake = await FakeQmp.listen((server, command) => server.result(command, command.id));
  const client = await QmpClient.connect(fake.path);
  const calls = Array.from({ length: 40 }, (_, at) => client.execute('nth', { at }));
  expect(new Set(await Promise.all(calls)).size).toBe(40);
});

test('MIGRATION_PASS is counted and dropped, other events reach listeners and waits', async () => {
  await using fake = await FakeQmp.listen((server, command) => {
    for (let pass = 1; pass <= 1000; pass += 1) server.event('MIGRATION_PASS', { pass });
    server.event('MIGRATION', { status: 'active' });
    server.event('MIGRATION', { status: 'completed' });
    server.result(command, {});
  });
  const log: QmpLogEntry[] = [];
  const client = await QmpClient.connect(fake.path, { log: (entry) => log.push(entry) });
  const seen: string[] = [];
  const stop = client.on('*', ({ event, data }) => seen.push(`${event} ${data.status}`));
  const completed = client.waitFor('MIGRATION', ({ data }) => data.status === 'completed');
  await client.execute('migrate');
  expect((await completed).timeMs).toBe(1700000000250);
  expect(seen).toEqual(['MIGRATION active', 'MIGRATION completed']);
  expect(client.migrationPasses).toBe(1000);
  expect(log.filter(({ line }) => line.includes('MIGRATION_PASS'))).toEqual([]);
  expect(log.map(({ direction }) => direction)).toContain('sent');
  expect(log.every(({ timeMs }) => Math.abs(timeMs - Date.now()) < 60_000)).toBe(true);
  stop();
  await client.execute('migrate');
  expect(seen).toHaveLength(2);
});

test('a wait ends by its deadline and by its signal', async () => {
  await using fake = await FakeQmp.listen();
  const client = await QmpClient.connect(fake.path);
  await expect(client.waitFor('STOP', undefined, { timeoutMs: 5 })).rejects.toBeInstanceOf(
    QmpTimeoutError,
  );
  const controller = new AbortController();
  const wait = client.waitFor('STOP', undefined, { signal: controller.signal });
  controller.abort(new Error('changed my mind'));
  await expect(wait).rejects.toThrow('changed my mind');
});

test.each([
  ['a web server', 'HTTP/1.1 400 Bad Request'],
  ['JSON that is no greeting', '{"hello": 1}'],
  ['a line that never ends', 'x'.repeat(17 * 1024 * 1024)],
])('%s behind the socket is a protocol error', async (_, greeting) => {
  await using fake = await FakeQmp.listen(undefined, greeting);
  await expect(QmpClient.connect(fake.path)).rejects.toBeInstanceOf(QmpProtocolError);
});

test('a socket held by another client times out; one with nobody behind it is closed', async () => {
  await using fake = await FakeQmp.silent();
  await expect(QmpClient.connect(fake.path, { timeoutMs: 20 })).rejects.toBeInstanceOf(
    QmpTimeoutError,
  );
  await expect(QmpClient.connect('/nonexistent/qmp.sock')).rejects.toBeInstanceOf(QmpClosedError);
});

test('garbage after the greeting closes the connection and says so', async () => {
  await using fake = await FakeQmp.listen((server) => server.raw('}{\r\n'));
  const client = await QmpClient.connect(fake.path);
  await expect(client.execute('query-status')).rejects.toThrow('not JSON');
  expect(await client.closed).toBeInstanceOf(QmpProtocolError);
});
