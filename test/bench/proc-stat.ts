/** What /proc/PID/stat says of a process (proc_pid_stat(5)). */
import { readFileSync } from 'node:fs';

/** USER_HZ, which Linux has fixed at 100 for programs. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

export interface ProcessStat {
  /** User and system time. */
  readonly cpuSeconds: number;
  /** The same of its children that have ended and were waited for. */
  readonly childrenCpuSeconds: number;
  readonly residentBytes: number;
}

/** Throws as `readFileSync` when the process has ended. */
export function processStat(pid: number | 'self'): ProcessStat {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  // Fields 14 to 17 and 24 of the page, which counts from 1 and has two before these.
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15);
  return {
    cpuSeconds: (user + system) / TICKS_PER_SECOND,
    childrenCpuSeconds: (childrenUser + childrenSystem) / TICKS_PER_SECOND,
    residentBytes: (fields[21] ?? 0) * PAGE_BYTES,
  };
}
