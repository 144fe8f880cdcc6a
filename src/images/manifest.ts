/** What an image is: as a folder that can be imported, and as the store keeps it. */
import { z } from 'zod';
import { type Blob, bootSource, digest, guestDisk } from '../guest/spec.ts';

/** A manifest is a page of text; whatever is larger is not one. */
export const MAX_MANIFEST_BYTES = 64 * 1024;

export const imageName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,99}$/, 'lower-case letters, digits, dots and dashes, at most 100');

const architecture = z.enum(['x86_64', 'aarch64']);
const defaults = z.strictObject({
  memoryMiB: z.int().min(64),
  vcpus: z.int().min(1).max(64),
  /** Whether its guests have a screen; those that boot by themselves have one unless this says otherwise. */
  display: z.enum(['none', 'vga']).optional(),
});

/** A file next to `image.json`; with a digest it is refused when its content is another one. */
const sourceFile = z.strictObject({
  file: z
    .string()
    .min(1)
    .max(255)
    .refine(
      (path) => !path.startsWith('/') && !path.split('/').includes('..'),
      'must be relative and inside the folder',
    ),
  digest: digest.optional(),
});

/** `image.json` in a folder to import. `virtualBytes` is read from the file when it is left out. */
export const imageSource = z.strictObject({
  name: imageName,
  architecture,
  boot: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('kernel'),
      kernel: sourceFile,
      initrd: sourceFile.optional(),
      commandLine: z.string().max(2048),
    }),
    z.strictObject({ kind: z.literal('bios') }),
    z.strictObject({ kind: z.literal('uefi') }),
  ]),
  disks: z
    .array(
      z.strictObject({
        name: guestDisk.shape.name,
        base: sourceFile,
        baseFormat: guestDisk.shape.baseFormat,
        virtualBytes: guestDisk.shape.virtualBytes.optional(),
      }),
    )
    .max(8),
  defaults,
});

/** `images/<name>.json` in the store: files have become blobs. */
export const imageManifest = z.strictObject({
  name: imageName,
  architecture,
  boot: bootSource,
  disks: z.array(guestDisk).max(8),
  defaults,
});

export type SourceFile = z.infer<typeof sourceFile>;
export type ImageSource = z.infer<typeof imageSource>;
export type ImageManifest = z.infer<typeof imageManifest>;

/** Every file that the image, or a guest made from it, reads. */
export function blobsOf(image: Pick<ImageManifest, 'boot' | 'disks'>): Blob[] {
  const boot = image.boot.kind === 'kernel' ? [image.boot.kernel, image.boot.initrd] : [];
  return [...boot, ...image.disks.map((disk) => disk.base)].filter((one) => one !== undefined);
}
