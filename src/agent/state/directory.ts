/**
 * The agent's state directory.
 *
 *   agent.sock        API (0600)                 journal.jsonl  who owns which guest (append-only)
 *   screen.sock       screens of guests (0600)
 *   agent.lock        held while an agent runs   state.db       everything else (SQLite)
 *   identity/         key and certificate        images/        base image store
 *   guests/<id>/      sockets, logs, disks       datapath/      the datapath's record and state
 *   version           layout version of this directory
 */
import { access, chmod, constants, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  checkSocketPath,
  errorText,
  SojournError,
  writeFileAtomically,
} from '../../common/index.ts';

/** Raised when an older agent could not read what a newer one wrote. */
export const LAYOUT_VERSION = 1;

/** Better no agent than guests that can be made and not be handed over: the longest path is that of a handoff. */
const LONGEST_SOCKET = 'guests/0123456789ab/out/memory.sock';

export interface StateDirectory {
  readonly path: string;
  readonly socket: string;
  readonly screenSocket: string;
  readonly journal: string;
  readonly database: string;
  readonly identity: string;
  readonly images: string;
  readonly guests: string;
  readonly datapath: string;
  /** Lets another agent have the directory. */
  release(): void;
}

/**
 * Makes or opens the directory and takes it for this process.
 *
 * @throws SojournError `socket-path-too-long`, `state-not-writable`, `state-newer`, `state-in-use`
 */
export async function openStateDirectory(path: string): Promise<StateDirectory> {
  checkSocketPath(join(path, LONGEST_SOCKET));
  await prepare(path);
  await checkVersion(path);
  const lock = takeLock(path);
  const inside = (name: string) => join(path, name);
  const directory = {
    path,
    socket: inside('agent.sock'),
    screenSocket: inside('screen.sock'),
    journal: inside('journal.jsonl'),
    database: inside('state.db'),
    identity: inside('identity'),
    images: inside('images'),
    guests: inside('guests'),
    datapath: inside('datapath'),
    release: () => lock.close(),
  };
  for (const folder of [directory.identity, directory.images, directory.guests, directory.datapath])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  return directory;
}

async function prepare(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const info = await stat(path);
    if (!info.isDirectory()) throw new Error('it is not a directory');
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    if ((info.mode & 0o077) !== 0) await chmod(path, 0o700);
  } catch (error) {
    throw new SojournError({
      kind: 'requirement',
      code: 'state-not-writable',
      message: `The state directory ${path} cannot be used: ${whyNot(error)}`,
      remedy: 'Make it writable for this user or name another one with --state DIR',
      cause: error,
    });
  }
}

async function checkVersion(path: string): Promise<void> {
  const file = join(path, 'version');
  let found: string;
  try {
    found = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await writeVersion(file);
    return;
  }
  const version = Number(found);
  if (!Number.isInteger(version) || version < 1 || version > LAYOUT_VERSION)
    throw new SojournError({
      kind: 'requirement',
      code: 'state-newer',
      message: `The state directory ${path} has layout version ${found.slice(0, 20)}, this Sojourn knows up to ${LAYOUT_VERSION}`,
      remedy: 'Run the newer Sojourn that wrote it, or name another directory with --state DIR',
    });
}

async function writeVersion(file: string): Promise<void> {
  try {
    await writeFileAtomically(file, `${LAYOUT_VERSION}\n`);
  } catch (error) {
    throw new SojournError({
      kind: 'requirement',
      code: 'state-not-writable',
      message: `The state directory ${dirname(file)} cannot be written: ${whyNot(error)}`,
      remedy: 'Free some space, make it writable, or name another one with --state DIR',
      cause: error,
    });
  }
}

/** An exclusive SQLite transaction is a lock of the kernel's: it ends with the process, however that ends. */
function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(join(path, 'agent.lock'));
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    throw new SojournError({
      kind: 'conflict',
      code: 'state-in-use',
      message: `Another agent already uses the state directory ${path}`,
      remedy:
        'Use that agent, stop it with "sojourn stop", or name another directory with --state DIR',
      cause: error,
    });
  }
  return lock;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'its file system is read-only',
  ENOSPC: 'its file system is full',
  EDQUOT: 'the quota of this user is used up',
  EEXIST: 'it is not a directory',
  ENOTDIR: 'it is not a directory, or not below one',
};

function whyNot(error: unknown): string {
  return REASONS[(error as NodeJS.ErrnoException).code ?? ''] ?? errorText(error);
}
