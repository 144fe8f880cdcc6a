import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type DoubleAgent, startDouble } from '../api/double.ts';
import { CliProcess, runCli } from './run-cli.ts';

let agent: DoubleAgent;
afterEach(() => agent.stop());

describe('console', () => {
  async function serveConsole(onInput: (socket: Socket, data: Buffer) => void): Promise<Server> {
    agent = await startDouble({
      'guest.console': async () => ({
        guest: 'alpine',
        socketPath: join(agent.stateDirectory, 'serial.sock'),
      }),
    });
    const serial = createServer((socket) => {
      socket.write('login: ');
      socket.on('data', (data) => onInput(socket, data as Buffer));
      socket.on('error', () => {});
    });
    serial.listen(join(agent.stateDirectory, 'serial.sock'));
    await once(serial, 'listening');
    return serial;
  }

  test('bridges standard input and output until the guest ends it', async () => {
    const serial = await serveConsole((socket, data) => socket.end(`hello ${data}`));
    const run = new CliProcess(['guest', 'console', 'alpine', '--state', agent.stateDirectory]);
    await run.printed('stdout', 'login: ');
    // Not the escape key: that is one on a terminal only.
    run.child.stdin.write('ro\u001dot');
    const { code, stdout, stderr } = await run.finished;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'login: hello ro\u001dot' });
    expect(stderr).toContain('the console of alpine ended');
    serial.close();
  });

  test('goes on showing after its input has ended, until it is interrupted', async () => {
    const serial = await serveConsole((socket, data) => socket.write(`hello ${data}`));
    const run = new CliProcess(['guest', 'console', 'alpine', '--state', agent.stateDirectory]);
    run.child.stdin.end('root');
    await run.printed('stdout', 'hello root');
    run.child.kill('SIGINT');
    const { code, stderr } = await run.finished;
    expect(code).toBe(0);
    expect(stderr).toContain('alpine goes on without this console');
    serial.close();
  });

  test('says why when the socket is gone', async () => {
    const serial = await serveConsole(() => {});
    serial.close();
    await once(serial, 'close');
    expect(
      await runCli(['guest', 'console', 'alpine', '--state', agent.stateDirectory]),
    ).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/console cannot be reached/),
    });
  });
});
