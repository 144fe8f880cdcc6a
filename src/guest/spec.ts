/**
 * What a guest *is*, frozen when it is created and carried along on every handoff. Both ends build the
 * QEMU command line from it, so it names everything that QEMU's migration stream depends on.
 */
import { z } from 'zod';

export const guestName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,39}$/,
    'The name of a guest has 1 to 40 lower-case letters, digits and dashes, and begins with no dash',
  );
export const guestId = z.uuid();
/** Lower-case hex SHA-256 of the SubjectPublicKeyInfo of a place's identity. */
export const placeId = z.string().regex(/^[0-9a-f]{64}$/);
/** Lower-case hex SHA-256 of a file's content. */
export const digest = z.string().regex(/^[0-9a-f]{64}$/);
export const macAddress = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);

/*
 * A spec also comes from a peer. Machine and CPU become parts of QEMU's options, where a comma begins another option
 * (`initrd=` reads any file of the agent's user), so both are held to the characters that QEMU's own names have.
 */
const MACHINE = /^[a-z0-9.-]{1,64}$/;
const CPU = /^[A-Za-z0-9_.-]{1,64}(,[+-][a-z0-9_.-]{1,64})*$/;
/** Room for a model and some twenty flags, characters. */
const MAX_CPU_LENGTH = 1024;
/** No program's argument can hold a NUL, and nothing beside printable text belongs into this one. */
const COMMAND_LINE = /^[^\p{Cc}]*$/u;

/** A file of the image store, named by its content. */
export const blob = z.object({ digest, bytes: z.int().nonnegative() });

const kernelBoot = z.object({
  kind: z.literal('kernel'),
  kernel: blob,
  initrd: blob.optional(),
  commandLine: z.string().max(2048).regex(COMMAND_LINE, 'printable characters only'),
});
const biosBoot = z.object({ kind: z.literal('bios') });

/** How an image boots. */
export const bootSource = z.discriminatedUnion('kind', [
  kernelBoot,
  biosBoot,
  z.object({ kind: z.literal('uefi') }),
]);

/** Sizes of the two flash images: RAM blocks of the migration stream, so the same wherever the guest goes. */
export const firmwareSize = z.object({
  codeBytes: z.int().positive(),
  variablesBytes: z.int().positive(),
});

const frozenBoot = z.discriminatedUnion('kind', [
  kernelBoot,
  biosBoot,
  z.object({ kind: z.literal('uefi'), firmware: firmwareSize }),
]);

/** A disk of the guest: a read-only base named by digest under an overlay of the guest's own. */
export const guestDisk = z.object({
  /** Stable name, used in QEMU node names and stream names: `disk0`. */
  name: z.string().regex(/^[a-z][a-z0-9]{0,15}$/),
  base: blob,
  baseFormat: z.enum(['raw', 'qcow2']),
  virtualBytes: z.int().positive(),
});

/** Overlays and QEMU's nodes are named by their disks. */
const guestDisks = z
  .array(guestDisk)
  .max(8)
  .refine(
    (disks) => new Set(disks.map(({ name }) => name)).size === disks.length,
    'every disk has a name of its own',
  );

export const accelerator = z.enum(['kvm', 'tcg', 'hvf', 'whpx']);

/** What people see and touch of a guest: a screen, a keyboard and an absolute pointer. */
export const display = z.literal('vga');
/** How the clipboard of its screen is reached: a port of the SPICE agent. */
export const clipboard = z.literal('vdagent');

const abiFields = {
  architecture: z.enum(['x86_64', 'aarch64']),
  /** Versioned machine type, e.g. `pc-q35-10.0`. */
  machine: z.string().regex(MACHINE),
  accelerator,
  /** Named CPU model with explicit flags: `Nehalem` or `Nehalem,+aes`. */
  cpu: z.string().max(MAX_CPU_LENGTH).regex(CPU),
  vcpus: z.int().min(1).max(64),
  memoryMiB: z
    .int()
    .min(64)
    .max(1024 * 1024),
  boot: frozenBoot,
  disks: guestDisks,
  mac: macAddress,
};

/**
 * Frozen at creation (DESIGN, "Guest ABI"). A change of any field is another machine to the guest's OS. A guest without
 * a display stays version 1, which every place knows; version 2 has one without a clipboard.
 */
export const guestAbi = z.discriminatedUnion('version', [
  z.object({ version: z.literal(1), ...abiFields }),
  z.object({ version: z.literal(2), ...abiFields, display }),
  z.object({ version: z.literal(3), ...abiFields, display, clipboard }),
]);

/** The guest's permanent addresses; the same at every place. */
export const guestNetwork = z.object({
  /** Home address, IPv4, e.g. `192.0.2.10`. */
  hoa4: z.ipv4(),
  /** Length of the on-link IPv4 prefix told by DHCP. */
  hoa4PrefixLength: z.int().min(8).max(30),
  /** The gateway's IPv4 address: first address of the prefix, the same everywhere. */
  gateway4: z.ipv4(),
  /** The guest's own /64, e.g. `2001:db8:77:5::/64` (RFC 8273). */
  hoa6Prefix: z.cidrv6(),
  /** Name servers told to the guest; may be empty. */
  dns: z.array(z.union([z.ipv4(), z.ipv6()])).max(4),
});

export const guestSpec = z.object({
  id: guestId,
  name: guestName,
  abi: guestAbi,
  network: guestNetwork,
  /** The site whose registry and gateway anchor the home address. */
  home: placeId,
  /** Limit of the overlay of each disk, bytes; the guest is paused, not broken, when it is reached. */
  overlayLimitBytes: z.int().positive(),
  overlayStorage: z.enum(['memory', 'disk']),
  createdAt: z.iso.datetime(),
});

export type GuestSpec = z.infer<typeof guestSpec>;
export type GuestAbi = z.infer<typeof guestAbi>;
export type Display = z.infer<typeof display>;
export type GuestNetwork = z.infer<typeof guestNetwork>;
export type GuestDisk = z.infer<typeof guestDisk>;
export type BootSource = z.infer<typeof bootSource>;
export type FirmwareSize = z.infer<typeof firmwareSize>;
export type Accelerator = z.infer<typeof accelerator>;
export type Blob = z.infer<typeof blob>;

/** Undefined for a guest that has none. */
export function displayOf(abi: GuestAbi): Display | undefined {
  return abi.version === 1 ? undefined : abi.display;
}

/** Whether the screen of the guest has a clipboard. */
export function hasClipboard(abi: GuestAbi): boolean {
  return abi.version === 3;
}
