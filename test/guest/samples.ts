import type { PlaceCapabilities, QemuCapabilities } from '../../src/guest/index.ts';

/** A build of 4 MiB. */
export const sampleFirmware = { codeBytes: 3_653_632, variablesBytes: 540_672 };

export function sampleQemu(change: Partial<QemuCapabilities> = {}): QemuCapabilities {
  return {
    binary: 'qemu-system-x86_64',
    architecture: 'x86_64',
    version: [10, 0, 2],
    machines: ['none', 'q35', 'pc-q35-9.2', 'pc-q35-10.0', 'pc-q35-2.12', 'pc-i440fx-10.0'],
    cpus: ['Nehalem', 'Westmere', 'qemu64'],
    cpuFeatures: ['aes', 'sse4.2'],
    cpuAccelerator: 'tcg',
    accelerators: ['tcg', 'kvm'],
    displays: ['vga'],
    ...change,
  };
}

export function samplePlace(change: Partial<PlaceCapabilities> = {}): PlaceCapabilities {
  const qemu = sampleQemu();
  return {
    architecture: 'x86_64',
    qemuVersion: [10, 0, 2],
    machines: [...qemu.machines],
    cpus: [...qemu.cpus],
    cpuFeatures: [...qemu.cpuFeatures],
    accelerators: ['tcg'],
    displays: ['vga'],
    firmware: [sampleFirmware],
    memoryAvailableMiB: 4096,
    overlayRoomBytes: { memory: 1024 ** 3, disk: 1024 ** 3 },
    ...change,
  };
}
