/** What people are told when the agent cannot start, or when this machine lacks something. */
import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonLines } from '../cli/run-cli.ts';
import { changedQemu, ErrorsLab, expectReadable, type LabAgent } from './errors-lab.ts';

let lab: ErrorsLab;
beforeAll(async () => {
  lab = await ErrorsLab.create();
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

/** The agent ends, says why in one line, and leaves no process behind. */
async function refusesToStart(agent: LabAgent, code: number, line: RegExp, ...args: string[]) {
  const before = lab.processes('datapath/main.ts');
  const run = await agent.start(args);
  expect(run?.stderr).toMatch(line);
  expect(run?.code).toBe(code);
  expectReadable(run?.stderr ?? '');
  await expect.poll(() => lab.processes(agent.state)).toEqual([]);
  expect(lab.processes('datapath/main.ts')).toEqual(before);
}

describe('the state directory', () => {
  test('is not writable', async () => {
    const state = join(lab.directory, 'sealed');
    const agent = lab.device('sealed', { mounts: `mount -t tmpfs -o ro tmpfs ${state}` });
    await mkdir(state);
    await refusesToStart(
      agent,
      5,
      /^sojourn: The state directory \S+sealed cannot be used: its file system is read-only\. Make it writable for this user or name another one with --state DIR\.$/m,
    );
  });

  test('is not a directory', async () => {
    const agent = lab.device('file');
    await writeFile(agent.state, 'mine');
    await refusesToStart(
      agent,
      5,
      /The state directory \S+file cannot be used: it is not a directory\. .*--state DIR/,
    );
    expect(await readFile(agent.state, 'utf8')).toBe('mine');
  });

  test('has a path too long for sockets', async () => {
    const agent = lab.device(`${'long'.repeat(25)}`);
    await refusesToStart(
      agent,
      5,
      /The socket path \S+ has \d+ bytes, and the system allows \d+\. Choose a state directory with a shorter path \(--state\)/,
    );
    await expect(stat(agent.state)).rejects.toThrow('ENOENT');
  });

  test('is of a newer version', async () => {
    const agent = lab.device('newer');
    await mkdir(agent.state);
    await writeFile(join(agent.state, 'version'), '7\n');
    await refusesToStart(
      agent,
      5,
      /The state directory \S+newer has layout version 7, this Sojourn knows up to 1\. Run the newer Sojourn that wrote it, or name another directory with --state DIR/,
    );
    expect(await readFile(join(agent.state, 'version'), 'utf8')).toBe('7\n');
  });

  test('has a database of a newer version', async () => {
    const agent = lab.device('newer-database');
    await mkdir(agent.state);
    const path = join(agent.state, 'state.db');
    using database = new DatabaseSync(path);
    database.exec('CREATE TABLE precious (x); PRAGMA user_version = 99');
    await refusesToStart(
      agent,
      5,
      /The database \S+state.db has schema 99, .*Run the newer Sojourn/,
    );
    expect(database.prepare('SELECT count(*) AS n FROM precious').get()).toEqual({ n: 0 });
  });

  test('has an ownership journal that is damaged in the middle', async () => {
    const agent = lab.device('damaged');
    await mkdir(agent.state);
    const content = '{"type":"nonsense"}\n{"type":"more nonsense"}\n';
    await writeFile(join(agent.state, 'journal.jsonl'), content);
    await refusesToStart(
      agent,
      5,
      /Line 1 of the ownership journal \S+ cannot be read\. Restore the file from a backup; Sojourn does not guess who owns a guest/,
    );
    expect(await readFile(join(agent.state, 'journal.jsonl'), 'utf8')).toBe(content);
  });
});

test('a second agent on the same state directory leaves the first alone', async () => {
  const first = lab.device('first');
  expect(await first.start()).toBeUndefined();
  const second = lab.device('first');
  await refusesToStartBeside(second, first);
  expect(await first.ok('status')).toMatchObject({ agent: { pid: first.pid } });
  await first.ok('stop');
});

async function refusesToStartBeside(second: LabAgent, first: LabAgent) {
  const datapaths = lab.processes('datapath/main.ts');
  const run = await second.start();
  expect(run?.stderr).toMatch(
    /Another agent already uses the state directory \S+first\. Use that agent, stop it with "sojourn stop", or name another directory with --state DIR/,
  );
  expect(run?.code).toBe(4);
  expectReadable(run?.stderr ?? '');
  expect(lab.processes('datapath/main.ts')).toEqual(datapaths);
  expect(first.pid).toBeGreaterThan(0);
}

describe('a site', () => {
  test('whose port is in use', async () => {
    const holder = await lab.namespace.spawn(
      [process.execPath, '-e', `require('net').createServer().listen(7499,()=>console.log('up'))`],
      { stdout: 'pipe' },
    );
    if (holder.stdout !== null) await once(holder.stdout, 'data');
    await refusesToStart(
      lab.site('busy-port', {}, 7499),
      5,
      /Port 7499 of 127\.0\.0\.1 cannot be listened on: another program uses it\. Choose another with --listen, or stop what uses this one/,
    );
    holder.kill();
  });

  test('with home addresses of one family', async () => {
    const args = ['--profile', 'site', '--listen', '127.0.0.1:7498', '--hoa4', '10.9.0.0/24'];
    await refusesToStart(
      lab.agent('one-family', args),
      2,
      /needs a prefix of both families\. Give --hoa4 and --hoa6/,
    );
  });
});

describe('no agent', () => {
  test('runs for the state directory', async () => {
    const agent = lab.device('nobody');
    await agent.fails(['status'], {
      exit: 6,
      code: 'agent-not-running',
      line: /No agent is running for the state directory \S+nobody\. Start one with "sojourn agent --profile device", or name its directory with --state/,
    });
  });

  test('answers, something else does', async () => {
    const agent = lab.device('odd');
    await mkdir(agent.state);
    await using server = createServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\n'));
    server.listen(join(agent.state, 'agent.sock'));
    await once(server, 'listening');
    await agent.fails(['guest', 'list'], {
      exit: 6,
      code: 'not-an-agent',
      line: /What answers at \S+agent.sock is not a Sojourn agent\. Name the right directory with --state/,
    });
  });
});

describe('QEMU', () => {
  let agent: LabAgent;
  let image: string;
  beforeAll(async () => {
    agent = lab.site('qemu', {}, 7497);
    expect(await agent.start()).toBeUndefined();
    image = await lab.tinyImage();
    await agent.ok('image', 'import', image);
  });

  const create = ['guest', 'create', 'desk', '--image', 'tiny'];

  test('is missing: the agent runs, says so, and makes no guests', async () => {
    const args = ['--profile', 'site', '--listen', '127.0.0.1:7496'];
    const homes = ['--hoa4', '10.79.0.0/24', '--hoa6', '2001:db8:7900::/48'];
    const bare = lab.agent('bare', [...args, ...homes], { mounts: 'PATH=/nonexistent' });
    expect(await bare.start()).toBeUndefined();
    await bare.ok('image', 'import', image);
    const wanted = {
      exit: 5,
      code: 'qemu-missing',
      line: /qemu-system-x86_64 is not installed or not on the PATH\. Run "npm run setup", or install QEMU 9\.2 or newer/,
    };
    await bare.fails(create, wanted);
    expect(await bare.ok('guest', 'list')).toEqual([]);
    expect((await bare.cli('status')).stdout).toMatch(/no QEMU/);
    await bare.ok('stop', '--guests');
  });

  test('is too old', async () => {
    await agent.install('qemu-system-x86_64', '#!/bin/sh\necho "QEMU emulator version 7.2.13"\n');
    const wanted = {
      exit: 5,
      code: 'qemu-too-old',
      line: /qemu-system-x86_64 is QEMU 7\.2\.13, but 9\.2\.0 or newer is needed\. Run "npm run setup"/,
    };
    await agent.fails(create, wanted);
    expect(await agent.ok('guest', 'list')).toEqual([]);
    const doctor = await agent.cli('doctor', '--json', '--no-kernel');
    expect(doctor.code).toBe(5);
    const [report] = jsonLines(doctor.stdout) as [{ ok: boolean; checks: { id: string }[] }];
    expect(report.checks.find(({ id }) => id === 'qemu')).toMatchObject({
      status: 'fail',
      text: expect.stringMatching(/7\.2\.13/),
      remedy: expect.stringMatching(/npm run setup/),
    });
  });

  test('lacks a capability', async () => {
    await agent.install('qemu-system-x86_64', changedQemu({ hide: ['blockdev-reopen'] }));
    await agent.fails(create, {
      exit: 5,
      code: 'qemu-lacks-blockdev-reopen',
      line: /qemu-system-x86_64 \S+ was built without blockdev-reopen, which is needed to raise the limit of a disk overlay\. Install the QEMU package of your distribution instead of this build/,
    });
    expect(await agent.ok('guest', 'list')).toEqual([]);
    expect(lab.processes('-M none')).toEqual([]);
  });

  test('does not start at all', async () => {
    const script =
      '#!/bin/sh\necho "qemu: libslirp.so.0: cannot open shared object" >&2\nexit 127\n';
    await agent.install('qemu-system-x86_64', script);
    await agent.fails(create, {
      exit: 5,
      code: 'qemu-failed',
      line: /libslirp.*"sojourn doctor"/,
    });
  });
});
