/** The state directory: writable, private, of a version we know, on a file system that keeps what it is given. */
import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorText, readFileIfPresent } from '../../common/index.ts';
import { LAYOUT_VERSION } from '../state/directory.ts';
import { type Check, fail, ok, room, warn } from './check.ts';

const MIB = 1024 ** 2;
const LITTLE_ROOM_BYTES = 512 * MIB;
const FEW_ROOM_BYTES = 4096 * MIB;

/** statfs(2), f_type. */
const volatileSystems: Readonly<Record<number, string>> = {
  16914836: 'tmpfs',
  2240043254: 'ramfs',
};
const remoteSystems: Readonly<Record<number, string>> = {
  26985: 'NFS',
  4283649346: 'CIFS',
  4266872130: 'SMB',
  20859: 'SMB',
};

export interface StateReading {
  readonly path: string;
  /** Whether it is there; if not, the other fields are about the nearest folder above that is. */
  readonly exists: boolean;
  readonly writable: boolean;
  /** Permission bits. */
  readonly mode: number;
  readonly ownedByUs: boolean;
  /** Content of its version file, if there is one. */
  readonly version: string | undefined;
  /** f_type of statfs(2). */
  readonly fileSystem: number;
  readonly freeBytes: number;
}

export function judgeState(reading: StateReading): Check {
  const { path, exists, mode, version, freeBytes } = reading;
  const id = 'state-directory';
  const another = 'or name another directory with --state';
  if (!reading.writable) {
    return fail(id, `${path} is not writable`, `Make it writable for this user, ${another}`);
  }
  if (exists && !reading.ownedByUs) {
    return fail(id, `${path} belongs to another user`, `Run as that user, ${another}`);
  }
  if (version !== undefined && !(Number(version) >= 1 && Number(version) <= LAYOUT_VERSION)) {
    return fail(
      id,
      `${path} has layout version ${version.slice(0, 20)}, this Sojourn knows up to ${LAYOUT_VERSION}`,
      `Run the newer Sojourn that wrote it, ${another}`,
    );
  }
  const system = reading.fileSystem >>> 0;
  const lost = volatileSystems[system];
  if (lost !== undefined) {
    return fail(
      id,
      `${path} is on ${lost} and is lost at shutdown`,
      `Move it to a disk, ${another}`,
    );
  }
  if (freeBytes < LITTLE_ROOM_BYTES) {
    return fail(id, `${path} has only ${room(freeBytes)} free`, `Free some space, ${another}`);
  }
  const remote = remoteSystems[system];
  if (remote !== undefined) {
    return warn(
      id,
      `${path} is on ${remote}: locks and sockets may not work`,
      `Use a local disk, ${another}`,
    );
  }
  if (exists && (mode & 0o077) !== 0) {
    return warn(
      id,
      `${path} is open to other users (mode ${(mode & 0o777).toString(8)})`,
      `Run "chmod 700 ${path}"; the agent does so when it starts`,
    );
  }
  const text = `${path} ${exists ? 'is writable' : 'can be made'}, ${room(freeBytes)} free`;
  return freeBytes < FEW_ROOM_BYTES
    ? warn(id, text, 'Images and overlays need room: free some')
    : ok(id, text);
}

export async function checkState(path: string): Promise<Check> {
  try {
    return judgeState(await readState(path));
  } catch (error) {
    return fail(
      'state-directory',
      `${path} cannot be examined: ${errorText(error)}`,
      'Name another directory with --state',
    );
  }
}

async function readState(path: string): Promise<StateReading> {
  const there = await nearestExisting(path);
  const [info, system] = await Promise.all([stat(there), statfs(there)]);
  const exists = there === path;
  const writable = await access(there, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => info.isDirectory(),
    () => false,
  );
  return {
    path,
    exists,
    writable,
    mode: info.mode & 0o777,
    ownedByUs: info.uid === (process.getuid?.() ?? info.uid),
    version:
      exists && writable ? (await readFileIfPresent(join(path, 'version')))?.trim() : undefined,
    fileSystem: system.type,
    freeBytes: system.bavail * system.bsize,
  };
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
    if (found || dirname(at) === at) return at;
  }
}
