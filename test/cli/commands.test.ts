import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Handlers } from '../../src/api/index.ts';
import {
  cloud,
  type DoubleAgent,
  fakeGuest,
  fakePlace,
  fakeStatus,
  startDouble,
} from '../api/double.ts';
import { CliProcess, jsonLines, runCli } from './run-cli.ts';

let agent: DoubleAgent;
/** What reached the agent. */
let calls: unknown[];
beforeEach(() => {
  calls = [];
});
afterEach(() => agent?.stop());

async function start(handlers: Partial<Handlers>): Promise<void> {
  agent = await startDouble(handlers);
}

const cli = (...args: string[]) => runCli([...args, '--state', agent.stateDirectory]);

const recording =
  <Output>(output: Output) =>
  async (input: unknown): Promise<Output> => {
    calls.push(input);
    return output;
  };

describe('guest', () => {
  test('create says what was made and gives the agent exactly what was asked for', async () => {
    await start({ 'guest.create': recording(fakeGuest({ state: stopped })) });
    const run = await cli(
      ...['guest', 'create', 'alpine', '--image', 'demo', '--memory', '1G', '--vcpus', '2'],
      ...['--overlay-limit', '4G', '--overlay', 'disk', '--accelerator', 'tcg'],
    );
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(/alpine is created.*192\.0\.2\.10/);
    expect(calls).toEqual([
      {
        name: 'alpine',
        image: 'demo',
        memoryMiB: 1024,
        vcpus: 2,
        overlayLimitBytes: 4 * 1024 ** 3,
        overlayStorage: 'disk',
        accelerator: 'tcg',
      },
    ]);
  });

  test('create leaves defaults to the agent', async () => {
    await start({ 'guest.create': recording(fakeGuest()) });
    expect(await cli('guest', 'create', 'alpine', '--image', 'demo')).toMatchObject({ code: 0 });
    expect(calls).toEqual([{ name: 'alpine', image: 'demo' }]);
  });

  test.each([
    [['start', 'alpine'], 'guest.start', { guest: 'alpine', fromCopy: false }],
    [['start', 'alpine', '--from-copy'], 'guest.start', { guest: 'alpine', fromCopy: true }],
    [['stop', 'alpine'], 'guest.stop', { guest: 'alpine', force: false }],
    [['stop', 'alpine', '--force'], 'guest.stop', { guest: 'alpine', force: true }],
    [
      ['limit', 'alpine', '512M'],
      'guest.limit',
      { guest: 'alpine', overlayLimitBytes: 512 * 1024 ** 2 },
    ],
  ] as const)('%s', async (args, call, input) => {
    await start({ [call]: recording(fakeGuest()) });
    const run = await cli('guest', ...args);
    expect(run).toMatchObject({ code: 0, stdout: 'alpine: running here\n' });
    expect(calls).toEqual([input]);
    const json = await cli('guest', ...args, '--json');
    expect(jsonLines(json.stdout)).toEqual([fakeGuest()]);
    const quiet = await cli('guest', ...args, '--quiet');
    expect(quiet).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('notices that have been true long enough are shown', async () => {
    const since = '2026-01-01T00:00:00.000Z';
    const tcg = { code: 'software-emulation', severity: 'warning', text: 'it is slow', since };
    const later = { ...tcg, text: 'not yet', showAfterMs: 1e15 };
    const guest = { ...fakeGuest(), notices: [tcg, later] } as never;
    await start({ 'guest.start': async () => guest });
    expect((await cli('guest', 'start', 'alpine')).stderr).toBe('warning: it is slow\n');
  });

  test('list is a table, JSON, or a hint', async () => {
    let guests = [fakeGuest(), fakeGuest({ name: 'work', state: elsewhere, overlay: null })];
    await start({ 'guest.list': async () => guests });
    const text = await cli('guest', 'list');
    expect(text.stdout.split('\n')).toEqual([
      'GUEST   ID            STATE         HOME ADDRESS  MEMORY   OVERLAY',
      'alpine  3f2b8c1e-58a  running here  192.0.2.10    512 MiB  3.15 MB of 1.07 GB (memory)',
      'work    3f2b8c1e-58a  on cloud      192.0.2.10    512 MiB  -',
      '',
    ]);
    expect(jsonLines((await cli('guest', 'list', '--json')).stdout)).toEqual([guests]);
    guests = [];
    expect(await cli('guest', 'ls')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/no guests/),
    });
  });

  test('show prints no control characters that another machine put into a name', async () => {
    const state = { ...elsewhere, place: { ...cloud, name: 'evil\u001b[2J\u202e' } };
    await start({ 'guest.show': async () => fakeGuest({ state }) });
    const run = await cli('guest', 'show', 'alpine');
    expect(run.stdout).toContain('state         on evil?[2J?\n');
  });

  test('delete does not ask when nobody is there to answer', async () => {
    await start({ 'guest.delete': recording({ guest: 'alpine' }) });
    expect(await cli('guest', 'delete', 'alpine')).toMatchObject({
      code: 0,
      stdout: 'alpine is deleted\n',
    });
    expect(calls).toEqual([{ guest: 'alpine', force: false }]);
  });

  test('recover explains, and acts when told', async () => {
    const answer = {
      guest: fakeGuest({ state: inDoubt }),
      explanation: 'cloud did not say whether it took alpine',
      choices: [{ action: 'keep-here', consequence: 'two may run' } as const],
      done: null,
    };
    await start({ 'guest.recover': recording(answer) });
    const run = await cli('guest', 'recover', 'alpine');
    expect(run.stdout).toContain('in doubt with cloud');
    expect(run.stdout).toContain('--keep-here: two may run');
    await cli('guest', 'recover', 'alpine', '--keep-here');
    expect(calls).toEqual([{ guest: 'alpine' }, { guest: 'alpine', action: 'keep-here' }]);
    const both = await cli('guest', 'recover', 'alpine', '--keep-here', '--give-up-here');
    expect(both.code).toBe(2);
    expect(calls).toHaveLength(2);
  });
});

describe('places', () => {
  test('are listed', async () => {
    await start({ 'place.list': async () => fakeStatus().places });
    const run = await cli('places');
    expect(run.stdout).toMatch(/^laptop .*this place/m);
    expect(run.stdout).toMatch(/^cloud .*connected +22 ms/m);
    expect(jsonLines((await cli('places', '--json')).stdout)).toEqual([fakeStatus().places]);
  });

  test('are forgotten', async () => {
    await start({ 'place.forget': recording(cloud) });
    expect(await cli('places', 'forget', 'cloud')).toMatchObject({ code: 0 });
    const json = await cli('places', 'forget', 'cloud', '--json');
    expect(jsonLines(json.stdout)).toEqual([cloud]);
    expect(calls).toEqual([{ place: 'cloud' }, { place: 'cloud' }]);
  });

  const made = {
    invite: 'sojourn1.abc',
    expiresAt: '2026-01-02T04:00:00.000Z',
    hosts: ['cloud.example', '2001:db8::1'],
    port: 7420,
  };

  test('invite prints the invite alone, and beside it who will be able to read what', async () => {
    await start({ 'place.invite': recording(made) });
    const run = await cli(
      'invite',
      '--host',
      'cloud.example',
      '--host',
      '2001:db8::1',
      '--ttl',
      '2h',
    );
    expect(run.stdout).toBe('sojourn1.abc\n');
    expect(run.stderr).toMatch(/owns this site can read the memory/);
    expect(run.stderr).toContain('cloud.example:7420, [2001:db8::1]:7420');
    expect(calls).toEqual([{ hosts: made.hosts, ttlSeconds: 7200 }]);
    const json = jsonLines((await cli('invite', '--json')).stdout);
    expect(json).toEqual([{ ...made, warning: expect.stringMatching(/read the memory/) }]);
  });

  test('pair passes the invite on', async () => {
    await start({ 'place.pair': recording(fakePlace()) });
    const run = await cli('pair', 'sojourn1.abc', '--name', 'cloud');
    expect(run).toMatchObject({ code: 0, stdout: 'paired with cloud\n' });
    expect(calls).toEqual([{ invite: 'sojourn1.abc', name: 'cloud' }]);
  });
});

describe('image', () => {
  const image = {
    name: 'demo',
    architecture: 'x86_64',
    boot: 'kernel',
    disks: [{ name: 'disk0', digest: 'ab'.repeat(32), virtualBytes: 1 << 26 }],
    bytes: 24_000_000,
    defaults: { memoryMiB: 256, vcpus: 1 },
  } as const;

  test('import resolves the path here and tells progress', async () => {
    await start({
      'image.import': async (input, { emit }) => {
        calls.push(input);
        emit({ bytesDone: 12_000_000, bytesTotal: 24_000_000 });
        return { ...image, disks: [...image.disks] };
      },
    });
    const run = await cli('image', 'import', 'some/folder');
    expect(run.stdout).toBe('demo is imported (24.0 MB)\n');
    expect(run.stderr).toBe('import: 12.0 MB of 24.0 MB\n');
    expect(calls).toEqual([{ path: join(process.cwd(), 'some/folder') }]);
  });

  test('list', async () => {
    await start({ 'image.list': async () => [{ ...image, disks: [...image.disks] }] });
    expect((await cli('image', 'list')).stdout).toMatch(/^demo +x86_64 +kernel +24\.0 MB/m);
  });
});

describe('status', () => {
  test('is for people, or JSON', async () => {
    await start({ status: async () => fakeStatus() });
    const run = await cli('status');
    expect(run.stdout).toMatch(/laptop \(device, a1a1.*agent 0\.1\.0-double.*QEMU 10\.0\.2 · tcg/);
    expect(run.stdout).toMatch(/^alpine .*running here/m);
    expect(run.stdout).toContain('datapath: pid 4712');
    expect(jsonLines((await cli('status', '--json')).stdout)).toEqual([fakeStatus()]);
  });

  test('--watch --json gives a line for each snapshot until Ctrl-C', async () => {
    const cancelled = Promise.withResolvers<void>();
    await start({
      'status.watch': (_input, { emit, signal }) => {
        emit(fakeStatus());
        emit(fakeStatus({ guests: [] }));
        return new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            cancelled.resolve();
            resolve({});
          }),
        );
      },
    });
    const args = ['status', '--watch', '--json', '--state', agent.stateDirectory];
    const run = new CliProcess(args);
    await run.printed('stdout', '"guests":[]');
    run.child.kill('SIGINT');
    const { code, stdout } = await run.finished;
    await cancelled.promise;
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([fakeStatus(), fakeStatus({ guests: [] })]);
  });

  test('finds the agent by SOJOURN_STATE and by XDG_STATE_HOME', async () => {
    await start({ status: async () => fakeStatus() });
    const state = agent.stateDirectory;
    expect((await runCli(['status'], { SOJOURN_STATE: state })).code).toBe(0);
    const elsewhere = await runCli(['status'], { XDG_STATE_HOME: state });
    expect(elsewhere).toMatchObject({
      code: 6,
      stderr: expect.stringContaining(`${state}/sojourn`),
    });
  });
});

test('stop waits until the agent is gone', async () => {
  let waitingClients = 0;
  await start({
    'agent.stop': async (input) => {
      calls.push(input);
      // Long enough for a command that does not wait to be gone.
      setTimeout(() => {
        waitingClients = agent.server.connectionCount;
        void agent.server.close();
      }, 200);
      return { guestsLeftRunning: ['alpine', 'work'] };
    },
  });
  expect(await cli('stop')).toMatchObject({
    code: 0,
    stdout: 'the agent has stopped; alpine and work go on\n',
  });
  expect(waitingClients).toBe(1);
  expect(calls).toEqual([{ guests: 'keep' }]);
});

const since = '2026-01-02T03:04:05.000Z';
const stopped = { kind: 'stopped', since } as const;
const elsewhere = { kind: 'elsewhere', since, place: cloud, there: 'running' } as const;
const inDoubt = {
  kind: 'in-doubt',
  since,
  handoffId: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
  with: cloud,
  explanation: 'the seal was sent and not answered',
} as const;
