import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakePlace, fakeStatus, startDouble } from '../api/double.ts';
import { jsonLines, runCli } from './run-cli.ts';

interface Report {
  readonly ok: boolean;
  readonly checks: readonly { id: string; status: string; text: string; remedy?: string }[];
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sojourn-doctor-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** With nothing on PATH but what the test put there, and no remembered verdict. */
function bare(...args: string[]) {
  const env = { PATH: directory, XDG_CACHE_HOME: join(directory, 'cache') };
  return runCli(['doctor', '--no-kernel', ...args], env);
}

const find = (stdout: string, id: string) =>
  (jsonLines(stdout)[0] as Report).checks.find((check) => check.id === id);

test('without QEMU says what to install, and exits with the code of a requirement', async () => {
  const run = await bare('--json', '--state', join(directory, 'state'));
  expect(run.code).toBe(5);
  expect(jsonLines(run.stdout)).toMatchObject([{ ok: false }]);
  expect(find(run.stdout, 'qemu')).toMatchObject({
    status: 'fail',
    remedy: expect.stringMatching(/install/i),
  });
  expect(find(run.stdout, 'agent')).toMatchObject({ status: 'warn' });
  const text = await bare('--state', join(directory, 'state'));
  expect(text.stdout).toMatch(/^fail {2}qemu: /m);
  expect(text.stdout).toMatch(/^warn {2}ip: the ip command is missing/m);
  expect(text.stderr).toBe('');
});

test('with a QEMU that is too old says so', async () => {
  const qemu = join(directory, 'qemu-system-x86_64');
  await writeFile(qemu, '#!/bin/sh\necho "QEMU emulator version 7.2.0 (Debian)"\n');
  await chmod(qemu, 0o755);
  await symlink('/bin/sh', join(directory, 'sh'));
  const run = await bare('--json', '--state', join(directory, 'state'));
  expect(run.code).toBe(5);
  expect(find(run.stdout, 'qemu')).toMatchObject({
    status: 'fail',
    text: expect.stringMatching(/7\.2\.0/),
  });
});

test('with an agent asks it about the places', async () => {
  const places = [fakePlace(), fakePlace({ name: 'far', connected: false })];
  const agent = await startDouble({ status: async () => fakeStatus({ places }) });
  const run = await bare('--json', '--state', agent.stateDirectory);
  await agent.stop();
  expect(find(run.stdout, 'agent')).toMatchObject({
    status: 'warn',
    text: expect.stringMatching(/0\.1\.0-double/),
  });
  expect(find(run.stdout, 'place-cloud')).toMatchObject({ status: 'ok' });
  expect(find(run.stdout, 'place-far')).toMatchObject({ status: 'warn' });
});

test('leaves nothing behind', async () => {
  const state = join(directory, 'state');
  await bare('--state', state);
  const again = await bare('--json', '--state', state);
  expect(find(again.stdout, 'state-directory')?.text).toMatch(/can be made/);
});
