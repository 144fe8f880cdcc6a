import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { judgeAgent, judgePlaces } from '../../src/agent/doctor/agent.ts';
import {
  judgeClock,
  judgeMemory,
  judgeNode,
  judgeOverlayMemory,
  judgeSession,
} from '../../src/agent/doctor/machine.ts';
import { judgeIp, judgeTun } from '../../src/agent/doctor/network.ts';
import { judgeAccelerator } from '../../src/agent/doctor/qemu.ts';
import { checkState, judgeState, type StateReading } from '../../src/agent/doctor/state.ts';
import { findProbeKernel } from '../../src/agent/guests/probe-kernel.ts';
import { fakePlace, laptop } from '../api/double.ts';

const GIB = 1024 ** 3;

test.each([
  ['24.0.0', 'ok'],
  ['26.1.0', 'ok'],
  ['22.18.0', 'fail'],
  ['9.0.0', 'fail'],
])('Node %s: %s', (version, status) => expect(judgeNode(version).status).toBe(status));

test.each([
  [8 * GIB, 'ok'],
  [0.9 * GIB, 'warn'],
  [0.2 * GIB, 'fail'],
])('%d bytes of memory: %s', (bytes, status) => expect(judgeMemory(bytes).status).toBe(status));

test.each([
  [8 * GIB, 'ok'],
  [0.2 * GIB, 'warn'],
  [0, 'warn'],
])('%d bytes of tmpfs: %s', (bytes, status) => {
  expect(judgeOverlayMemory(bytes).status).toBe(status);
});

describe('the clock', () => {
  const built = Date.UTC(2025, 0, 1);
  test.each([
    ['synchronised', built + 1, true, 'ok'],
    ['nobody tells', built + 1, undefined, 'ok'],
    ['not synchronised', built + 1, false, 'warn'],
    ['before the program was made', built - 1, true, 'fail'],
  ])('%s', (_name, now, synchronised, status) => {
    expect(judgeClock(now, built, synchronised).status).toBe(status);
  });
});

describe('log-out', () => {
  const user = { root: false, logind: true, userManager: true, lingers: true };
  test.each([
    ['a lingering user', {}, 'ok'],
    ['a user who does not linger', { lingers: false }, 'warn'],
    ['no user manager', { userManager: false, lingers: false }, 'warn'],
    ['root', { root: true, lingers: false }, 'ok'],
    ['a system without logind', { logind: false, userManager: false, lingers: false }, 'ok'],
  ])('%s', (_name, over, status) => {
    expect(judgeSession({ ...user, ...over }).status).toBe(status);
  });
});

describe('what only sites need', () => {
  test.each([
    ['tun opens', undefined, undefined, 'ok'],
    ['no tun, profile unknown', 'ENOENT', undefined, 'warn'],
    ['no tun at a site', 'EACCES', 'site', 'warn'],
    ['no tun at a device', 'ENOENT', 'device', 'ok'],
  ] as const)('%s', (_name, error, profile, status) => {
    expect(judgeTun(error, profile).status).toBe(status);
  });
  test.each([
    ['all there', { version: 'iproute2-6', netAdmin: true }, 'site', 'ok'],
    ['no ip command', { version: undefined, netAdmin: true }, 'site', 'warn'],
    ['no permission', { version: 'iproute2-6', netAdmin: false }, undefined, 'warn'],
    ['no permission at a device', { version: 'iproute2-6', netAdmin: false }, 'device', 'ok'],
  ] as const)('%s', (_name, reading, profile, status) => {
    expect(judgeIp(reading, profile).status).toBe(status);
  });
});

describe('KVM', () => {
  const present = { present: true, opens: true, boots: true, reason: 'it booted a kernel' };
  test.each([
    ['proven', {}, 'ok'],
    ['opens but boots nothing', { boots: false }, 'warn'],
    ['not tried', { boots: null }, 'warn'],
    ['does not open', { opens: false, boots: null }, 'warn'],
    ['missing', { present: false, opens: false, boots: null }, 'warn'],
  ])('%s', (_name, over, status) => {
    const check = judgeAccelerator({ ...present, ...over });
    expect(check.status).toBe(status);
    expect(check.text).toContain('it booted a kernel');
    expect(check.text.includes('software emulation is used')).toBe(status === 'warn');
  });
});

describe('the state directory', () => {
  const good: StateReading = {
    path: '/s',
    exists: true,
    writable: true,
    mode: 0o700,
    ownedByUs: true,
    version: '1',
    fileSystem: 0xef53,
    freeBytes: 100 * GIB,
  };
  test.each([
    ['as it should be', {}, 'ok', /\/s is writable, 100\.0 GiB free/],
    ['not there yet', { exists: false, mode: 0o755, version: undefined }, 'ok', /can be made/],
    ['not writable', { writable: false }, 'fail', /not writable/],
    ["another user's", { ownedByUs: false }, 'fail', /another user/],
    ['of a newer version', { version: '999' }, 'fail', /layout version 999/],
    ['of no version', { version: 'x' }, 'fail', /layout version x/],
    ['on tmpfs', { fileSystem: 0x01021994 }, 'fail', /lost at shutdown/],
    ['on SMB, whose magic is negative as int32', { fileSystem: 0xfe534d42 | 0 }, 'warn', /SMB/],
    ['full', { freeBytes: GIB / 4 }, 'fail', /only 256 MiB free/],
    ['almost full', { freeBytes: GIB }, 'warn', /1\.0 GiB free/],
    ['open to others', { mode: 0o755 }, 'warn', /mode 755/],
  ])('%s', (_name, over, status, text) => {
    const check = judgeState({ ...good, ...over });
    expect(check.status).toBe(status);
    expect(check.text).toMatch(text);
  });

  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sojourn-doctor-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test('is read from the real one', async () => {
    await writeFile(join(directory, 'version'), '999\n');
    expect(await checkState(directory)).toMatchObject({ status: 'fail' });
    await rm(join(directory, 'version'));
    await chmod(directory, 0o750);
    expect((await checkState(directory)).text).toMatch(/mode 750/);
    await chmod(directory, 0o700);
    expect((await checkState(join(directory, 'not', 'yet'))).text).toMatch(/can be made/);
  });

  test('is no file, and not below one', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    expect((await checkState(file)).text).toMatch(/not writable/);
    expect((await checkState(join(file, 'below'))).text).toMatch(/ENOTDIR/);
  });

  test('a kernel to prove KVM: the newest of the host, else the demo guest, else none', async () => {
    const boot = join(directory, 'boot');
    const images = join(directory, 'images');
    const demoGuest = join(directory, 'demo');
    await mkdir(boot);
    const find = () => findProbeKernel({ images, boot, demoGuest });
    expect(await find()).toBeUndefined();
    await writeFile(demoGuest, '');
    expect(await find()).toBe(demoGuest);
    for (const name of ['vmlinuz-6.9.0', 'vmlinuz-6.10.0', 'initrd.img-6.11.0']) {
      await writeFile(join(boot, name), '');
    }
    expect(await find()).toBe(join(boot, 'vmlinuz-6.10.0'));
  });
});

test('an agent of another version is a warning', () => {
  expect(judgeAgent({ version: '1', pid: 1 }, '1').status).toBe('ok');
  expect(judgeAgent({ version: '1', pid: 1 }, '2')).toMatchObject({
    status: 'warn',
    remedy: expect.stringMatching(/sojourn stop/),
  });
});

test('places are judged by their connection, and by who dials whom', () => {
  const checks = judgePlaces([
    fakePlace({ ...laptop, self: true, connected: false }),
    fakePlace(),
    fakePlace({ name: 'far', connected: false, lastSeenAt: null }),
    fakePlace({ name: 'phone', connected: false, endpoints: [] }),
  ]);
  expect(checks).toMatchObject([
    { id: 'place-cloud', status: 'ok' },
    { id: 'place-far', status: 'warn', remedy: expect.stringMatching(/cloud\.example:7420/) },
    { id: 'place-phone', status: 'warn', remedy: expect.stringMatching(/dials this place/) },
  ]);
});
