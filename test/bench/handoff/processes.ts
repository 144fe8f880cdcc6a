/** What processes of the lab's places use, from /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Lab } from '../../lab/index.ts';
import { processStat } from '../proc-stat.ts';

export interface ProcessUse {
  readonly pid: number;
  /** The command's name, and of a program of ours its file. */
  readonly name: string;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

/** Of everything that runs in the networks of device and site but what belongs to the emulated link. */
export function placeProcesses(lab: Lab): ProcessUse[] {
  const marks = [lab.device.mark, lab.site.mark];
  const notTheirs = [lab.linkAdapter, lab.device.pid, lab.site.pid];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => !notTheirs.includes(pid))
    .flatMap((pid) => use(pid, marks) ?? []);
}

/** Undefined when it is not in one of the network namespaces, has ended, or may not be looked at. */
function use(pid: number, marks: readonly string[]): ProcessUse | undefined {
  const proc = `/proc/${pid}`;
  try {
    if (!marks.includes(readlinkSync(`${proc}/ns/net`))) return undefined;
    const { cpuSeconds, residentBytes } = processStat(pid);
    const argv = readFileSync(`${proc}/cmdline`, 'utf8').split('\0');
    return {
      pid,
      name: nameOf(argv),
      cpuSeconds,
      residentBytes,
      descriptors: readdirSync(`${proc}/fd`).length,
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}

function nameOf(argv: readonly string[]): string {
  const base = (path = '') => path.slice(path.lastIndexOf('/') + 1);
  const program = base(argv[0]);
  const script = argv.slice(1).find((each) => each.endsWith('.ts'));
  if (script !== undefined) return `${program} ${script.split('/').slice(-2).join('/')}`;
  return program.startsWith('qemu-system') && argv.includes('none') && argv[1] === '-M'
    ? 'qemu TAP adapter'
    : program;
}

/** Processor seconds used between two looks, those of processes that began in between included. */
export function cpuSecondsBetween(
  before: readonly ProcessUse[],
  after: readonly ProcessUse[],
): number {
  const earlier = new Map(before.map(({ pid, cpuSeconds }) => [pid, cpuSeconds]));
  return after.reduce(
    (total, { pid, cpuSeconds }) => total + cpuSeconds - (earlier.get(pid) ?? 0),
    0,
  );
}
