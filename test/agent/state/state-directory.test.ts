import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../../src/agent/state/database.ts';
import { openStateDirectory } from '../../../src/agent/state/directory.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'sojourn-state-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

it('makes a directory that only its owner can enter', async () => {
  const path = join(base, 'new', 'state');
  const directory = await openStateDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  directory.release();
});

it('closes a directory that others could read', async () => {
  chmodSync(base, 0o755);
  (await openStateDirectory(base)).release();
  expect(statSync(base).mode & 0o777).toBe(0o700);
});

it('lets one agent in at a time, and the next one after it', async () => {
  const first = await openStateDirectory(base);
  await expect(openStateDirectory(base)).rejects.toMatchObject({ code: 'state-in-use' });
  first.release();
  (await openStateDirectory(base)).release();
});

it('is free again after its agent was killed', async () => {
  const source = join(import.meta.dirname, '../../../src/agent/state/directory.ts');
  const script = `
    import { openStateDirectory } from ${JSON.stringify(source)};
    await openStateDirectory(${JSON.stringify(base)});
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  expect(signal).toBe('SIGKILL');
  (await openStateDirectory(base)).release();
});

it('refuses a directory of a newer version', async () => {
  (await openStateDirectory(base)).release();
  writeFileSync(join(base, 'version'), '99\n');
  await expect(openStateDirectory(base)).rejects.toMatchObject({ code: 'state-newer' });
});

it('refuses a path that is a file', async () => {
  const path = join(base, 'file');
  writeFileSync(path, '');
  await expect(openStateDirectory(path)).rejects.toMatchObject({ code: 'state-not-writable' });
});

it('refuses a database of a newer schema and a damaged one', () => {
  const path = join(base, 'state.db');
  openDatabase(path).close();
  const newer = new DatabaseSync(path);
  newer.exec('PRAGMA user_version = 99');
  newer.close();
  expect(() => openDatabase(path)).toThrow(/schema 99/);
  writeFileSync(path, 'this is no database'.repeat(500));
  expect(() => openDatabase(path)).toThrow(/cannot be opened/);
});
