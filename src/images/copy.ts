import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';

/** Read at once, bytes; also the smallest hole that a copy keeps. */
const CHUNK_BYTES = 1024 * 1024;
const zeros = Buffer.alloc(CHUNK_BYTES);

export interface Digested {
  /** SHA-256, lower-case hex. */
  readonly digest: string;
  readonly bytes: number;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of each chunk read. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

async function readThrough(
  source: FileHandle,
  options: ReadOptions,
  take: (chunk: Buffer, position: number) => Promise<void>,
): Promise<Digested> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let position = 0;
  for (;;) {
    options.signal?.throwIfAborted();
    const { bytesRead } = await source.read(buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return { digest: hash.digest('hex'), bytes: position };
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    await take(chunk, position);
    position += bytesRead;
    options.onBytes?.(bytesRead);
  }
}

/** The SHA-256 of a file's content. */
export async function digestOf(path: string, options: ReadOptions = {}): Promise<Digested> {
  await using source = await open(path, 'r');
  return await readThrough(source, options, async () => {});
}

/**
 * Copies a file into a new one and returns the SHA-256 of exactly what was copied. Zeros become holes.
 * The copy is flushed to the disk before this returns.
 */
export async function copyDigesting(
  source: FileHandle,
  target: string,
  options: ReadOptions = {},
): Promise<Digested> {
  await using copy = await open(target, 'wx', 0o600);
  const result = await readThrough(source, options, async (chunk, position) => {
    if (chunk.equals(zeros.subarray(0, chunk.length))) return;
    let written = 0;
    while (written < chunk.length) {
      const rest = chunk.length - written;
      written += (await copy.write(chunk, written, rest, position + written)).bytesWritten;
    }
  });
  await copy.truncate(result.bytes);
  await copy.chmod(0o400);
  await copy.sync();
  return result;
}
