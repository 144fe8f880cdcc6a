import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  GuestProcess,
  memoryDirectory,
  readPlaceCapabilities,
  trimConsoleLog,
} from '../../src/guest/index.ts';
import { launchDetached, memoryKept } from '../../src/guest/launch.ts';
import { identifyProcess, isRunning, signalProcess } from '../../src/guest/process-identity.ts';
import { tinySpec } from '../lab/tiny-guest.ts';
import { sampleQemu } from './samples.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp('/dev/shm/host-');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

test('a process is known by its start, not by its number', async () => {
  const child = spawn('sleep', ['60']);
  const identity = await identifyProcess(child.pid ?? 0);
  if (identity === undefined) throw new Error('not found');
  expect(await isRunning(identity)).toBe(true);
  const later = { ...identity, startTicks: identity.startTicks + 1 };
  expect(await signalProcess(later, 'SIGKILL')).toBe(false);
  expect(await signalProcess(identity, 'SIGKILL')).toBe(true);
  await once(child, 'exit');
  expect(await isRunning(identity)).toBe(false);
  expect(await signalProcess(identity, 'SIGKILL')).toBe(false);
});

test('with a user manager the process is started as a scope of it', async () => {
  const fake = join(directory, 'systemd-run');
  // As systemd-run --scope does: registers itself, then becomes the program.
  await writeFile(
    fake,
    '#!/bin/sh\necho "$*"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n',
  );
  await chmod(fake, 0o755);
  vi.stubEnv('PATH', `${directory}${delimiter}${process.env.PATH}`);
  const logFile = join(directory, 'log');
  const { ended } = await launchDetached({
    binary: 'echo',
    args: ['started'],
    logFile,
    unit: 'sojourn-guest-1',
    launcher: 'user-scope',
  });
  expect(await ended).toMatchObject({ code: 0 });
  const [asked, said] = (await readFile(logFile, 'utf8')).split('\n');
  expect(asked).toMatch(/^--user --scope .*--unit=sojourn-guest-1 -- echo started$/);
  expect(said).toBe('started');
});

test('a program that is not there ends with the system’s error', async () => {
  const logFile = join(directory, 'log');
  const options = { binary: '/nowhere', args: [], logFile, unit: 'x', launcher: 'setsid' as const };
  expect(await (await launchDetached(options)).ended).toMatchObject({ errorCode: 'ENOENT' });
});

test('a directory too deep for sockets is refused before anything is started', async () => {
  const deep = join(directory, 'x'.repeat(100));
  const runtime = { binary: 'qemu', directory: deep, disks: [], netSocket: '/n', incoming: false };
  await expect(GuestProcess.start(tinySpec(), runtime)).rejects.toMatchObject({
    code: 'socket-path-too-long',
  });
  await expect(stat(deep)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('overlays in memory go to a directory of our own', async () => {
  const environment = { XDG_RUNTIME_DIR: directory };
  const found = await memoryDirectory({ environment, requiredBytes: 1024 });
  expect(found.path).toBe(join(directory, 'sojourn-overlays'));
  expect((await stat(found.path)).mode & 0o777).toBe(0o700);
  expect(found.freeBytes).toBeGreaterThan(1024);
  // A second time it is found as it is.
  expect((await memoryDirectory({ environment, requiredBytes: 1024 })).path).toBe(found.path);
  await chmod(found.path, 0o755);
  await expect(memoryDirectory({ environment, requiredBytes: 1 })).rejects.toMatchObject({
    code: 'overlay-directory-unsafe',
  });
});

test('what is not a tmpfs is passed over, and no room anywhere is told', async () => {
  const onDisk = await mkdtemp(join(tmpdir(), 'disk-'));
  const options = { environment: { XDG_RUNTIME_DIR: onDisk }, sharedDirectory: directory };
  const found = await memoryDirectory({ ...options, requiredBytes: 1 });
  expect(found.path).toBe(join(directory, `sojourn-${process.getuid?.()}`));
  await expect(memoryDirectory({ ...options, requiredBytes: 2 ** 60 })).rejects.toMatchObject({
    code: 'overlay-memory-short',
  });
  await rm(onDisk, { recursive: true });
});

test('overlays are put only where they stay when the user logs out', async () => {
  expect(memoryKept(false, 'setsid')).toBe('all');
  expect(memoryKept(true, 'user-scope')).toBe('all');
  expect(memoryKept(true, 'system-scope')).toBe('shared');
  expect(memoryKept(true, 'setsid')).toBe('none');
  const login = { environment: { XDG_RUNTIME_DIR: '/run/user/1000' }, requiredBytes: 1 };
  await expect(memoryDirectory({ ...login, kept: 'none' })).rejects.toMatchObject({
    code: 'overlay-memory-unsafe',
  });
  // One of the user's own choice, elsewhere.
  const found = await memoryDirectory({ ...login, kept: 'shared', sharedDirectory: directory });
  expect(found.path).toBe(join(directory, `sojourn-${process.getuid?.()}`));
});

test('a place tells what it has', async () => {
  const kvm = { present: true, opens: true, boots: true, reason: 'works' };
  const verdict = {
    accelerator: 'kvm' as const,
    kvm,
    checkedAt: '2026-01-01T00:00:00Z',
    hostKernel: '6.1',
    qemuVersion: '10.0.2',
  };
  const place = await readPlaceCapabilities({
    qemu: sampleQemu(),
    verdict,
    diskDirectory: directory,
    environment: { XDG_RUNTIME_DIR: directory },
  });
  expect(place.accelerators).toEqual(['kvm', 'tcg']);
  expect(place.memoryAvailableMiB).toBeGreaterThan(100);
  expect(place.overlayRoomBytes.memory).toBeGreaterThan(0);
  expect(place.overlayRoomBytes.memory).toBeLessThanOrEqual(place.memoryAvailableMiB * 1024 ** 2);
});

test('a console log is cut to its end, and not before it is long', async () => {
  const log = join(directory, 'console.log');
  await writeFile(log, `${'x'.repeat(1000)}end`);
  expect(await trimConsoleLog(log, 2000)).toBe(false);
  expect(await trimConsoleLog(log, 500)).toBe(true);
  expect(await readFile(log, 'utf8')).toBe('');
  expect(await readFile(`${log}.1`, 'utf8')).toMatch(/xend$/);
});
