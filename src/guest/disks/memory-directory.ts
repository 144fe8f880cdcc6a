/**
 * Where overlays in memory live: a directory of this user's own on a tmpfs. Shared places such as /dev/shm are
 * writable by everybody, so what is found there must be ours and closed to others.
 */
import { lstat, mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { SojournError } from '../../common/index.ts';
import { type MemoryKept, readMemoryKept } from '../launch.ts';

/** statfs(2), f_type of tmpfs. */
const SHARED_DIRECTORY = '/dev/shm';
/** Where logind makes the users' runtime directories (file-hierarchy(7)). */
const RUNTIME_DIRECTORIES = '/run/user/';
const TMPFS_MAGIC = 0x01021994;
const DIRECTORY_MODE = 0o700;

export interface MemoryDirectory {
  readonly path: string;
  /** Room that overlays may still take there, bytes; the host's memory may set a lower limit. */
  readonly freeBytes: number;
}

export interface MemoryDirectoryOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Room that is needed, bytes; the first place that has it is taken. */
  readonly requiredBytes: number;
  readonly sharedDirectory?: string;
  /** As the system says unless given. */
  readonly kept?: MemoryKept;
}

/**
 * Returns `$XDG_RUNTIME_DIR/sojourn-overlays`, else `/dev/shm/sojourn-UID`, made 0700. Throws SojournError
 * `overlay-memory-short` when neither has the room or is a tmpfs; `overlay-memory-unsafe` when neither is kept at
 * log-out; `overlay-directory-unsafe` when somebody else made it.
 */
export async function memoryDirectory(options: MemoryDirectoryOptions): Promise<MemoryDirectory> {
  const kept = options.kept ?? (await readMemoryKept());
  const candidates = candidatesIn(options).filter(({ parent }) => isKept(parent, kept));
  if (candidates.length === 0) throw notKept();
  let largest = 0;
  for (const { parent, name } of candidates) {
    const freeBytes = await tmpfsRoom(parent);
    largest = Math.max(largest, freeBytes);
    if (freeBytes === 0 || freeBytes < options.requiredBytes) continue;
    const path = join(parent, name);
    await makeOwn(path);
    return { path, freeBytes };
  }
  throw new SojournError({
    kind: 'requirement',
    code: 'overlay-memory-short',
    message: `There is room for ${mebibytes(largest)} MiB of disk changes in memory, ${mebibytes(options.requiredBytes)} MiB are asked for`,
    remedy:
      'Lower it with "sojourn guest limit GUEST SIZE", or create the guest with --overlay disk',
  });
}

/** Those that there are, whatever room they have, where nobody else can have put anything. */
export async function ownMemoryDirectories(
  options: Pick<MemoryDirectoryOptions, 'environment' | 'sharedDirectory'>,
): Promise<string[]> {
  const paths = candidatesIn(options).map(({ parent, name }) => join(parent, name));
  const own = await Promise.all(paths.map((path) => isOwn(path).catch(() => false)));
  return paths.filter((_, at) => own[at]);
}

/** The most that `memoryDirectory` can find room for, bytes; 0 where there is no tmpfs that is kept at log-out. */
export async function memoryRoom(
  environment: MemoryDirectoryOptions['environment'],
): Promise<number> {
  const kept = await readMemoryKept();
  const parents = [environment.XDG_RUNTIME_DIR ?? '', SHARED_DIRECTORY].filter(
    (path) => path !== '' && isKept(path, kept),
  );
  return Math.max(0, ...(await Promise.all(parents.map(tmpfsRoom))));
}

/** In the order in which they are tried. */
function candidatesIn({
  environment,
  sharedDirectory = SHARED_DIRECTORY,
}: Pick<MemoryDirectoryOptions, 'environment' | 'sharedDirectory'>) {
  const runtime = environment.XDG_RUNTIME_DIR;
  return [
    ...(runtime ? [{ parent: runtime, name: 'sojourn-overlays' }] : []),
    { parent: sharedDirectory, name: `sojourn-${userId()}` },
  ];
}

const userId = () => process.getuid?.() ?? 0;

function isKept(directory: string, kept: MemoryKept): boolean {
  if (kept === 'all') return true;
  if (directory.startsWith(RUNTIME_DIRECTORIES)) return false;
  return kept === 'shared' || !`${directory}/`.startsWith(`${SHARED_DIRECTORY}/`);
}

/** 0 when it is not there or not a tmpfs. */
async function tmpfsRoom(directory: string): Promise<number> {
  try {
    const { type, bavail, bsize } = await statfs(directory);
    return type === TMPFS_MAGIC ? bavail * bsize : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

async function makeOwn(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (await isOwn(path)) return;
  throw new SojournError({
    kind: 'refused',
    code: 'overlay-directory-unsafe',
    message: `${path} belongs to somebody else or is open to others`,
    remedy: `Remove ${path}, or set XDG_RUNTIME_DIR to a directory of your own`,
  });
}

async function isOwn(path: string): Promise<boolean> {
  const found = await lstat(path);
  return found.isDirectory() && found.uid === userId() && (found.mode & 0o077) === 0;
}

function notKept(): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'overlay-memory-unsafe',
    message:
      'Disk changes in memory would be lost when you log out, because this system keeps nothing of yours in memory then',
    remedy: 'Run "loginctl enable-linger", or create the guest with --overlay disk',
  });
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2);
}
