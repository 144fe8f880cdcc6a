/** Tells one process from a later one with the same number: by its start time and boot (proc_pid_stat(5)). */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

const GONE_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 20;
const NO_COMMAND_LINE = digest('');

export const processIdentity = z.object({
  pid: z.int().positive(),
  /** Clock ticks after boot at which the process started (field 22 of /proc/PID/stat). */
  startTicks: z.int().nonnegative(),
  /** /proc/sys/kernel/random/boot_id: start times repeat from boot to boot. */
  bootId: z.string(),
  /** Lower-case hex SHA-256 of /proc/PID/cmdline. */
  commandLineDigest: z.string(),
});
export type ProcessIdentity = z.infer<typeof processIdentity>;

/** Undefined if there is no such process, or it has ended and waits for its parent. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const found = await look(pid);
  return found === undefined || found.main === 'ended' ? undefined : found.identity;
}

/** Whether the process that was identified still runs; one that is just ending has its files open, and runs. */
export async function isRunning(known: ProcessIdentity): Promise<boolean> {
  const now = await look(known.pid);
  if (now === undefined) return false;
  const { startTicks, bootId, commandLineDigest } = now.identity;
  if (startTicks !== known.startTicks || bootId !== known.bootId) return false;
  if (now.main === 'ended') return now.threads > 1;
  // A process that ends gives back its memory, with the command line in it, before its files.
  return commandLineDigest === known.commandLineDigest || commandLineDigest === NO_COMMAND_LINE;
}

interface Found {
  readonly identity: ProcessIdentity;
  /** Its first thread, which waits for the others, and then for the parent. */
  readonly main: 'runs' | 'ended';
  readonly threads: number;
}

async function look(pid: number): Promise<Found | undefined> {
  const stat = await readProc(`/proc/${pid}/stat`);
  const commandLine = await readProc(`/proc/${pid}/cmdline`);
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  if (stat === undefined || commandLine === undefined) return undefined;
  // The second field is the name in parentheses, which may hold anything, also parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return {
    identity: {
      pid,
      startTicks: Number(fields[19]),
      bootId: bootId.trim(),
      commandLineDigest: digest(commandLine),
    },
    main: state === 'Z' || state === 'X' ? 'ended' : 'runs',
    threads: Number(fields[17]),
  };
}

/** Sends the signal to that very process; false if it does not run any more. */
export async function signalProcess(
  known: ProcessIdentity,
  signal: NodeJS.Signals,
): Promise<boolean> {
  if (!(await isRunning(known))) return false;
  try {
    process.kill(known.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Ends that very process (SIGKILL) and returns when it is gone. Throws Error when it survives that. */
export async function killProcess(known: ProcessIdentity): Promise<void> {
  await signalProcess(known, 'SIGKILL');
  const deadline = performance.now() + GONE_TIMEOUT_MS;
  while (await isRunning(known)) {
    if (performance.now() > deadline) throw new Error(`process ${known.pid} cannot be ended`);
    await delay(LOOK_EVERY_MS);
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function readProc(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
