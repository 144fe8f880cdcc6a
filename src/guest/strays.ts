/** QEMUs that an agent started and did not live to record. */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { escapeComma } from './arguments.ts';
import { identifyProcess, killProcess, type ProcessIdentity } from './process-identity.ts';
import { guestPaths } from './runtime.ts';

/** For the launcher to have become QEMU, ms. */
const LAUNCH_TIMEOUT_MS = 5_000;
const LOOK_EVERY_MS = 20;
/** Becomes QEMU, with another command line, and is not to be taken for it. */
const LAUNCHER = 'systemd-run';

export interface Stray {
  readonly process: ProcessIdentity;
  /** The program as it was called. */
  readonly binary: string;
}

/** Every QEMU of the guest in its private directory here. */
export async function findStrays(guestId: string, directory: string): Promise<Stray[]> {
  const deadline = performance.now() + LAUNCH_TIMEOUT_MS;
  for (;;) {
    const found = await look(guestId, directory);
    const launching = found.some(({ binary }) => basename(binary) === LAUNCHER);
    if (!launching || performance.now() > deadline) return found;
    await delay(LOOK_EVERY_MS);
  }
}

/**
 * Ends them: nobody else will ever do that, or talk to them. Only for a guest that has no recorded process.
 * @returns their process numbers. @throws Error when one survives SIGKILL
 */
export async function endStrays(guestId: string, directory: string): Promise<number[]> {
  const found = await findStrays(guestId, directory);
  for (const { process } of found) await killProcess(process);
  return found.map(({ process }) => process.pid);
}

async function look(guestId: string, directory: string): Promise<Stray[]> {
  const { qmpSocket } = guestPaths(directory);
  // As `buildArguments` writes it.
  const path = escapeComma(qmpSocket);
  const found: Stray[] = [];
  for (const name of await processes()) {
    const argv = (await commandLine(name)).split('\0');
    const isOurs = argv.includes(guestId) && argv.some((each) => each.includes(path));
    const process = isOurs ? await identifyProcess(Number(name)) : undefined;
    if (process !== undefined) found.push({ process, binary: argv[0] ?? '' });
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
