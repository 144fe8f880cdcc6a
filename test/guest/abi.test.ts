import { expect, test } from 'vitest';
import { freezeAbi, migratability } from '../../src/guest/index.ts';
import { displayOf, guestAbi, hasClipboard } from '../../src/guest/spec.ts';
import { sampleFirmware, sampleQemu } from './samples.ts';

const options = {
  qemu: sampleQemu(),
  accelerator: 'tcg',
  boot: { kind: 'bios' },
  firmware: [],
  disks: [],
  vcpus: 1,
  memoryMiB: 256,
} as const;

test('freezes the newest versioned machine type, a named CPU and a local MAC', () => {
  const { abi, migratability: able } = freezeAbi(options);
  expect(abi).toMatchObject({ machine: 'pc-q35-10.0', cpu: 'Nehalem', architecture: 'x86_64' });
  expect(abi.mac).toMatch(/^52:54:00:/);
  expect(freezeAbi(options).abi.mac).not.toBe(abi.mac);
  expect(able).toEqual({ migratable: true });
});

test('takes a wanted machine type and CPU if they are there', () => {
  const wanted = {
    ...options,
    machine: 'pc-q35-9.2',
    cpu: 'Westmere,+aes',
    mac: '52:54:00:01:02:03',
  };
  expect(freezeAbi(wanted).abi).toMatchObject({ machine: 'pc-q35-9.2', cpu: 'Westmere,+aes' });
  expect(() => freezeAbi({ ...options, machine: 'pc-q35-11.0' })).toThrow(
    /no machine type pc-q35-11.0/,
  );
  expect(() => freezeAbi({ ...options, cpu: 'EPYC' })).toThrow(/cannot run the CPU model EPYC/);
  const bare = sampleQemu({ machines: ['none'] });
  expect(() => freezeAbi({ ...options, qemu: bare })).toThrow(/no machine type for x86_64/);
});

test('a UEFI guest keeps the size of its firmware, and cannot be made where there is none', () => {
  const uefi = { ...options, boot: { kind: 'uefi' } } as const;
  const other = { codeBytes: 1, variablesBytes: 2 };
  expect(freezeAbi({ ...uefi, firmware: [sampleFirmware, other] }).abi.boot).toEqual({
    kind: 'uefi',
    firmware: sampleFirmware,
  });
  expect(() => freezeAbi(uefi)).toThrow(/no UEFI firmware/);
});

test('a guest has a display only when it is wanted, with a clipboard, and then is of version 3', () => {
  expect(freezeAbi(options).abi).toMatchObject({ version: 1 });
  const { abi } = freezeAbi({ ...options, display: 'vga' });
  expect(abi).toMatchObject({ version: 3, display: 'vga', clipboard: 'vdagent' });
  expect([displayOf(abi), displayOf(freezeAbi(options).abi)]).toEqual(['vga', undefined]);
  const blind = sampleQemu({ displays: [] });
  expect(() => freezeAbi({ ...options, qemu: blind, display: 'vga' })).toThrow(/a screen/);
  expect(guestAbi.safeParse({ ...abi, display: undefined }).success).toBe(false);
  // One that was created before there were clipboards goes on without one.
  const { clipboard: _, ...older } = { clipboard: '', ...abi, version: 2 };
  expect([abi, guestAbi.parse(older)].map(hasClipboard)).toEqual([true, false]);
});

test.each([
  ['x86_64', 'tcg', [10, 0, 2], true],
  ['aarch64', 'tcg', [9, 2, 0], true],
  ['x86_64', 'kvm', [9, 2, 0], true],
  ['x86_64', 'tcg', [8, 2, 0], false],
  ['aarch64', 'kvm', [10, 0, 2], false],
  ['x86_64', 'whpx', [10, 0, 2], false],
  ['x86_64', 'hvf', [10, 0, 2], false],
] as const)('%s under %s on QEMU %j: migratable %s', (architecture, accelerator, version, can) => {
  const verdict = migratability(architecture, accelerator, version);
  expect(verdict.migratable).toBe(can);
  if (!verdict.migratable) expect(verdict.obstacle).toMatch(/[a-z]$/i);
});
