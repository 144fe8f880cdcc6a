/** Processor time of a QEMU's virtual CPUs, as the kernel counts it (schedstat). */
import { readdirSync, readFileSync } from 'node:fs';

/** By thread, ns; undefined when it is gone. QEMU names its threads (`debug-threads=on`). `known`: threads that are virtual CPUs. */
export function vcpuTimes(
  pid: number | string,
  known: ReadonlyMap<string, number> = new Map(),
): Map<string, number> | undefined {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return undefined;
  }
  const times = new Map<string, number>();
  for (const thread of threads) {
    const path = `/proc/${pid}/task/${thread}`;
    if (known.has(thread) || read(`${path}/comm`).startsWith('CPU '))
      times.set(thread, Number(read(`${path}/schedstat`).split(' ')[0]));
  }
  return times;
}

/** Empty when it is gone. */
export function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
