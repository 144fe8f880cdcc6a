/** QEMUs that an agent started and did not live to record: nobody else will ever end them, or talk to them. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import {
  identifyProcess,
  isRunning,
  type ProcessIdentity,
  signalProcess,
} from './process-identity.ts';
import { guestPaths } from './runtime.ts';

const GONE_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 20;

/**
 * Ends every QEMU of the guest in its private directory here. Only for a guest that has no recorded process.
 * @returns their process numbers. @throws Error when one survives SIGKILL
 */
export async function endStrays(guestId: string, directory: string): Promise<number[]> {
  const found = await strays(guestId, directory);
  for (const stray of found) await signalProcess(stray, 'SIGKILL');
  const deadline = performance.now() + GONE_TIMEOUT_MS;
  for (const stray of found)
    while (await isRunning(stray)) {
      if (performance.now() > deadline) throw new Error(`process ${stray.pid} cannot be ended`);
      await delay(LOOK_EVERY_MS);
    }
  return found.map(({ pid }) => pid);
}

async function strays(guestId: string, directory: string): Promise<ProcessIdentity[]> {
  const { qmpSocket } = guestPaths(directory);
  const found: ProcessIdentity[] = [];
  for (const name of await processes()) {
    const argv = (await commandLine(name)).split('\0');
    const isOurs = argv.includes(guestId) && argv.some((each) => each.includes(qmpSocket));
    const identity = isOurs ? await identifyProcess(Number(name)) : undefined;
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** None where there is no /proc: there such a QEMU fails the start of the next one, by its lock on the disks. */
async function processes(): Promise<string[]> {
  try {
    return (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function commandLine(pid: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // It has just ended, or it is somebody else's.
    return '';
  }
}
