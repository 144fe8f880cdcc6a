/** Reads a folder that is to be imported: its `image.json` and the files which that names. */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import type { z } from 'zod';
import type { Blob } from '../guest/spec.ts';
import { virtualBytesOf } from './disk-format.ts';
import { manifestWrong, sourceMissing } from './errors.ts';
import {
  type ImageManifest,
  type ImageSource,
  imageSource,
  MAX_MANIFEST_BYTES,
  type SourceFile,
} from './manifest.ts';

export interface OpenFile {
  /** As `image.json` has it. */
  readonly name: string;
  readonly path: string;
  readonly handle: FileHandle;
  readonly bytes: number;
  readonly digest: string | undefined;
}

export interface SourceImage extends AsyncDisposable {
  /** By name; each once, also when it is used twice. */
  readonly files: ReadonlyMap<string, OpenFile>;
  readonly bytesTotal: number;
  manifestWith(blobs: ReadonlyMap<string, Blob>): ImageManifest;
}

/** @throws SojournError `image-source-missing`, `image-manifest-wrong` */
export async function openSource(path: string): Promise<SourceImage> {
  const manifestPath = await manifestIn(path);
  const parsed = imageSource.safeParse(await readManifestFile(manifestPath));
  if (!parsed.success) throw manifestWrong(manifestPath, firstIssue(parsed.error), parsed.error);
  const source = parsed.data;
  const folder = dirname(manifestPath);
  const files = new Map<string, OpenFile>();
  const close = async () => {
    await Promise.all([...files.values()].map((file) => file.handle.close()));
  };
  try {
    for (const wanted of filesOf(source)) {
      const known = files.get(wanted.file);
      if (known !== undefined && known.digest !== wanted.digest)
        throw manifestWrong(manifestPath, `it gives ${wanted.file} two digests`);
      if (known === undefined) files.set(wanted.file, await openFile(folder, wanted, manifestPath));
    }
    const sizes = await virtualSizes(source, files, manifestPath);
    return {
      files,
      bytesTotal: [...files.values()].reduce((sum, file) => sum + file.bytes, 0),
      manifestWith: (blobs) => manifestOf(source, blobs, sizes),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Parsed JSON of a file no larger than a manifest may be. */
export async function readManifestFile(path: string): Promise<unknown> {
  await using file = await open(path, 'r').catch((error: unknown) => {
    throw sourceMissing(path, error);
  });
  const { size } = await file.stat();
  if (size > MAX_MANIFEST_BYTES)
    throw manifestWrong(path, `it is larger than ${MAX_MANIFEST_BYTES} bytes`);
  try {
    return JSON.parse(await file.readFile('utf8'));
  } catch (error) {
    throw manifestWrong(path, 'it is not JSON', error);
  }
}

async function manifestIn(path: string): Promise<string> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isDirectory() ? join(real, 'image.json') : real;
  } catch (error) {
    throw sourceMissing(path, error);
  }
}

function filesOf(source: ImageSource): SourceFile[] {
  const boot = source.boot.kind === 'kernel' ? [source.boot.kernel, source.boot.initrd] : [];
  return [...boot, ...source.disks.map((disk) => disk.base)].filter((file) => file !== undefined);
}

/** Links must not lead out of the folder: what is imported may be sent to other places. */
async function openFile(folder: string, wanted: SourceFile, manifest: string): Promise<OpenFile> {
  const named = join(folder, wanted.file);
  const path = await realpath(named).catch((error: unknown) => {
    throw sourceMissing(named, error);
  });
  if (!path.startsWith(`${folder}${sep}`))
    throw manifestWrong(manifest, `${wanted.file} is outside of ${basename(folder)}`);
  // Opening a pipe must not wait for somebody to write to it.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    throw sourceMissing(path);
  }
  return { name: wanted.file, path, handle, bytes: info.size, digest: wanted.digest };
}

async function virtualSizes(
  source: ImageSource,
  files: ReadonlyMap<string, OpenFile>,
  manifest: string,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const disk of source.disks) {
    const file = files.get(disk.base.file);
    if (file === undefined) continue;
    const found = await virtualBytesOf(file.handle, disk.baseFormat);
    if ('problem' in found) throw manifestWrong(manifest, `${disk.base.file}: ${found.problem}`);
    if (disk.virtualBytes !== undefined && disk.virtualBytes !== found.virtualBytes)
      throw manifestWrong(
        manifest,
        `${disk.base.file} is a disk of ${found.virtualBytes} bytes, not ${disk.virtualBytes}`,
      );
    if (sizes.has(disk.name)) throw manifestWrong(manifest, `it has two disks ${disk.name}`);
    sizes.set(disk.name, found.virtualBytes);
  }
  return sizes;
}

function manifestOf(
  source: ImageSource,
  blobs: ReadonlyMap<string, Blob>,
  sizes: ReadonlyMap<string, number>,
): ImageManifest {
  const blob = (file: SourceFile): Blob => {
    const found = blobs.get(file.file);
    if (found === undefined) throw new Error(`${file.file} was not imported`);
    return found;
  };
  const { boot } = source;
  return {
    name: source.name,
    architecture: source.architecture,
    boot:
      boot.kind === 'kernel'
        ? {
            kind: 'kernel',
            kernel: blob(boot.kernel),
            ...(boot.initrd && { initrd: blob(boot.initrd) }),
            commandLine: boot.commandLine,
          }
        : boot,
    disks: source.disks.map((disk) => ({
      name: disk.name,
      base: blob(disk.base),
      baseFormat: disk.baseFormat,
      virtualBytes: sizes.get(disk.name) ?? 0,
    })),
    defaults: source.defaults,
  };
}

function firstIssue({ issues }: z.ZodError): string {
  const [first] = issues;
  if (first === undefined) return 'nothing in it is right';
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  const where = first.path.join('.') || 'its content';
  return first.message.endsWith('received undefined')
    ? `${where} is missing${more}`
    : `${where}: ${first.message}${more}`;
}
