/**
 * Could this guest run at that place? A pure comparison of its frozen ABI with facts about the place. It is
 * asked twice: of the destination, and of the source for the way back. Migration adds one condition to
 * those of a start: the QEMU there must know the machine type, and not be older than what migration needs.
 */
import { z } from 'zod';
import { accelerator, digest, type GuestSpec } from '../guest/spec.ts';

/** SWITCHOVER_ACK came with QEMU 8.1; `-netdev stream,reconnect-ms` with 9.2. */
export const MINIMUM_QEMU: readonly [number, number] = [9, 2];

/** Memory QEMU needs beside the guest's own: device emulation, translated code, buffers. MiB. */
export const MEMORY_OVERHEAD_MIB = 96;

export const placeFacts = z.object({
  name: z.string().max(64),
  qemuVersion: z.tuple([z.int(), z.int(), z.int()]),
  architecture: z.enum(['x86_64', 'aarch64']),
  machines: z.array(z.string()).max(512),
  cpus: z.array(z.string()).max(512),
  accelerators: z.array(accelerator),
  memoryAvailableMiB: z.number().nonnegative(),
  /** Room for overlays, bytes, by where they are kept. */
  overlayRoomBytes: z.object({ memory: z.number(), disk: z.number() }),
  /** Digests of all base images and boot files in the store. */
  blobs: z.array(digest).max(4096),
  maximumVcpus: z.int().positive(),
});

export const preflightProblem = z.object({
  /** Stable, kebab-case: `cpu-unknown`. */
  code: z.string().max(64),
  /** `there`: at the destination; `way-back`: at the source, when the guest wants to return. */
  where: z.enum(['there', 'way-back']),
  message: z.string().max(512),
  remedy: z.string().max(512),
});

export type PlaceFacts = z.infer<typeof placeFacts>;
export type PreflightProblem = z.infer<typeof preflightProblem>;

/** All reasons why the guest cannot run at the place, at once; an empty list means that it can. */
export function preflightProblems(
  spec: GuestSpec,
  facts: PlaceFacts,
  where: PreflightProblem['where'],
): PreflightProblem[] {
  const problems: PreflightProblem[] = [];
  const { abi } = spec;
  const found = (code: string, message: string, remedy: string) =>
    problems.push({ code, where, message, remedy });
  const place = facts.name;

  if (facts.architecture !== abi.architecture) {
    found(
      'architecture-differs',
      `the guest is ${abi.architecture}, ${place} runs ${facts.architecture}`,
      'Choose a place with the same processor architecture',
    );
  }
  const [major, minor] = facts.qemuVersion;
  if (major < MINIMUM_QEMU[0] || (major === MINIMUM_QEMU[0] && minor < MINIMUM_QEMU[1])) {
    found(
      'qemu-too-old',
      `${place} has QEMU ${major}.${minor}, ${MINIMUM_QEMU.join('.')} is the oldest that can hand over`,
      `Install a newer QEMU at ${place}`,
    );
  }
  if (!facts.machines.includes(abi.machine)) {
    found(
      'machine-unknown',
      `QEMU at ${place} does not know the machine type ${abi.machine}`,
      `Install at ${place} a QEMU at least as new as the one the guest was created with`,
    );
  }
  const cpu = abi.cpu.split(',')[0] ?? abi.cpu;
  if (!facts.cpus.includes(cpu)) {
    found(
      'cpu-unknown',
      `${place} cannot provide the CPU model ${cpu}`,
      'Choose a place whose QEMU has this CPU model, or create the guest anew with an older model',
    );
  }
  if (!facts.accelerators.includes(abi.accelerator)) {
    found(
      'accelerator-differs',
      `the guest runs under ${abi.accelerator}, ${place} offers ${facts.accelerators.join(', ') || 'none'}`,
      'Choose a place with the same accelerator; a running guest cannot change it',
    );
  }
  if (abi.vcpus > facts.maximumVcpus) {
    found(
      'too-few-processors',
      `the guest has ${abi.vcpus} processors, ${place} allows ${facts.maximumVcpus}`,
      'Choose a larger place',
    );
  }
  const memoryNeeded = abi.memoryMiB + MEMORY_OVERHEAD_MIB;
  const overlayBytes = spec.overlayLimitBytes * abi.disks.length;
  if (where === 'there' && memoryNeeded > facts.memoryAvailableMiB) {
    found(
      'memory-short',
      `${place} has ${Math.floor(facts.memoryAvailableMiB)} MiB of memory free, the guest needs ${memoryNeeded} MiB`,
      `Free memory at ${place}, or choose a larger place`,
    );
  }
  const room = facts.overlayRoomBytes[spec.overlayStorage];
  if (where === 'there' && overlayBytes > room) {
    found(
      'overlay-room-short',
      `${place} has room for ${Math.floor(room / 2 ** 20)} MiB of disk changes, the guest may need ${Math.ceil(overlayBytes / 2 ** 20)} MiB`,
      `Free ${spec.overlayStorage === 'memory' ? 'memory' : 'disk space'} at ${place}, or lower the guest's overlay limit`,
    );
  }
  for (const blob of neededBlobs(spec)) {
    if (facts.blobs.includes(blob)) continue;
    found(
      'image-missing',
      `${place} does not have the image ${blob.slice(0, 12)}`,
      `Import the image at ${place}`,
    );
  }
  return problems;
}

function neededBlobs({ abi }: GuestSpec): string[] {
  const { boot } = abi;
  const bootFiles =
    boot.kind === 'kernel'
      ? [boot.kernel.digest, ...(boot.initrd === undefined ? [] : [boot.initrd.digest])]
      : [];
  return [...new Set([...bootFiles, ...abi.disks.map((disk) => disk.base.digest)])];
}
