import { expect, test } from 'vitest';
import { compatibilityProblems, placeCapabilities } from '../../src/guest/index.ts';
import type { GuestAbi, GuestSpec } from '../../src/guest/spec.ts';
import { tinySpec } from '../lab/tiny-guest.ts';
import { sampleFirmware, samplePlace } from './samples.ts';

const UEFI: Partial<GuestAbi> = { boot: { kind: 'uefi', firmware: sampleFirmware } };
const SCREEN = { version: 2, display: 'vga' } as Partial<GuestAbi>;
const OTHER_FIRMWARE = { ...sampleFirmware, codeBytes: 4096 };
const options = { placeName: 'the site "cloud"' };

function specWith(abi: Partial<GuestAbi>, rest: Partial<GuestSpec> = {}): GuestSpec {
  const spec = tinySpec(rest);
  return { ...spec, abi: { ...spec.abi, ...abi } as GuestAbi };
}

test('a place like the one it was made at has no problems, and survives the wire', () => {
  const place = placeCapabilities.parse(JSON.parse(JSON.stringify(samplePlace())));
  expect(compatibilityProblems(tinySpec(), place, options)).toEqual([]);
});

test.each<[string, Partial<GuestAbi>, Parameters<typeof samplePlace>[0], string[]]>([
  ['another architecture', {}, { architecture: 'aarch64' }, ['architecture-differs']],
  ['KVM asked for', { accelerator: 'kvm' }, {}, ['accelerator-missing']],
  ['older QEMU than the machine type', {}, { qemuVersion: [9, 2, 1] }, ['qemu-too-old']],
  ['QEMU too old for anything', {}, { qemuVersion: [7, 2, 0] }, ['qemu-too-old']],
  ['machine type dropped', { machine: 'pc-q35-2.4' }, {}, ['machine-type-missing']],
  ['no such CPU', { cpu: 'EPYC' }, {}, ['cpu-model-missing']],
  ['a flag is missing', { cpu: 'Nehalem,+aes,+avx512f' }, {}, ['cpu-feature-missing']],
  ['flags not known there', { cpu: 'Nehalem,+avx512f' }, { cpuFeatures: [] }, []],
  ['a flag that is taken away', { cpu: 'Nehalem,-vmx' }, {}, []],
  ['little memory', {}, { memoryAvailableMiB: 300 }, ['memory-short']],
  ['no firmware', UEFI, { firmware: [] }, ['firmware-missing']],
  ['firmware of another size', UEFI, { firmware: [OTHER_FIRMWARE] }, ['firmware-differs']],
  ['one of several firmwares', UEFI, { firmware: [OTHER_FIRMWARE, sampleFirmware] }, []],
  ['no firmware, and none needed', {}, { firmware: [] }, []],
  ['a screen, and none to be had there', SCREEN, { displays: [] }, ['display-missing']],
  ['no screen, and none needed', {}, { displays: [] }, []],
  ['no overlay room', {}, { overlayRoomBytes: { memory: 0, disk: 1e12 } }, ['disk-short']],
  ['not migratable', { accelerator: 'whpx' }, { accelerators: ['whpx'] }, ['not-migratable']],
])('%s', (_, abi, place, codes) => {
  const problems = compatibilityProblems(specWith(abi), samplePlace(place), options);
  expect(problems.map(({ code }) => code)).toEqual(codes);
});

test('all problems are told at once, each with the place and what to do', () => {
  const spec = specWith({ accelerator: 'kvm', cpu: 'EPYC', memoryMiB: 8192 });
  const place = samplePlace({ qemuVersion: [9, 2, 0] });
  const problems = compatibilityProblems(spec, place, options);
  expect(problems.map(({ code }) => code)).toEqual([
    'qemu-too-old',
    'accelerator-missing',
    'cpu-model-missing',
    'memory-short',
  ]);
  for (const { message, remedy } of problems) {
    expect(message).toContain('the site "cloud"');
    expect(message).not.toMatch(/\.$/);
    expect(remedy).toMatch(/^[A-Z]/);
  }
});

test('overlays in memory count as memory; what they hold now can stand for their limit', () => {
  const spec = tinySpec({ overlayLimitBytes: 1024 ** 3 });
  const place = samplePlace({ memoryAvailableMiB: 600 });
  expect(compatibilityProblems(spec, place, options).map(({ code }) => code)).toEqual([
    'memory-short',
  ]);
  expect(compatibilityProblems(spec, place, { ...options, overlayBytes: 1024 ** 2 })).toEqual([]);
  expect(compatibilityProblems({ ...spec, overlayStorage: 'disk' }, place, options)).toEqual([]);
  expect(compatibilityProblems(spec, place, { ...options, memoryReserved: true })).toEqual([]);
});
