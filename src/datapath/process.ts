/** Starting the datapath process and finding it again. It is detached: it outlives whoever started it. */
import { spawn } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { getCompileCacheDir } from 'node:module';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import {
  checkSocketPath,
  errorText,
  makePrivateDirectory,
  readFileIfPresent,
  SojournError,
  writeFileAtomically,
} from '../common/index.ts';
import { identifyProcess, isRunning, killProcess, processIdentity } from '../guest/index.ts';
import { DatapathClient, type DatapathClientOptions } from './client.ts';

const START_TIMEOUT_MS = 15_000;
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

export const datapathRecord = z.object({ process: processIdentity, directory: z.string() });
export type DatapathRecord = z.infer<typeof datapathRecord>;

export interface DatapathHandle {
  readonly client: DatapathClient;
  readonly record: DatapathRecord;
}

export interface DatapathStart extends DatapathClientOptions {
  /** Private directory of the datapath: socket, record (`datapath.pid.json`), state, logs. Made if missing. */
  readonly directory: string;
  /** QEMU for the TAP adapter. */
  readonly qemu?: string;
}

export function controlSocketPath(directory: string): string {
  return join(directory, 'datapath.sock');
}

/**
 * Starts a datapath; it restores the state of the one before it in that directory. An older one that still runs (it
 * hangs, or the caller would have adopted it) is killed first.
 * @throws SojournError `datapath-start` when it is not ready within 15 s or ends, `socket-path-too-long`.
 */
export async function startDatapath(options: DatapathStart): Promise<DatapathHandle> {
  const { directory, qemu } = options;
  const socket = controlSocketPath(directory);
  // `tap.sock`, `tap.qmp` and the rest are shorter.
  checkSocketPath(socket);
  await makePrivateDirectory(directory);
  await endDatapath(directory);
  await rm(socket, { force: true });
  const logPath = join(directory, 'datapath.log');
  const log = await open(logPath, 'a', 0o600);
  try {
    const child = spawn(
      process.execPath,
      [MAIN, '--directory', directory, ...(qemu === undefined ? [] : ['--qemu', qemu])],
      {
        detached: true,
        stdio: ['ignore', log.fd, log.fd, 'pipe'],
        cwd: '/',
        env: { ...process.env, ...compileCache() },
      },
    );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error('it was not ready in time')), START_TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`it ended with ${signal ?? code}`)));
    const starter = child.stdio[3] as Socket;
    starter.on('error', () => undefined);
    starter.once('data', () => resolve());
    let record: DatapathRecord;
    try {
      await promise;
      const identity = await identifyProcess(child.pid as number);
      if (identity === undefined) throw new Error('it ended at once');
      record = { process: identity, directory };
      await writeFileAtomically(recordPath(directory), JSON.stringify(record));
      await new Promise((written) => starter.write('recorded\n', written));
    } finally {
      clearTimeout(timer);
      // Without the answer it ends.
      starter.destroy();
      child.unref();
    }
    return { client: await DatapathClient.connect(socket, options), record };
  } catch (error) {
    throw new SojournError({
      kind: 'internal',
      code: 'datapath-start',
      message: `The datapath could not be started: ${errorText(error)}${await tail(logPath)}`,
      remedy: `See ${logPath}`,
      cause: error,
    });
  } finally {
    await log.close();
  }
}

/**
 * Connects to the datapath that runs in `directory`. @returns undefined when none does, or it does not answer; then
 * `startDatapath` is the cure.
 */
export async function adoptDatapath(options: DatapathStart): Promise<DatapathHandle | undefined> {
  const record = await readRecord(options.directory);
  if (record === undefined || !(await isRunning(record.process))) return undefined;
  try {
    const client = await DatapathClient.connect(controlSocketPath(options.directory), options);
    const { pid } = await client.call('status', {});
    if (pid === record.process.pid) return { client, record };
    await client.close();
  } catch (error) {
    if (!(error instanceof SojournError) || error.kind !== 'unreachable') throw error;
  }
  return undefined;
}

/** Kills the datapath of a directory, if one runs. Its TAP adapter and guests go on. */
export async function endDatapath(directory: string): Promise<void> {
  const record = await readRecord(directory);
  if (record !== undefined) await killProcess(record.process);
}

/** Compiled sources are shared with whoever starts it: every guest's network waits for a restart. */
function compileCache(): { NODE_COMPILE_CACHE?: string } {
  // Below the directory that was asked for there is one for each version of Node.
  const versioned = getCompileCacheDir();
  return versioned === undefined ? {} : { NODE_COMPILE_CACHE: dirname(versioned) };
}

function recordPath(directory: string): string {
  return join(directory, 'datapath.pid.json');
}

async function readRecord(directory: string): Promise<DatapathRecord | undefined> {
  const text = await readFileIfPresent(recordPath(directory));
  if (text === undefined) return undefined;
  try {
    return datapathRecord.parse(JSON.parse(text));
  } catch {
    // A damaged record names no process that could be trusted to be the datapath.
    return undefined;
  }
}

async function tail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  const last = text.trim().split('\n').at(-1) ?? '';
  return last === '' ? '' : ` (${last.slice(0, 300)})`;
}
