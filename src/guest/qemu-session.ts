/** A short-lived QEMU without a guest, or with one that is thrown away, asked over QMP. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { SojournError } from '../common/index.ts';
import { escapeComma } from './arguments.ts';
import { QmpClient, QmpClosedError, type QmpConnectOptions } from './qmp/index.ts';

/** Largest standard error kept of a QEMU that fails, bytes. */
const MAX_OUTPUT_BYTES = 64 * 1024;
const CONNECT_RETRY_MS = 10;

/** Starts `binary` with a QMP socket, runs `ask`, ends QEMU again. Throws what `ask` throws, `qemu-missing`, `qemu-failed`. */
export async function withQemu<Result>(
  binary: string,
  args: readonly string[],
  timeoutMs: number,
  ask: (qmp: QmpClient) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'sojourn-qemu-'));
  const socket = join(directory, 'qmp.sock');
  const ended = new AbortController();
  const child = execa(binary, [...args, '-qmp', `unix:${escapeComma(socket)},server=on,wait=off`], {
    stdin: 'ignore',
    stdout: 'ignore',
    maxBuffer: MAX_OUTPUT_BYTES,
    reject: false,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  void child.then(() => ended.abort(new QmpClosedError('QEMU ended')));
  try {
    const qmp = await connectWhenReady(socket, { timeoutMs }, ended.signal);
    try {
      return await ask(qmp);
    } finally {
      qmp.close();
    }
  } catch (error) {
    if (!(error instanceof QmpClosedError)) throw error;
    const { code, stderr } = await child;
    throw startError(binary, code, stderr, error);
  } finally {
    child.kill('SIGKILL');
    await child;
    await rm(directory, { recursive: true, force: true });
  }
}

/** Connects as soon as QEMU listens. Throws QmpTimeoutError, or the signal's reason when QEMU ended before. */
export async function connectWhenReady(
  socket: string,
  options: QmpConnectOptions & { readonly timeoutMs: number },
  ended: AbortSignal,
): Promise<QmpClient> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    ended.throwIfAborted();
    const left = Math.max(1, deadline - performance.now());
    try {
      return await QmpClient.connect(socket, { ...options, timeoutMs: left });
    } catch (error) {
      const notYet = error instanceof QmpClosedError && isNotListening(error.cause);
      if (!notYet || left <= 1) throw error;
    }
    await delay(CONNECT_RETRY_MS);
  }
}

/** What went wrong when a QEMU ended before it answered. `code`: the system's error, such as ENOENT. */
export function startError(
  binary: string,
  code: string | undefined,
  stderr: string | undefined,
  cause?: unknown,
): SojournError {
  if (code === 'ENOENT' || code === 'EACCES') return qemuMissing(binary, code);
  const lines = (stderr ?? '').split('\n').filter((line) => line.trim() !== '');
  const said = lines.filter((line) => !line.includes('warning:')).at(-1) ?? lines.at(-1);
  return new SojournError({
    kind: 'requirement',
    code: 'qemu-failed',
    message: `QEMU (${binary}) ended at once${said === undefined ? '' : `: ${said.trim()}`}`,
    remedy: 'Run "sojourn doctor" to check this machine',
    cause,
  });
}

export function qemuMissing(binary: string, code: string): SojournError {
  const why = code === 'EACCES' ? 'may not be run' : 'is not installed or not on the PATH';
  return new SojournError({
    kind: 'requirement',
    code: 'qemu-missing',
    message: `${binary} ${why}`,
    remedy: howToInstall[process.platform] ?? 'Install QEMU 9.2 or newer and put it on the PATH',
  });
}

/** A package of the app brings no QEMU, and not everybody has a checkout to set up. */
const howToInstall: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'Run "npm run setup", or install QEMU 9.2 or newer (Debian: qemu-system-x86, qemu-utils)',
  darwin: 'Install it with "brew install qemu"',
  win32:
    'Install QEMU 9.2 or newer (https://www.qemu.org/download/#windows) and put its folder on the PATH',
};

function isNotListening(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}
