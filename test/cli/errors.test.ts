import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Handlers } from '../../src/api/index.ts';
import { type ErrorKind, SojournError } from '../../src/common/index.ts';
import { type DoubleAgent, fakeGuest, startDouble } from '../api/double.ts';
import { CliProcess, jsonLines, runCli } from './run-cli.ts';

let agent: DoubleAgent;
afterEach(() => agent?.stop());

async function start(handlers: Partial<Handlers>): Promise<void> {
  agent = await startDouble(handlers);
}

const cli = (...args: string[]) => runCli([...args, '--state', agent.stateDirectory]);

describe('errors', () => {
  const kinds: [ErrorKind, number][] = [
    ['internal', 1],
    ['usage', 2],
    ['not-found', 3],
    ['conflict', 4],
    ['requirement', 5],
    ['unreachable', 6],
    ['refused', 7],
    ['cancelled', 8],
  ];
  test.each(kinds)('of kind %s exit with %i, one line on standard error', async (kind, code) => {
    const error = { kind, code: 'some-code', message: 'it failed\nbadly', remedy: 'Do this' };
    await start({ 'guest.list': () => Promise.reject(new SojournError(error)) });
    const run = await cli('guest', 'list');
    expect(run).toEqual({
      code,
      signal: null,
      stdout: '',
      stderr: 'sojourn: it failed badly. Do this.\n',
    });
    const json = await cli('guest', 'list', '--json');
    expect(jsonLines(json.stdout)).toEqual([{ error: { ...error, message: 'it failed badly' } }]);
    expect(json.code).toBe(code);
  });

  test.each([
    ['no agent', ['status', '--state', '/nonexistent'], 6, /^sojourn: No agent is running/],
    ['an unknown option', ['status', '--wacth'], 2, /Unknown option.*See "sojourn status --help"/],
    ['an unknown command', ['hand-off', 'x'], 2, /Unknown command.*See "sojourn --help"/],
    ['a missing argument', ['guest', 'start'], 2, /See "sojourn guest start --help"/],
    ['a missing option', ['guest', 'create', 'x'], 2, /--image.*sojourn guest create --help/],
    ['a bad choice', ['agent', '--profile', 'phone'], 2, /phone.*device, site/],
    ['a bad size', ['guest', 'limit', 'x', 'lots'], 2, /"lots" is not a size/],
    ['a bad count', ['guest', 'create', 'x', '--image', 'i', '--vcpus', 'two'], 2, /"two"/],
    ['no destination', ['handoff', 'x'], 2, /--to PLACE/],
    ['a bad time', ['invite', '--ttl', 'soon'], 2, /"soon" is not a time/],
    ['a bad prefix', ['agent', '--profile', 'site', '--hoa6', '2001:db8::/64'], 2, /48 to 56/],
    ['a site option', ['agent', '--profile', 'device', '--tap', 'tap0'], 2, /--tap is for sites/],
  ])('%s', async (_name, args, code, text) => {
    const run = await runCli(args);
    expect(run.stdout).toBe('');
    expect(run.stderr).toMatch(text);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(run.code).toBe(code);
  });

  test('an agent of another version is told apart', async () => {
    await start({});
    const odd = createServer((socket) => {
      socket.end('{"sojourn":"api","protocol":99,"version":"7.0.0","pid":1}\n');
    });
    await agent.server.close();
    odd.listen(agent.socketPath);
    await once(odd, 'listening');
    const run = await cli('status');
    odd.close();
    expect(run).toMatchObject({ code: 5, stderr: expect.stringMatching(/7\.0\.0.*sojourn stop/) });
  });
});

test('--help shows the commands and the exit codes', async () => {
  const { code, stdout } = await runCli(['--help']);
  expect(code).toBe(0);
  for (const word of [
    'agent',
    'guest',
    'handoff',
    'places',
    'status',
    'invite',
    'pair',
    'doctor',
  ]) {
    expect(stdout).toMatch(new RegExp(`^  ${word}\\b`, 'm'));
  }
  expect(stdout).toMatch(/Exit codes:\n {2}0 .*\n {2}1 /);
});

test('a reader that goes away is no error', async () => {
  const guests = Array.from({ length: 1000 }, () => fakeGuest());
  await start({ 'guest.list': async () => guests });
  const run = new CliProcess(['guest', 'list', '--json', '--state', agent.stateDirectory]);
  run.child.stdout.destroy();
  expect(await run.finished).toMatchObject({ code: 0, stderr: '' });
});
