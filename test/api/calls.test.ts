import { stat } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiClient, ApiServer, type Handlers } from '../../src/api/index.ts';
import { SojournError } from '../../src/common/index.ts';
import {
  type DoubleAgent,
  fakeGuest,
  fakeHandlers,
  fakeProgress,
  fakeResult,
  fakeStatus,
  startDouble,
} from './double.ts';

let agent: DoubleAgent;
const clients: ApiClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await agent?.stop();
});

async function connected(handlers: Partial<Handlers>): Promise<ApiClient> {
  agent = await startDouble(handlers);
  return another();
}

async function another(): Promise<ApiClient> {
  const client = await ApiClient.connect(agent.socketPath);
  clients.push(client);
  return client;
}

describe('calls', () => {
  test('carry input with its defaults, and output', async () => {
    const inputs: unknown[] = [];
    const client = await connected({
      'guest.stop': async (input) => {
        inputs.push(input);
        return fakeGuest();
      },
    });
    expect(await client.call('guest.stop', { guest: 'alpine' })).toEqual(fakeGuest());
    expect(inputs).toEqual([{ guest: 'alpine', force: false }]);
  });

  test('run side by side and are answered as they end', async () => {
    const first = Promise.withResolvers<void>();
    const client = await connected({
      'guest.start': async () => {
        await first.promise;
        return fakeGuest({ name: 'slow' });
      },
      'guest.list': async () => [],
    });
    const slow = client.call('guest.start', { guest: 'alpine' });
    expect(await client.call('guest.list', {})).toEqual([]);
    first.resolve();
    expect((await slow).name).toBe('slow');
  });

  test('pass a SojournError on as it is', async () => {
    const error = {
      kind: 'requirement',
      code: 'qemu-missing',
      message: 'QEMU is not installed',
      remedy: 'Install qemu-system-x86',
    } as const;
    const client = await connected({
      'guest.start': () => Promise.reject(new SojournError(error)),
    });
    const caught = await client.call('guest.start', { guest: 'a' }).catch((e: unknown) => e);
    expect(caught).toBeInstanceOf(SojournError);
    expect(caught).toMatchObject(error);
  });

  test('pass anything else that is thrown on as internal', async () => {
    const client = await connected({
      'guest.list': () => {
        throw new TypeError('x is not a function');
      },
    });
    await expect(client.call('guest.list', {})).rejects.toMatchObject({
      kind: 'internal',
      code: 'internal',
      message: 'x is not a function',
    });
  });

  test('answer invalid input with what is wrong with it', async () => {
    const client = await connected({ 'guest.create': async () => fakeGuest() });
    const bad = client.call('guest.create', { name: 'alpine', image: 'demo', vcpus: 0 });
    await expect(bad).rejects.toMatchObject({ kind: 'usage', code: 'input-invalid' });
    await expect(bad).rejects.toThrow('A guest has from 1 to 64 processors');
    const unknown = client.call('guest.list', { surprise: 1 } as never);
    await expect(unknown).rejects.toThrow(/surprise/);
  });

  test('never pass a malformed answer on', async () => {
    const client = await connected({
      'guest.show': async () => ({ ...fakeGuest(), epoch: -1 }),
    });
    await expect(client.call('guest.show', { guest: 'a' })).rejects.toThrow(/guest.show.*epoch/);
  });

  test('answer with an error when the answer exceeds the line cap', async () => {
    const many = Array.from({ length: 4000 }, () => fakeGuest());
    const client = await connected({ 'guest.list': async () => many });
    await expect(client.call('guest.list', {})).rejects.toMatchObject({ code: 'answer-too-large' });
  });
});

describe('streams', () => {
  test('give items in order, then the result', async () => {
    const client = await connected({
      'handoff.start': async (_input, { emit }) => {
        emit(fakeProgress({ phase: 'preflight' }));
        emit(fakeProgress({ phase: 'memory' }));
        return fakeResult();
      },
    });
    const seen: string[] = [];
    const result = await client.call(
      'handoff.start',
      { guest: 'alpine', to: 'cloud' },
      { onItem: ({ phase }) => seen.push(phase) },
    );
    expect(seen).toEqual(['preflight', 'memory']);
    expect(result).toEqual(fakeResult());
  });

  test('a cancelled call settles with what really happened', async () => {
    const client = await connected({
      'handoff.start': (_input, { signal, emit }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(fakeResult({ pauseMs: 5 })));
          emit(fakeProgress({ phase: 'seal' }));
        }),
    });
    const abort = new AbortController();
    const result = await client.call(
      'handoff.start',
      { guest: 'alpine', to: 'cloud' },
      { signal: abort.signal, onItem: () => abort.abort() },
    );
    expect(result.pauseMs).toBe(5);
  });

  test('a signal aborted beforehand cancels at once', async () => {
    const client = await connected({
      'status.watch': (_input, { signal }) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))),
    });
    const signal = AbortSignal.abort();
    expect(await client.call('status.watch', {}, { signal })).toEqual({});
  });

  test('a watcher that disconnects ends its call; a handoff goes on', async () => {
    const watchEnded = Promise.withResolvers<void>();
    const handoff = Promise.withResolvers<AbortSignal>();
    const client = await connected({
      'status.watch': (_input, { signal, emit }) => {
        emit(fakeStatus());
        return new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            watchEnded.resolve();
            resolve({});
          }),
        );
      },
      'handoff.start': (_input, { signal }) => {
        handoff.resolve(signal);
        return new Promise(() => {});
      },
    });
    const watch = client.call('status.watch', {});
    const moving = client.call('handoff.start', { guest: 'alpine', to: 'cloud' });
    const signal = await handoff.promise;
    client.close();
    await expect(watch).rejects.toMatchObject({ code: 'client-closed' });
    await expect(moving).rejects.toMatchObject({ code: 'client-closed' });
    await watchEnded.promise;
    expect(signal.aborted).toBe(false);
  });
});

describe('the server', () => {
  test('keeps its socket from other users', async () => {
    agent = await startDouble();
    expect((await stat(agent.socketPath)).mode & 0o777).toBe(0o600);
    expect((await stat(agent.stateDirectory)).mode & 0o777).toBe(0o700);
  });

  test('refuses to start where another agent answers, which goes on', async () => {
    const client = await connected({ 'guest.list': async () => [] });
    const second = ApiServer.listen({
      path: agent.socketPath,
      version: '0',
      handlers: fakeHandlers(),
    });
    await expect(second).rejects.toMatchObject({ kind: 'conflict', code: 'agent-running' });
    expect(await client.call('guest.list', {})).toEqual([]);
    expect(await (await another()).call('guest.list', {})).toEqual([]);
  });

  test('answers the calls under way when it closes', async () => {
    const started = Promise.withResolvers<void>();
    const client = await connected({
      'guest.start': (_input, { signal }) => {
        started.resolve();
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () =>
            reject(new SojournError({ kind: 'cancelled', code: 'stopping', message: 'it stops' })),
          ),
        );
      },
    });
    const call = client.call('guest.start', { guest: 'alpine' });
    await started.promise;
    await agent.server.close();
    await expect(call).rejects.toMatchObject({ code: 'stopping' });
    expect((await client.closed).code).toBe('agent-gone');
    await expect(client.call('guest.list', {})).rejects.toMatchObject({ code: 'agent-gone' });
    await expect(stat(agent.socketPath)).rejects.toThrow(/ENOENT/);
  });
});
