/**
 * Starts a process that outlives the agent, also when the agent is a service that is stopped with all its processes, and
 * the user's session if the system lets it: in a scope of the service manager, else in a session of its own (setsid).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { execa } from 'execa';

/** Exists where systemd is the service manager (sd_booted(3)). */
const SYSTEMD_RUNS = '/run/systemd/system';
const SYSTEMD_TIMEOUT_MS = 3_000;
/** Wanted oom_score_adj (proc_pid_oom_score_adj(5)): others go first, but a runaway guest can still be ended. */
const OOM_SCORE_ADJUSTMENTS = [-500, 0] as const;

export type Launcher = 'system-scope' | 'user-scope' | 'setsid';

export interface LaunchOptions {
  readonly binary: string;
  readonly args: readonly string[];
  /** Standard output and error are appended to it. */
  readonly logFile: string;
  /** Name of the scope unit, without `.scope`. */
  readonly unit: string;
  /** Decided by looking at the system unless given. */
  readonly launcher?: Launcher;
}

export interface ExitInfo {
  /** Undefined when it was ended by a signal, or is not this process's child. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface Launched {
  readonly pid: number | undefined;
  readonly launcher: Launcher;
  /** Resolves, never rejects. `errorCode`: the system's, when it could not be started (ENOENT). */
  readonly ended: Promise<Ended>;
  /** From now on this process may end before it does. */
  readonly letGo: () => void;
}

type Ended = ExitInfo & { readonly errorCode: string | undefined };

export async function launchDetached(options: LaunchOptions): Promise<Launched> {
  const launcher = options.launcher ?? (await chooseLauncher());
  const [file, args] =
    launcher === 'setsid'
      ? [options.binary, options.args]
      : [
          'systemd-run',
          [...scopeArguments(launcher, options.unit), options.binary, ...options.args],
        ];
  const log = await open(options.logFile, 'a', 0o600);
  try {
    // Not execa: it would relay the output through this process, whose end the child must survive.
    const child = spawn(file, args, { detached: true, stdio: ['ignore', log.fd, log.fd] });
    const { promise: ended, resolve } = Promise.withResolvers<Ended>();
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: undefined, signal: undefined, errorCode: error.code }),
    );
    child.once('exit', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, errorCode: undefined }),
    );
    return { pid: child.pid, launcher, ended, letGo: () => child.unref() };
  } finally {
    await log.close();
  }
}

/**
 * A scope of the user's manager ends with the manager, so it only helps where the manager lingers after log-out
 * (loginctl(1), enable-linger); a session of its own ends at log-out where logind kills the user's processes.
 */
export async function chooseLauncher(): Promise<Launcher> {
  if (!existsSync(SYSTEMD_RUNS)) return 'setsid';
  if (process.getuid?.() === 0) return 'system-scope';
  const answers = await succeeds('systemctl', ['--user', 'show-environment']);
  if (!answers) return 'setsid';
  const lingers = await succeeds('loginctl', ['enable-linger', userInfo().username]);
  return lingers ? 'user-scope' : 'setsid';
}

/** `shared`: but for the user's runtime directory. */
export type MemoryKept = 'all' | 'shared' | 'none';

/**
 * What is left of the user's files in memory at log-out. Unless the user lingers, logind removes $XDG_RUNTIME_DIR
 * (pam_systemd(8)), and of all but system users what is theirs in /dev/shm (logind.conf(5), RemoveIPC=).
 */
export function memoryKept(systemd: boolean, launcher: Launcher): MemoryKept {
  if (!systemd || launcher === 'user-scope') return 'all';
  return launcher === 'system-scope' ? 'shared' : 'none';
}

/** As `memoryKept`, of this system and user. */
export async function readMemoryKept(): Promise<MemoryKept> {
  return memoryKept(existsSync(SYSTEMD_RUNS), await chooseLauncher());
}

/** Returns the adjustment in force, or undefined where the system allows none. */
export async function protectFromOomKiller(pid: number): Promise<number | undefined> {
  for (const adjustment of OOM_SCORE_ADJUSTMENTS) {
    try {
      await writeFile(`/proc/${pid}/oom_score_adj`, String(adjustment));
      return adjustment;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EACCES' && code !== 'EPERM' && code !== 'ENOENT' && code !== 'ESRCH')
        throw error;
    }
  }
  return undefined;
}

function scopeArguments(launcher: Launcher, unit: string): string[] {
  const manager = launcher === 'user-scope' ? '--user' : '--system';
  return [manager, '--scope', '--quiet', '--collect', `--unit=${unit}`, '--'];
}

async function succeeds(file: string, args: readonly string[]): Promise<boolean> {
  const result = await execa(file, args, { reject: false, timeout: SYSTEMD_TIMEOUT_MS });
  return !result.failed;
}
