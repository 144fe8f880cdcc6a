/**
 * Finding and removing what a lab run started, however it was started: guests and datapaths are detached
 * from the agents that started them on purpose, so no parent knows them all. Every process of a run
 * carries the run's name in its environment or lives in one of its network namespaces.
 */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Names the run in the environment of its processes. */
export const RUN_VARIABLE = 'SOJOURN_LAB_RUN';
const PREFIX = 'sojourn-lab-';
const SHARED_MEMORY = '/dev/shm';

export interface RunMarks {
  readonly run: string;
  /** `net:[4026532281]`: what /proc/PID/ns/net points to. */
  readonly namespaces: readonly string[];
}

/** `sojourn-lab-PID-STARTTIME-COUNT`: who made it can be looked up when it is found. */
export function runName(count: number): string {
  return `${PREFIX}${process.pid}-${startTime(process.pid)}-${count}`;
}

export function runDirectory(run: string): string {
  return join(tmpdir(), run);
}

/** On a tmpfs, for what agents keep in memory. */
export function runMemory(run: string): string {
  return join(SHARED_MEMORY, run);
}

/** Start time of a process in clock ticks since boot (proc_pid_stat(5), field 22); undefined if gone. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function processesOf(marks: RunMarks): number[] {
  const marker = `${RUN_VARIABLE}=${marks.run}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongs(pid, marker, marks.namespaces));
}

function belongs(pid: number, marker: string, namespaces: readonly string[]): boolean {
  try {
    if (namespaces.includes(readlinkSync(`/proc/${pid}/ns/net`))) return true;
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(marker);
  } catch {
    // Gone in the meantime, or somebody else's.
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Ends every process of a run at once and removes its directories. Nothing of a run is worth saving, and agents
 * that are asked politely would start again what was ended before them.
 */
export async function removeRun(marks: RunMarks): Promise<void> {
  for (let left = processesOf(marks); left.length > 0; left = processesOf(marks)) {
    for (const pid of left) kill(pid);
    await sleep(10);
  }
  for (const directory of [runDirectory(marks.run), runMemory(marks.run)])
    rmSync(directory, { recursive: true, force: true });
}

/** Removes what runs left behind whose maker, and the guard after it, were killed. */
export async function removeDeadRuns(): Promise<void> {
  const found = new Set([...readdirSync(tmpdir()), ...readdirSync(SHARED_MEMORY)]);
  for (const run of found) {
    const [pid, started] = run.startsWith(PREFIX) ? run.slice(PREFIX.length).split('-') : [];
    if (pid === undefined || startTime(Number(pid)) === started) continue;
    await removeRun({ run, namespaces: [] });
  }
}
