/** Node, memory, clock, and what becomes of guests when the user logs out. */
import { existsSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { freemem, userInfo } from 'node:os';
import { execa } from 'execa';
import { type Check, fail, ok, room, warn } from './check.ts';

/** First release line with type stripping, `node:sqlite` and zstd in `node:zlib`, all without flags. */
const MINIMUM_NODE = 24;
const COMMAND_TIMEOUT_MS = 3000;
const MIB = 1024 ** 2;
/** A small guest and its agent. */
const FEW_MEMORY_BYTES = 1024 * MIB;
const LITTLE_MEMORY_BYTES = 256 * MIB;
/** statfs(2), f_type of tmpfs. */
const TMPFS_MAGIC = 0x01021994;

export function judgeNode(version: string): Check {
  const text = `Node ${version}`;
  if (Number.parseInt(version, 10) >= MINIMUM_NODE) return ok('node', text);
  return fail(
    'node',
    `${text} is too old`,
    `Run the command with Node ${MINIMUM_NODE} or newer ("npm run sojourn" does)`,
  );
}

/** @param availableBytes what new programs can have without swapping */
export function judgeMemory(availableBytes: number): Check {
  const text = `${room(availableBytes)} of memory available`;
  const remedy = 'End programs that are not needed, or give guests less memory';
  if (availableBytes < LITTLE_MEMORY_BYTES) return fail('memory', `only ${text}`, remedy);
  if (availableBytes < FEW_MEMORY_BYTES) return warn('memory', `only ${text}`, remedy);
  return ok('memory', text);
}

export async function checkMemory(): Promise<Check> {
  // freemem() counts page cache as used where libuv cannot tell; the kernel's own estimate is better.
  const info = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(info)?.[1];
  return judgeMemory(kibibytes === undefined ? freemem() : Number(kibibytes) * 1024);
}

export function judgeOverlayMemory(freeBytes: number): Check {
  const id = 'overlay-memory';
  const remedy = 'Create guests with --overlay disk, or make room on /dev/shm';
  if (freeBytes === 0) return warn(id, 'no tmpfs to keep overlays in memory', remedy);
  const text = `room for ${room(freeBytes)} of overlays in memory`;
  return freeBytes < LITTLE_MEMORY_BYTES ? warn(id, `only ${text}`, remedy) : ok(id, text);
}

export async function checkOverlayMemory(env: NodeJS.ProcessEnv): Promise<Check> {
  const places = [env.XDG_RUNTIME_DIR, '/dev/shm'].filter((path) => path !== undefined);
  const free = await Promise.all(places.map(tmpfsRoom));
  return judgeOverlayMemory(Math.max(0, ...free));
}

/** 0 where there is none. */
async function tmpfsRoom(path: string): Promise<number> {
  const info = await statfs(path).catch(() => undefined);
  return info?.type === TMPFS_MAGIC ? info.bavail * info.bsize : 0;
}

/** `synchronised` undefined: the system does not tell. `builtMs`: no right clock is before that. */
export function judgeClock(
  nowMs: number,
  builtMs: number,
  synchronised: boolean | undefined,
): Check {
  const now = new Date(nowMs).toISOString();
  if (nowMs < builtMs) {
    return fail('clock', `the clock says ${now}, before this program was made`, 'Set the clock');
  }
  if (synchronised === false) {
    return warn(
      'clock',
      `the clock (${now}) is not synchronised`,
      'Turn on time synchronisation, for instance with "timedatectl set-ntp true"',
    );
  }
  const how = synchronised ? 'synchronised' : 'the system does not tell whether it is synchronised';
  return ok('clock', `${now}, ${how}`);
}

/** When this version of the program was made, or later than that by nothing that matters. */
const BUILT_MS = Date.UTC(2025, 0, 1);

export async function checkClock(nowMs: number): Promise<Check> {
  const said = await output('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  return judgeClock(nowMs, BUILT_MS, said === undefined ? undefined : said === 'yes');
}

export interface SessionReading {
  readonly root: boolean;
  /** systemd-logind manages logins here. */
  readonly logind: boolean;
  /** The user's service manager answers. */
  readonly userManager: boolean;
  readonly lingers: boolean;
}

export function judgeSession(reading: SessionReading): Check {
  const id = 'log-out';
  if (reading.root || !reading.logind) return ok(id, 'guests survive a log-out');
  const remedy = 'Run "loginctl enable-linger"';
  if (!reading.userManager) {
    return warn(
      id,
      'no systemd user manager answers: guests may be ended at log-out',
      'Log in through a session that has one, or ask the administrator to enable lingering',
    );
  }
  return reading.lingers
    ? ok(id, 'guests survive a log-out (systemd user manager, lingering)')
    : warn(id, 'the systemd user manager ends at log-out, and guests with it', remedy);
}

export async function checkSession(): Promise<Check> {
  const name = userInfo().username;
  const [manager, linger] = await Promise.all([
    output('systemctl', ['--user', 'show-environment']),
    output('loginctl', ['show-user', name, '--property=Linger', '--value']),
  ]);
  return judgeSession({
    root: process.getuid?.() === 0,
    logind: existsSync('/run/systemd/system'),
    userManager: manager !== undefined,
    lingers: linger === 'yes',
  });
}

/** Trimmed standard output; undefined when the command is missing, fails or takes too long. */
export async function output(
  command: string,
  args: readonly string[],
): Promise<string | undefined> {
  const run = await execa(command, args, {
    reject: false,
    timeout: COMMAND_TIMEOUT_MS,
    stdin: 'ignore',
  });
  return run.failed ? undefined : run.stdout.trim();
}
