/** What this place can offer to a guest that wants to come. */
import { readFile, statfs } from 'node:fs/promises';
import type { AcceleratorVerdict } from './accelerator.ts';
import type { PlaceCapabilities } from './compatibility.ts';
import { memoryRoom } from './disks/index.ts';
import { findFirmware } from './firmware.ts';
import type { QemuCapabilities } from './probe.ts';

export interface PlaceOptions {
  readonly qemu: QemuCapabilities;
  readonly verdict: Pick<AcceleratorVerdict, 'accelerator'>;
  /** Where overlays on disk are kept. */
  readonly diskDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export async function readPlaceCapabilities(options: PlaceOptions): Promise<PlaceCapabilities> {
  const { qemu, verdict } = options;
  const memoryAvailableMiB = await readMemoryAvailableMiB();
  const { bavail, bsize } = await statfs(options.diskDirectory);
  const tmpfs = await memoryRoom(options.environment);
  const firmware = await findFirmware(qemu.architecture);
  return {
    architecture: qemu.architecture,
    qemuVersion: [...qemu.version],
    machines: [...qemu.machines],
    cpus: [...qemu.cpus],
    cpuFeatures: [...qemu.cpuFeatures],
    accelerators: verdict.accelerator === 'kvm' ? ['kvm', 'tcg'] : ['tcg'],
    displays: [...qemu.displays],
    firmware: firmware.map(({ codeBytes, variablesBytes }) => ({ codeBytes, variablesBytes })),
    memoryAvailableMiB,
    overlayRoomBytes: {
      // A tmpfs promises more than the host has.
      memory: Math.min(tmpfs, memoryAvailableMiB * 1024 ** 2),
      disk: bavail * bsize,
    },
  };
}

/** MemAvailable of /proc/meminfo: what new programs can have without swapping (proc_meminfo(5)). */
async function readMemoryAvailableMiB(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(text);
  return Math.floor(Number(match?.[1] ?? 0) / 1024);
}
