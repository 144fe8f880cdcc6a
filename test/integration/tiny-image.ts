/** The tiny guest as an image that agents import. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blankBase, tinyGuest } from '../lab/tiny-guest.ts';

export const DISK_BYTES = 64 * 1024 ** 2;

/** Makes the folder; returns it. */
export async function tinyImage(folder: string, name = 'tiny'): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { kernel, initrd } = await tinyGuest();
  await Promise.all([
    writeFile(join(folder, 'vmlinuz'), await readFile(kernel)),
    writeFile(join(folder, 'initrd'), await readFile(initrd)),
    blankBase(join(folder, 'disk.raw'), DISK_BYTES),
  ]);
  const image = {
    name,
    architecture: 'x86_64',
    boot: {
      kind: 'kernel',
      kernel: { file: 'vmlinuz' },
      initrd: { file: 'initrd' },
      commandLine: 'console=ttyS0 quiet panic=-1 rdinit=/init',
    },
    disks: [{ name: 'disk0', base: { file: 'disk.raw' }, baseFormat: 'raw' }],
    defaults: { memoryMiB: 128, vcpus: 1 },
  };
  await writeFile(join(folder, 'image.json'), JSON.stringify(image));
  return folder;
}
