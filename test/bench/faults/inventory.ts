/**
 * Everything that a run of the lab has on this machine: files of the state directories and on tmpfs, processes, namespaces,
 * mounts, files that are deleted and still open. Two inventories that differ tell what a trial has left behind.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { TwoPlaces } from '../../integration/two-places.ts';

const RUN_VARIABLE = 'SOJOURN_LAB_RUN';
/** Of the witness and of the trial itself: they come and go. */
const OBSERVERS = ['witness-process.ts', 'judge/meter.ts'];

/** One line for each thing, sorted. */
export function inventory(places: TwoPlaces): string[] {
  const { run, directory, memory } = places.lab;
  const mine = processesOf(run);
  return [
    ...files(directory).map((path) => `file ${path}`),
    ...files(memory).map((path) => `tmpfs ${path}`),
    ...mine.map((pid) => `process ${describe(pid, directory)}`),
    ...new Set(mine.map((pid) => `namespace ${link(`/proc/${pid}/ns/net`)}`)),
    ...new Set(mine.map((pid) => `mounts ${link(`/proc/${pid}/ns/mnt`)}`)),
    ...mine.flatMap((pid) => deletedFiles(pid).map((path) => `open ${path}`)),
    ...mounts(run).map((path) => `mount ${path}`),
  ].sort();
}

/** What is there and was not (`+`), and what was there and is not (`-`). */
export function difference(before: readonly string[], after: readonly string[]): string[] {
  const left = [...before];
  const more: string[] = [];
  for (const line of after) {
    const index = left.indexOf(line);
    if (index < 0) more.push(`+ ${line}`);
    else left.splice(index, 1);
  }
  return [...more, ...left.map((line) => `- ${line}`)];
}

function files(directory: string): string[] {
  return below(directory)
    .map((path) => relative(directory, path))
    .filter((path) => !isDatabaseWork(path) && !path.endsWith('.trial'));
}

/** Not by one recursive call: that one fails when a folder goes while it is at work. */
function below(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? [path, ...below(path)] : [path];
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** SQLite makes and removes these as it likes. */
function isDatabaseWork(path: string): boolean {
  return /\.(db|lock)-(wal|shm|journal)$/.test(path);
}

function processesOf(run: string): string[] {
  const mark = `${RUN_VARIABLE}=${run}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(mark))
    .filter((pid) => !OBSERVERS.some((name) => read(`/proc/${pid}/cmdline`).includes(name)));
}

/** Program, and the place that it works for: the same for its successor. */
function describe(pid: string, directory: string): string {
  const argv = read(`/proc/${pid}/cmdline`).split('\0');
  const program = argv[0]?.split('/').at(-1) ?? '';
  const script = argv[1]?.endsWith('.ts') === true ? argv[1].split('/').slice(-3).join('/') : '';
  const own = new RegExp(`${directory}/([^/,]+)/(guests|datapath)`).exec(argv.join(' '));
  const state = argv[argv.indexOf('--state') + 1];
  const place = own?.[1] ?? (argv.includes('--state') ? state?.split('/').at(-1) : '') ?? '';
  const state3 = /^State:\s+(\S)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? '';
  const odd = state3 === 'T' || state3 === 'Z' ? ` (${state3})` : '';
  return [program, script, place, own?.[2] ?? ''].filter((word) => word !== '').join(' ') + odd;
}

/** Memory that nobody sees: a deleted file lives as long as somebody has it open. */
function deletedFiles(pid: string): string[] {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
  return names
    .map((name) => link(`/proc/${pid}/fd/${name}`))
    .filter((target) => target.endsWith(' (deleted)') && !target.startsWith('/memfd:'));
}

function mounts(run: string): string[] {
  return read('/proc/self/mounts')
    .split('\n')
    .filter((line) => line.includes(run));
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return 'gone';
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // It has ended meanwhile, or is not ours to look into.
    return '';
  }
}
