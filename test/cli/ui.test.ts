import { afterAll, beforeAll, expect, test } from 'vitest';
import { SojournError } from '../../src/common/index.ts';
import { type DoubleAgent, startDouble } from '../api/double.ts';
import { runCli } from './run-cli.ts';

const url = 'http://127.0.0.1:4711/#token=abc';
let agent: DoubleAgent;
beforeAll(async () => {
  agent = await startDouble({
    'ui.open': async ({ port }) => {
      if (port === 4712)
        throw new SojournError({
          kind: 'conflict',
          code: 'ui-port-in-use',
          message: 'Port 4712 of this host is not free',
          remedy: 'Choose another with "sojourn ui --port", or leave it out',
        });
      return { url, expiresAt: '2026-01-02T03:04:05.000Z' };
    },
  });
});
afterAll(() => agent.stop());

const ui = (...args: string[]) =>
  runCli(['ui', ...args, '--state', agent.stateDirectory], {
    DISPLAY: undefined,
    WAYLAND_DISPLAY: undefined,
  });

test('the link alone is on standard output', async () => {
  expect(await ui('--no-open')).toMatchObject({ code: 0, stdout: `${url}\n`, stderr: '' });
});

test('without a display it says that no browser was opened', async () => {
  const { code, stdout, stderr } = await ui();
  expect([code, stdout]).toEqual([0, `${url}\n`]);
  expect(stderr).toContain('follow the link yourself');
});

test.each([
  ['x', 2, /"x" for --port is not a port. Give a number from 1024 to 65535/],
  ['80', 2, /The window is served on a port from 1024 to 65535/],
  ['4712', 4, /Port 4712 of this host is not free/],
] as const)('--port %s', async (port, code, line) => {
  const run = await ui('--no-open', '--port', port);
  expect(run.code).toBe(code);
  expect(run.stderr).toMatch(line);
});
