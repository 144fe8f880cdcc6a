/** On a real terminal, made by script(1) of util-linux. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import {
  type DoubleAgent,
  fakeProgress,
  fakeResult,
  fakeStatus,
  startDouble,
} from '../api/double.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

let agent: DoubleAgent;
let child: ChildProcessWithoutNullStreams | undefined;
afterEach(async () => {
  child?.kill('SIGKILL');
  await agent.stop();
});

/** Runs the command on a terminal; `screen` is all it has shown. */
function onTerminal(args: readonly string[]) {
  const words = [process.execPath, MAIN, ...args, '--state', agent.stateDirectory];
  // Without exec a shell stays in between, which Ctrl-C reaches too.
  const line = `exec ${words.map((word) => `'${word}'`).join(' ')}`;
  const process_ = spawn('script', ['-qefc', line, '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh' },
  });
  child = process_;
  const state = { screen: '' };
  process_.stdout.on('data', (data) => {
    state.screen += data;
  });
  return {
    ended: once(process_, 'close').then(([code]) => ({ code, screen: state.screen })),
    type: (keys: string) => process_.stdin.write(keys),
    shown: async (text: string) => {
      while (!state.screen.includes(text)) await once(process_.stdout, 'data');
    },
  };
}

test('progress is one line that is rewritten, and Ctrl-C cancels', async () => {
  agent = await startDouble({
    'handoff.start': (_input, { emit, signal }) => {
      emit(fakeProgress({ bytesDone: 1_000_000 }));
      emit(fakeProgress({ bytesDone: 2_000_000 }));
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve(fakeResult())),
      );
    },
  });
  const terminal = onTerminal(['handoff', 'alpine', '--to', 'cloud']);
  await terminal.shown('memory: 2.00 MB');
  terminal.type('\u0003');
  const { code, screen } = await terminal.ended;
  expect(code).toBe(0);
  expect(screen).toContain('\r\u001b[Kmemory: 1.00 MB of 200 MB');
  expect(screen).toContain('\r\u001b[Kmemory: 2.00 MB of 200 MB');
  expect(screen).toContain('cancelling the handoff');
  expect(screen).toContain('too late to cancel');
});

test('the console passes every key on but Ctrl-], which leaves', async () => {
  agent = await startDouble({
    'guest.console': async () => ({
      guest: 'alpine',
      socketPath: join(agent.stateDirectory, 'serial.sock'),
    }),
  });
  let received = '';
  const serial = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('login: ');
    socket.on('data', (data) => {
      received += data;
      socket.write(`<${data}>`);
    });
  }).listen(join(agent.stateDirectory, 'serial.sock'));
  await once(serial, 'listening');
  const terminal = onTerminal(['guest', 'console', 'alpine']);
  await terminal.shown('login: ');
  terminal.type('a\u0003b');
  await terminal.shown('<a\u0003b>');
  terminal.type('c\u001dd');
  const { code, screen } = await terminal.ended;
  serial.close();
  expect(code).toBe(0);
  expect(received).toBe('a\u0003bc');
  expect(screen).toContain('Ctrl-] leaves');
  expect(screen).toContain('alpine goes on without this console');
});

test('status --watch redraws in place, and Ctrl-C ends it', async () => {
  agent = await startDouble({
    'status.watch': (_input, { emit, signal }) => {
      emit(fakeStatus());
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve({})));
    },
  });
  const terminal = onTerminal(['status', '--watch']);
  await terminal.shown('datapath: pid 4712');
  terminal.type('\u0003');
  const { code, screen } = await terminal.ended;
  expect(code).toBe(0);
  expect(screen).toContain('\u001b[H\u001b[J');
});

test('delete asks, and takes silence and anything else for no', async () => {
  let deleted = 0;
  agent = await startDouble({
    'guest.delete': async () => {
      deleted += 1;
      return { guest: 'alpine' };
    },
  });
  for (const [answer, expectedCode, expected] of [
    ['\r', 8, 'Nothing was deleted'],
    ['yess\r', 8, 'Nothing was deleted'],
    ['\u0003', 8, 'Nothing was deleted'],
    ['\u0004', 8, 'Nothing was deleted'],
    ['y\r', 0, 'alpine is deleted'],
  ] as const) {
    const terminal = onTerminal(['guest', 'delete', 'alpine']);
    await terminal.shown('[y/N]');
    terminal.type(answer);
    const { code, screen } = await terminal.ended;
    expect(screen).toContain(expected);
    expect(code).toBe(expectedCode);
  }
  expect(deleted).toBe(1);
});
