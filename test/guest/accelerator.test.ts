import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AcceleratorOptions, chooseAccelerator } from '../../src/guest/index.ts';
import { sampleQemu } from './samples.ts';

let directory: string;
let options: AcceleratorOptions;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'accelerator-'));
  await writeFile(join(directory, 'kvm'), '');
  options = {
    qemu: sampleQemu({ binary: await fakeQemu('exit 3') }),
    cacheFile: join(directory, 'state', 'kvm.json'),
    probeKernel: '/boot/vmlinuz',
    timeoutMs: 5_000,
    device: join(directory, 'kvm'),
    hostKernel: '6.1.0',
    now: () => new Date('2026-01-02T03:04:05Z'),
  };
});
afterEach(() => rm(directory, { recursive: true }));

async function fakeQemu(text: string): Promise<string> {
  const path = join(directory, 'qemu');
  await writeFile(path, `#!/bin/sh\necho run >> ${join(directory, 'runs')}\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

async function runs(): Promise<number> {
  const text = await readFile(join(directory, 'runs'), 'utf8').catch(() => '');
  return text.split('\n').length - 1;
}

test('KVM that boots a kernel is used, and tried once', async () => {
  await fakeQemu('echo "Kernel panic - not syncing: VFS: Unable to mount root fs"; exec sleep 60');
  const first = await chooseAccelerator(options);
  expect(first).toMatchObject({
    accelerator: 'kvm',
    kvm: { present: true, opens: true, boots: true },
  });
  expect(first.kvm.reason).toMatch(/opens and booted a kernel in \d+ ms$/);
  expect(await chooseAccelerator(options)).toEqual(first);
  expect(await runs()).toBe(1);
});

test('KVM that hangs in the kernel is told as that', async () => {
  await fakeQemu('echo "Linux version 6.1"; exec sleep 60');
  const verdict = await chooseAccelerator({ ...options, timeoutMs: 100 });
  expect(verdict).toMatchObject({ accelerator: 'tcg', kvm: { opens: true, boots: false } });
  expect(verdict.kvm.reason).toMatch(/kvm opens, but did not boot a kernel within 0.1 s$/);
  expect((await chooseAccelerator(options)).accelerator).toBe('tcg');
  expect(await runs()).toBe(1);
});

test.each([
  ['another host kernel', { hostKernel: '6.2.0' }],
  ['another QEMU', { qemu: undefined }],
  ['a wish to know anew', { refresh: true }],
])('%s makes it try again', async (_, change) => {
  await chooseAccelerator(options);
  const qemu = { ...options.qemu, version: [10, 1, 0] as const };
  await chooseAccelerator({ ...options, ...change, qemu: 'qemu' in change ? qemu : options.qemu });
  expect(await runs()).toBe(2);
});

test('a verdict that cannot be read is made again', async () => {
  await chooseAccelerator(options);
  await writeFile(options.cacheFile, '{"accelerator":');
  expect(await chooseAccelerator(options)).toMatchObject({ accelerator: 'tcg' });
  expect(await runs()).toBe(2);
});

test('without a device, a right, a build or a kernel nothing is tried or remembered', async () => {
  const reasonOf = async (change: Partial<AcceleratorOptions>) => {
    const { accelerator, kvm } = await chooseAccelerator({ ...options, ...change });
    expect(accelerator).toBe('tcg');
    expect(kvm.boots).toBeNull();
    return kvm.reason;
  };
  expect(await reasonOf({ device: join(directory, 'nothing') })).toMatch(/is not there$/);
  expect(await reasonOf({ device: directory })).toMatch(/is there, but does not open: EISDIR$/);
  const withoutKvm = sampleQemu({ accelerators: ['tcg'] });
  expect(await reasonOf({ qemu: withoutKvm })).toMatch(/was built without KVM$/);
  const { probeKernel: _, ...withoutKernel } = options;
  const verdict = await chooseAccelerator(withoutKernel);
  expect(verdict.kvm).toMatchObject({ boots: null, reason: expect.stringContaining('no kernel') });
  expect(await runs()).toBe(0);
  await expect(readFile(options.cacheFile)).rejects.toMatchObject({ code: 'ENOENT' });
});
