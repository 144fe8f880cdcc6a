/**
 * Remembers which blobs were found to be what their names say, so that a large base is not read again
 * at every start. An entry holds only while the file's inode, size and times are as they were then.
 */
import type { BigIntStats } from 'node:fs';
import { z } from 'zod';
import { readFileIfPresent, writeFileAtomically } from '../common/index.ts';
import { digest } from '../guest/spec.ts';

const entries = z.record(digest, z.string());

/** The change time as well: the modification time can be set to anything. */
function identityOf(file: BigIntStats): string {
  return [file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs].join(':');
}

export class VerifiedBlobs {
  readonly #path: string;
  #entries: Map<string, string> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async has(blobDigest: string, file: BigIntStats): Promise<boolean> {
    return (await this.#load()).get(blobDigest) === identityOf(file);
  }

  async add(blobDigest: string, file: BigIntStats): Promise<void> {
    const known = await this.#load();
    known.set(blobDigest, identityOf(file));
    await writeFileAtomically(this.#path, JSON.stringify(Object.fromEntries(known)));
  }

  async #load(): Promise<Map<string, string>> {
    if (this.#entries === undefined) {
      const text = await readFileIfPresent(this.#path);
      // What cannot be read is as if nothing had been verified: the blobs are simply read again.
      this.#entries ??= new Map(Object.entries(parse(text ?? '{}')));
    }
    return this.#entries;
  }
}

function parse(text: string): Record<string, string> {
  try {
    return entries.parse(JSON.parse(text));
  } catch {
    return {};
  }
}
