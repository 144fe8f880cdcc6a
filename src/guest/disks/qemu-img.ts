/** qemu-img, and the file handling that makes its results durable. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { SojournError } from '../../common/index.ts';

/** Copying an overlay of some GiB to a slow disk may take minutes; more than this is a hang. */
const TIMEOUT_MS = 30 * 60_000;

/** Throws SojournError: `qemu-img-missing`, `disk-full`, `image-damaged`. */
export async function qemuImg(...args: readonly string[]): Promise<string> {
  const result = await execa('qemu-img', args, {
    reject: false,
    timeout: TIMEOUT_MS,
    maxBuffer: 1024 * 1024,
  });
  if (!result.failed) return result.stdout;
  if (result.code === 'ENOENT') {
    throw new SojournError({
      kind: 'requirement',
      code: 'qemu-img-missing',
      message: 'qemu-img is not installed or not on the PATH',
      remedy: 'Run "npm run setup", or install the package qemu-utils',
    });
  }
  const said = result.stderr.trim().split('\n').at(-1) ?? '';
  const full = /No space left on device|Disk quota exceeded/.test(result.stderr);
  throw new SojournError({
    kind: full ? 'requirement' : 'internal',
    code: full ? 'disk-full' : 'image-damaged',
    message: full ? `no room for a disk image: ${said}` : `qemu-img ${args[0]} failed: ${said}`,
    remedy: full ? 'Free room on that file system' : 'Check the image with "qemu-img check"',
    cause: result,
  });
}

/** Makes a file beside `path`, then puts it in its place so that a crash leaves either the old or the new one. */
export async function replaceFile(
  path: string,
  make: (partial: string) => Promise<void>,
): Promise<void> {
  const partial = `${path}.partial`;
  await rm(partial, { force: true });
  try {
    await make(partial);
    await sync(partial);
    await rename(partial, path);
    await sync(dirname(path));
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
