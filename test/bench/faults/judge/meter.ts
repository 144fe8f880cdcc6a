/**
 * Looks from outside who runs: `node meter.ts DIRECTORY` prints every 50 ms how much processor time the virtual CPUs of
 * each QEMU have used whose command line names a guest below the directory:
 *
 *   ran FROM TO [PID NS]...      times in ms of CLOCK_MONOTONIC; only what has used any
 *
 * A guest that runs wakes up for its reports at least; a paused one uses nothing. The kernel counts (schedstat), so that it
 * does not matter whether anybody is heard, or which of the project's processes are alive. Ends with its standard input.
 */
import { readdirSync } from 'node:fs';
import { read, vcpuTimes } from './vcpu-times.ts';

const EVERY_MS = 50;
/** Processes are looked for anew this often, ms, and again until they are this old: they change their command line at first. */
const LOOK_EVERY_MS = 150;
const YOUNG_MS = 1_000;

const directory = process.argv[2] ?? '';
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;

/** Threads by QEMU, with what each has used, ns. */
const qemus = new Map<string, Map<string, number>>();
const firstSeen = new Map<string, number>();

function look(at: number): void {
  const present = new Set(readdirSync('/proc').filter((name) => /^\d+$/.test(name)));
  for (const pid of firstSeen.keys()) if (!present.has(pid)) firstSeen.delete(pid);
  for (const pid of present) {
    const since = firstSeen.get(pid) ?? at;
    firstSeen.set(pid, since);
    if (qemus.has(pid) || at - since > YOUNG_MS) continue;
    const argv = read(`/proc/${pid}/cmdline`).split('\0');
    const isQemu = argv[0]?.includes('qemu-system') === true;
    if (isQemu && argv.some((word) => word.includes(directory) && word.includes('/guests/')))
      qemus.set(pid, new Map());
  }
}

/** ns since the last time; undefined when it is gone. */
function used(pid: string, threads: Map<string, number>): number | undefined {
  const times = vcpuTimes(pid, threads);
  if (times === undefined) return undefined;
  let sum = 0;
  for (const [thread, total] of times) {
    // To come into being is not to run.
    sum += total - (threads.get(thread) ?? total);
    threads.set(thread, total);
  }
  return sum;
}

let from = now();
let lookedAt = 0;
function sample(): void {
  const to = now();
  if (to - lookedAt >= LOOK_EVERY_MS) {
    look(to);
    lookedAt = to;
  }
  const words = ['ran', from.toFixed(1), to.toFixed(1)];
  for (const [pid, threads] of qemus) {
    const ns = used(pid, threads);
    if (ns === undefined) qemus.delete(pid);
    else if (ns > 0) words.push(pid, String(ns));
  }
  process.stdout.write(`${words.join(' ')}\n`);
  from = to;
}

setInterval(sample, EVERY_MS);
process.stdin.on('end', () => process.exit(0)).resume();
