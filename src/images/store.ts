/**
 * Base images, named by content.
 *
 *   <directory>/<name>.json         manifest of an image
 *   <directory>/sha256/<digest>     its files (0400), shared by images that have the same
 *   <directory>/sha256/*.partial    an import under way, or what a crash left of one
 *   <directory>/sha256/verified     see verified.ts
 *
 * One process at a time owns the directory.
 */
import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, syncDirectory, writeFileAtomically } from '../common/index.ts';
import { type Blob, digest as digestSchema } from '../guest/spec.ts';
import { copyDigesting, type Digested, digestOf, type ReadOptions } from './copy.ts';
import { digestWrong, imageMissing, imageUnknown, manifestWrong, storeFull } from './errors.ts';
import { blobsOf, type ImageManifest, imageManifest, imageName } from './manifest.ts';
import { type OpenFile, openSource, readManifestFile } from './source.ts';
import { VerifiedBlobs } from './verified.ts';

const PARTIAL = '.partial';

export interface ImportOptions {
  /** Ends the import; nothing of it stays. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { bytesDone: number; bytesTotal: number }) => void;
}

export class ImageStore {
  readonly #directory: string;
  readonly #blobs: string;
  readonly #verified: VerifiedBlobs;
  /** Imports run one after the other, so that a `.partial` file which none of them made is a left-over. */
  #lastImport: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
    this.#blobs = join(directory, 'sha256');
    this.#verified = new VerifiedBlobs(join(this.#blobs, 'verified'));
  }

  /**
   * Copies the image that `path` (a folder with an `image.json`, or that file) describes into the store.
   * An image of the same name is replaced; guests made from it keep their files.
   *
   * @throws SojournError `image-source-missing`, `image-manifest-wrong`, `image-digest-wrong`, `image-store-full`
   */
  async import(path: string, options: ImportOptions = {}): Promise<ImageManifest> {
    const done = this.#lastImport.then(() => this.#import(path, options));
    this.#lastImport = done.catch(() => undefined);
    return await done;
  }

  /** All images by name. @throws SojournError `image-manifest-wrong` */
  async list(): Promise<ImageManifest[]> {
    const files = await entriesOf(this.#directory);
    const names = files.filter((file) => file.endsWith('.json')).sort();
    return await Promise.all(names.map((file) => this.#read(join(this.#directory, file))));
  }

  /**
   * The image of that name, or one that has a file of that digest.
   *
   * @throws SojournError `image-unknown`, `image-manifest-wrong`
   */
  async find(nameOrDigest: string): Promise<ImageManifest> {
    if (imageName.safeParse(nameOrDigest).success) {
      const file = `${nameOrDigest}.json`;
      if ((await entriesOf(this.#directory)).includes(file))
        return await this.#read(join(this.#directory, file));
    }
    for (const image of await this.list())
      if (blobsOf(image).some((blob) => blob.digest === nameOrDigest)) return image;
    throw imageUnknown(nameOrDigest);
  }

  /** Where the blob is, or would be. */
  path(digest: string): string {
    return join(this.#blobs, digestSchema.parse(digest));
  }

  /**
   * Makes sure that the blob is there and is what its name says. Reads it only when it has changed since
   * it was last read.
   *
   * @throws SojournError `image-missing`, `image-digest-wrong`
   */
  async verify(digest: string, options: ReadOptions = {}): Promise<Blob> {
    const path = this.path(digest);
    const file = await fileAt(path);
    if (file === undefined) throw imageMissing(digest);
    const blob = { digest, bytes: Number(file.size) };
    if (await this.#verified.has(digest, file)) return blob;
    const found = await digestOf(path, options);
    if (found.digest !== digest) throw digestWrong(path, digest, found.digest);
    await this.#verified.add(digest, file);
    return blob;
  }

  async #import(path: string, options: ImportOptions): Promise<ImageManifest> {
    await mkdir(this.#blobs, { recursive: true, mode: 0o700 });
    await this.#removeLeftovers();
    await using source = await openSource(path);
    let bytesDone = 0;
    const bytesTotal = source.bytesTotal;
    const onBytes = (bytes: number) => {
      bytesDone += bytes;
      options.onProgress?.({ bytesDone, bytesTotal });
    };
    const blobs = new Map<string, Blob>();
    for (const file of source.files.values())
      blobs.set(file.name, await this.#importFile(file, { signal: options.signal, onBytes }));
    options.signal?.throwIfAborted();
    const manifest = imageManifest.parse(source.manifestWith(blobs));
    const text = `${JSON.stringify(manifest, undefined, 2)}\n`;
    await writeFileAtomically(join(this.#directory, `${manifest.name}.json`), text);
    return manifest;
  }

  async #importFile(file: OpenFile, options: ReadOptions): Promise<Blob> {
    const partial = join(this.#blobs, `${randomUUID()}${PARTIAL}`);
    let copied: Digested;
    try {
      copied = await copyDigesting(file.handle, partial, options);
      if (file.digest !== undefined && file.digest !== copied.digest)
        throw digestWrong(file.path, file.digest, copied.digest);
      await rename(partial, this.path(copied.digest));
      await syncDirectory(this.#blobs);
    } catch (error) {
      await rm(partial, { force: true });
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw storeFull(file.bytes, error);
      throw error;
    }
    const stored = await fileAt(this.path(copied.digest));
    if (stored === undefined) throw imageMissing(copied.digest);
    await this.#verified.add(copied.digest, stored);
    return copied;
  }

  async #removeLeftovers(): Promise<void> {
    for (const name of await entriesOf(this.#blobs))
      if (name.endsWith(PARTIAL)) await rm(join(this.#blobs, name), { force: true });
  }

  async #read(path: string): Promise<ImageManifest> {
    const parsed = imageManifest.safeParse(await readManifestFile(path));
    if (!parsed.success) throw manifestWrong(path, errorText(parsed.error), parsed.error);
    return parsed.data;
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function fileAt(path: string): Promise<BigIntStats | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isFile() ? found : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
