/**
 * Whether a place can run a guest: pure, so that both ends and both directions use the same rules. All problems
 * are found at once.
 */
import { z } from 'zod';
import { machineVersion, splitCpu } from './abi.ts';
import { FIRMWARE_REMEDY, isSameFirmwareSize } from './firmware.ts';
import { migratability } from './migratability.ts';
import { compareVersions, MINIMUM_QEMU, versionText } from './probe.ts';
import { accelerator, displayOf, firmwareSize, type GuestSpec } from './spec.ts';

/** What a place tells about itself before a handoff. Crosses the peer protocol. */
export const placeCapabilities = z.object({
  architecture: z.enum(['x86_64', 'aarch64']),
  qemuVersion: z.tuple([z.int(), z.int(), z.int()]),
  machines: z.array(z.string().max(64)).max(1000),
  /** Models usable in full under each accelerator in `accelerators`. */
  cpus: z.array(z.string().max(64)).max(2000),
  /** Empty: not known. */
  cpuFeatures: z.array(z.string().max(64)).max(2000),
  /** Accelerators proven to work. */
  accelerators: z.array(accelerator).max(8),
  /** Screens that guests can have there; older places have none. */
  displays: z.array(z.string().max(16)).max(8).default([]),
  /** UEFI firmware that is installed. */
  firmware: z.array(firmwareSize).max(32),
  /** Memory that a new guest may take, MiB. */
  memoryAvailableMiB: z.int().nonnegative(),
  /** Room for overlays in memory and on disk, bytes. */
  overlayRoomBytes: z.object({ memory: z.int().nonnegative(), disk: z.int().nonnegative() }),
});
export type PlaceCapabilities = z.infer<typeof placeCapabilities>;

export interface Problem {
  /** Stable, kebab-case. */
  readonly code: string;
  /** One sentence without a full stop, naming the place. */
  readonly message: string;
  readonly remedy: string;
}

export interface CompatibilityOptions {
  /** How the place is called in the messages: `the site "cloud"`. */
  readonly placeName: string;
  /** Bytes the overlays take now; the whole limit is assumed unless given. */
  readonly overlayBytes?: number;
  /** The guest runs there already, or its memory there stays reserved for it: do not count memory again. */
  readonly memoryReserved?: boolean;
}

/** What QEMU needs beside the guest's memory, MiB: about 60 for itself, under TCG 256 for translated code. */
export function memoryOverheadMiB(acceleratorName: string): number {
  return acceleratorName === 'tcg' ? 320 : 64;
}

/** Everything that keeps `spec` from running at the place; empty if nothing does. */
export function compatibilityProblems(
  spec: Pick<GuestSpec, 'abi' | 'overlayLimitBytes' | 'overlayStorage'>,
  place: PlaceCapabilities,
  options: CompatibilityOptions,
): Problem[] {
  return [
    ...machineProblems(spec, place, options),
    ...cpuProblems(spec, place, options),
    ...firmwareProblems(spec, place, options),
    ...displayProblems(spec, place, options),
    ...roomProblems(spec, place, options),
  ];
}

function machineProblems(
  { abi }: Pick<GuestSpec, 'abi'>,
  place: PlaceCapabilities,
  { placeName }: CompatibilityOptions,
): Problem[] {
  const problems: Problem[] = [];
  const has = versionText(place.qemuVersion);
  if (place.architecture !== abi.architecture) {
    return [
      {
        code: 'architecture-differs',
        message: `${placeName} runs ${place.architecture} guests, this guest is ${abi.architecture}`,
        remedy: 'Choose a place with the same kind of processor',
      },
    ];
  }
  const able = migratability(abi.architecture, abi.accelerator, place.qemuVersion);
  const isOld = compareVersions(place.qemuVersion, MINIMUM_QEMU) < 0;
  if (!able.migratable && !isOld) {
    problems.push({
      code: 'not-migratable',
      message: `This guest cannot move while it runs: ${able.obstacle}`,
      remedy: 'Stop the guest, and create it again with another accelerator to move it live',
    });
  }
  const needed = machineVersion(abi.machine);
  const tooOldForMachine =
    needed !== undefined && compareVersions(place.qemuVersion, [...needed, 0]) < 0;
  if (isOld || tooOldForMachine) {
    const least = tooOldForMachine ? [...needed, 0].join('.') : versionText(MINIMUM_QEMU);
    problems.push({
      code: 'qemu-too-old',
      message: `${placeName} has QEMU ${has}, this guest needs ${least} or newer`,
      remedy: `Update QEMU at ${placeName}`,
    });
  } else if (!place.machines.includes(abi.machine)) {
    problems.push({
      code: 'machine-type-missing',
      message: `QEMU ${has} at ${placeName} does not have the machine type ${abi.machine} any more`,
      remedy: `Install a QEMU that still has ${abi.machine} at ${placeName}, or create the guest again`,
    });
  }
  if (!place.accelerators.includes(abi.accelerator)) {
    problems.push({
      code: 'accelerator-missing',
      message: `This guest runs under ${abi.accelerator}, which does not work at ${placeName} (there: ${place.accelerators.join(', ') || 'none'})`,
      remedy:
        abi.accelerator === 'tcg'
          ? `Install a QEMU with TCG at ${placeName}`
          : `Enable ${abi.accelerator} at ${placeName}, or create the guest with --accelerator tcg`,
    });
  }
  return problems;
}

function cpuProblems(
  { abi }: Pick<GuestSpec, 'abi'>,
  place: PlaceCapabilities,
  { placeName }: CompatibilityOptions,
): Problem[] {
  if (place.architecture !== abi.architecture) return [];
  const { model, added } = splitCpu(abi.cpu);
  if (!place.cpus.includes(model)) {
    return [
      {
        code: 'cpu-model-missing',
        message: `The processor at ${placeName} cannot stand in for ${model}, which this guest was created with`,
        remedy:
          'Choose a place with a newer processor, or create the guest with an older CPU model',
      },
    ];
  }
  if (place.cpuFeatures.length === 0) return [];
  const missing = added.filter((flag) => !place.cpuFeatures.includes(flag));
  if (missing.length === 0) return [];
  return [
    {
      code: 'cpu-feature-missing',
      message: `The processor at ${placeName} lacks ${missing.join(', ')}, which this guest was created with`,
      remedy: `Choose a place with a newer processor, or create the guest without ${missing.join(', ')}`,
    },
  ];
}

function firmwareProblems(
  { abi }: Pick<GuestSpec, 'abi'>,
  place: PlaceCapabilities,
  { placeName }: CompatibilityOptions,
): Problem[] {
  if (abi.boot.kind !== 'uefi' || place.architecture !== abi.architecture) return [];
  const { firmware } = abi.boot;
  if (place.firmware.some((one) => isSameFirmwareSize(one, firmware))) return [];
  const has = place.firmware.length > 0;
  return [
    {
      code: has ? 'firmware-differs' : 'firmware-missing',
      message: has
        ? `The UEFI firmware at ${placeName} is not of the size that this guest was created with (${firmware.codeBytes} and ${firmware.variablesBytes} bytes)`
        : `${placeName} has no UEFI firmware for QEMU, which this guest boots by`,
      remedy: has
        ? `Install the build of ${FIRMWARE_REMEDY} at ${placeName} that the place has where the guest was created`
        : `Install ${FIRMWARE_REMEDY} at ${placeName}`,
    },
  ];
}

function displayProblems(
  { abi }: Pick<GuestSpec, 'abi'>,
  place: PlaceCapabilities,
  { placeName }: CompatibilityOptions,
): Problem[] {
  const display = displayOf(abi);
  if (display === undefined || place.displays.includes(display)) return [];
  return [
    {
      code: 'display-missing',
      message: `QEMU at ${placeName} cannot give this guest its screen`,
      remedy: `Install a QEMU built with VGA and VNC at ${placeName}`,
    },
  ];
}

function roomProblems(
  spec: Pick<GuestSpec, 'abi' | 'overlayLimitBytes' | 'overlayStorage'>,
  place: PlaceCapabilities,
  { placeName, overlayBytes, memoryReserved = false }: CompatibilityOptions,
): Problem[] {
  const problems: Problem[] = [];
  const overlays = overlayBytes ?? spec.overlayLimitBytes * spec.abi.disks.length;
  const inMemory = spec.overlayStorage === 'memory';
  const overlaysMiB = inMemory ? Math.ceil(overlays / 1024 ** 2) : 0;
  const needed = spec.abi.memoryMiB + memoryOverheadMiB(spec.abi.accelerator) + overlaysMiB;
  if (!memoryReserved && place.memoryAvailableMiB < needed) {
    problems.push({
      code: 'memory-short',
      message: `${placeName} has ${place.memoryAvailableMiB} MiB of memory free, this guest needs ${needed} MiB`,
      remedy: `Free memory at ${placeName}, or stop another guest there`,
    });
  }
  const room = place.overlayRoomBytes[spec.overlayStorage];
  if (room < overlays) {
    problems.push({
      code: 'disk-short',
      message: `${placeName} has ${mebibytes(room)} MiB of room for disk changes in ${inMemory ? 'memory' : 'its state directory'}, this guest needs ${mebibytes(overlays)} MiB`,
      remedy: `Free room at ${placeName}, or lower the overlay limit of the guest`,
    });
  }
  return problems;
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2);
}
