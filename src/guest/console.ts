/** The guest's serial console: QEMU serves one client at a time on a unix socket and logs everything to a file. */
import { open, stat, truncate, writeFile } from 'node:fs/promises';

/** The log is cut when it is longer than this, bytes; a guest may print without end. */
export const CONSOLE_LOG_LIMIT = 4 * 1024 * 1024;
/** How much of its end is kept in `console.log.1` then, bytes. */
const KEEP_BYTES = 512 * 1024;

/** Keeps the log in bounds; QEMU appends, so it may be cut at any time. Returns whether it was. */
export async function trimConsoleLog(
  path: string,
  limitBytes = CONSOLE_LOG_LIMIT,
): Promise<boolean> {
  const { size } = await stat(path);
  if (size <= limitBytes) return false;
  const kept = Buffer.alloc(Math.min(KEEP_BYTES, size));
  const handle = await open(path, 'r');
  try {
    const { bytesRead } = await handle.read(kept, 0, kept.length, size - kept.length);
    await writeFile(`${path}.1`, kept.subarray(0, bytesRead), { mode: 0o600 });
  } finally {
    await handle.close();
  }
  await truncate(path, 0);
  return true;
}
