/** Freezes what a guest is, from what this place can do (DESIGN, "Guest ABI"). */
import { randomBytes } from 'node:crypto';
import { SojournError } from '../common/index.ts';
import { FIRMWARE_REMEDY } from './firmware.ts';
import { type Migratability, migratability } from './migratability.ts';
import { type Architecture, type QemuCapabilities, versionText } from './probe.ts';
import {
  type Accelerator,
  type BootSource,
  type Display,
  type FirmwareSize,
  type GuestAbi,
  type GuestDisk,
  guestAbi,
} from './spec.ts';

/** Per architecture: prefix of versioned machine types, and CPU models from the most wanted on. */
const ARCHITECTURES: Record<Architecture, { machinePrefix: string; cpus: readonly string[] }> = {
  // Every x86-64 host since 2008 has Nehalem's features, and QEMU's TCG has them all.
  x86_64: { machinePrefix: 'pc-q35-', cpus: ['Nehalem'] },
  aarch64: { machinePrefix: 'virt-', cpus: ['cortex-a72', 'cortex-a57'] },
};

export interface FreezeOptions {
  readonly qemu: QemuCapabilities;
  readonly accelerator: Accelerator;
  readonly boot: BootSource;
  /** UEFI firmware of this place, the most wanted first. */
  readonly firmware: readonly FirmwareSize[];
  readonly disks: readonly GuestDisk[];
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** Newest usable machine type and the default CPU unless given. */
  readonly machine?: string;
  readonly cpu?: string;
  readonly mac?: string;
  /** None unless given. */
  readonly display?: Display | undefined;
}

export interface FrozenAbi {
  readonly abi: GuestAbi;
  /** To be told to the user at creation. */
  readonly migratability: Migratability;
}

/** Throws SojournError: `machine-type-missing`, `cpu-model-missing`, `firmware-missing`, `display-missing`. */
export function freezeAbi(options: FreezeOptions): FrozenAbi {
  const { qemu, accelerator, display } = options;
  if (display !== undefined && !qemu.displays.includes(display)) throw displayMissing();
  const abi = guestAbi.parse({
    ...(display === undefined ? { version: 1 } : { version: 3, display, clipboard: 'vdagent' }),
    architecture: qemu.architecture,
    machine: chooseMachine(qemu, options.machine),
    accelerator,
    cpu: chooseCpu(qemu, options.cpu),
    vcpus: options.vcpus,
    memoryMiB: options.memoryMiB,
    boot: freezeBoot(options),
    disks: options.disks,
    mac: options.mac ?? randomMac(),
  });
  return { abi, migratability: migratability(qemu.architecture, accelerator, qemu.version) };
}

/** The newest of the versioned machine types, e.g. `pc-q35-10.0`; undefined if there is none. */
export function newestMachine(qemu: QemuCapabilities): string | undefined {
  const prefix = ARCHITECTURES[qemu.architecture].machinePrefix;
  return qemu.machines
    .filter((name) => machineVersion(name) !== undefined && name.startsWith(prefix))
    .sort((a, b) => compareMachines(b, a))[0];
}

/** `pc-q35-10.0` was introduced with QEMU 10.0. Undefined for names without a version. */
export function machineVersion(machine: string): readonly [number, number] | undefined {
  const match = /-(\d+)\.(\d+)$/.exec(machine);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** `Nehalem,+aes,-vmx` -> model and the flags it adds. */
export function splitCpu(cpu: string): { model: string; added: string[] } {
  const [model = '', ...flags] = cpu.split(',');
  return {
    model,
    added: flags.filter((flag) => flag.startsWith('+')).map((flag) => flag.slice(1)),
  };
}

function chooseMachine(qemu: QemuCapabilities, wanted: string | undefined): string {
  const machine = wanted ?? newestMachine(qemu);
  if (machine !== undefined && qemu.machines.includes(machine)) return machine;
  throw new SojournError({
    kind: 'requirement',
    code: 'machine-type-missing',
    message: `QEMU ${versionText(qemu.version)} here has no machine type ${wanted ?? `for ${qemu.architecture} guests`}`,
    remedy: 'Choose a machine type that "qemu-system-x86_64 -machine help" lists, or update QEMU',
  });
}

function chooseCpu(qemu: QemuCapabilities, wanted: string | undefined): string {
  const wishes = wanted === undefined ? ARCHITECTURES[qemu.architecture].cpus : [wanted];
  const cpu = wishes.find((wish) => qemu.cpus.includes(splitCpu(wish).model));
  if (cpu !== undefined) return cpu;
  throw new SojournError({
    kind: 'requirement',
    code: 'cpu-model-missing',
    message: `This machine cannot run the CPU model ${wishes.join(' or ')} under ${qemu.cpuAccelerator}`,
    remedy: 'Choose a CPU model that "qemu-system-x86_64 -cpu help" lists and this host supports',
  });
}

function freezeBoot({ boot, firmware }: FreezeOptions): GuestAbi['boot'] {
  if (boot.kind !== 'uefi') return boot;
  const [best] = firmware;
  if (best !== undefined) return { kind: 'uefi', firmware: best };
  throw new SojournError({
    kind: 'requirement',
    code: 'firmware-missing',
    message: 'The image boots by UEFI, and this machine has no UEFI firmware for QEMU',
    remedy: `Install ${FIRMWARE_REMEDY}`,
  });
}

function displayMissing(): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'display-missing',
    message: 'QEMU here cannot give a guest a screen',
    remedy: 'Create the guest with --display none, or install a QEMU built with VGA and VNC',
  });
}

function compareMachines(a: string, b: string): number {
  const [majorA, minorA] = machineVersion(a) ?? [0, 0];
  const [majorB, minorB] = machineVersion(b) ?? [0, 0];
  return majorA - majorB || minorA - minorB;
}

/** Locally administered, unicast (IEEE 802, 8.2); `52:54:00` is what QEMU's users expect to see. */
function randomMac(): string {
  return [
    '52',
    '54',
    '00',
    ...[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')),
  ].join(':');
}
