/**
 * One QEMU process with one guest. It outlives the agent; a later agent adopts it by its record.
 *
 *   start ---> running ---> exited
 *                 ^
 *   adopt --------'   (after the agent's death: same process, same command line, same guest)
 */
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { SojournError } from '../common/index.ts';
import { buildArguments } from './arguments.ts';
import { type ExitInfo, type Launcher, launchDetached, protectFromOomKiller } from './launch.ts';
import {
  identifyProcess,
  isRunning,
  type ProcessIdentity,
  processIdentity,
  signalProcess,
} from './process-identity.ts';
import { connectWhenReady, startError } from './qemu-session.ts';
import { QmpClient, QmpClosedError, type QmpLogEntry } from './qmp/index.ts';
import { checkSocketPaths, type GuestRuntime, guestPaths, guestRuntime } from './runtime.ts';
import { displayOf, type GuestSpec, guestId, hasClipboard } from './spec.ts';

/** Reading the images and setting up the devices takes well under a second; a busy host gets more. */
const START_TIMEOUT_MS = 30_000;
const ADOPT_TIMEOUT_MS = 5_000;
/** How often the end of an adopted process, which is nobody's child here, is looked for, once its QMP is closed. */
const EXIT_POLL_MS = 50;
/** A QEMU that does not answer this simplest question is not asked politely any more. */
const STATUS_TIMEOUT_MS = 2_000;
const QUIT_TIMEOUT_MS = 10_000;
const KILL_TIMEOUT_MS = 10_000;
/** Tail of QEMU's log read for the error message, characters. */
const LOG_TAIL = 4_096;

/** For the state store: all a later agent needs to find this process again. */
export const guestProcessRecord = z.object({
  version: z.literal(1),
  guestId,
  process: processIdentity,
  runtime: guestRuntime,
});
export type GuestProcessRecord = z.infer<typeof guestProcessRecord>;

export interface GuestProcessOptions {
  /** Every QMP line with its time, for evidence. */
  readonly qmpLog?: (entry: QmpLogEntry) => void;
  readonly launcher?: Launcher;
  /** Until QEMU answers, milliseconds. */
  readonly timeoutMs?: number;
}

const statusSchema = z.object({ running: z.boolean(), status: z.string() });

/** How a guest was brought to its end. */
export type StopOutcome = 'powered-down' | 'quit' | 'killed';

export class GuestProcess {
  readonly qmp: QmpClient;
  readonly record: GuestProcessRecord;
  /** Resolves, never rejects, when the process is gone. */
  readonly exited: Promise<ExitInfo>;
  /** oom_score_adj in force; undefined where the system allowed none, or for adopted processes. */
  readonly oomScoreAdjustment: number | undefined;

  private constructor(
    qmp: QmpClient,
    record: GuestProcessRecord,
    exited: Promise<ExitInfo>,
    oomScoreAdjustment?: number,
  ) {
    this.qmp = qmp;
    this.record = record;
    this.exited = exited;
    this.oomScoreAdjustment = oomScoreAdjustment;
  }

  /**
   * Starts QEMU and returns when it answers. Throws SojournError: `qemu-missing`, `qemu-failed` (with QEMU's own
   * words), `path-too-long`; QmpTimeoutError when it hangs. Nothing is left running on failure.
   */
  static async start(
    spec: GuestSpec,
    runtime: GuestRuntime,
    options: GuestProcessOptions = {},
  ): Promise<GuestProcess> {
    checkSocketPaths(runtime);
    const paths = guestPaths(runtime.directory);
    await mkdir(runtime.directory, { recursive: true, mode: 0o700 });
    const logStart = await sizeOf(paths.qemuLog);
    const launched = await launchDetached({
      binary: runtime.binary,
      args: buildArguments(spec, runtime),
      logFile: paths.qemuLog,
      unit: `sojourn-guest-${spec.id}`,
      ...(options.launcher === undefined ? {} : { launcher: options.launcher }),
    });
    const { pid, ended } = launched;
    const dead = new AbortController();
    void ended.then(() => dead.abort(new QmpClosedError('QEMU ended')));
    const connection = { timeoutMs: options.timeoutMs ?? START_TIMEOUT_MS, ...logOption(options) };
    try {
      const qmp = await connectWhenReady(paths.qmpSocket, connection, dead.signal);
      const identity = pid === undefined ? undefined : await identifyProcess(pid);
      if (identity === undefined) throw new QmpClosedError('QEMU ended');
      launched.letGo();
      if (displayOf(spec.abi) !== undefined) await chmod(paths.vncSocket, 0o600);
      if (hasClipboard(spec.abi)) await chmod(paths.vdagentSocket, 0o600);
      const adjustment = await protectFromOomKiller(identity.pid);
      const record = { version: 1 as const, guestId: spec.id, process: identity, runtime };
      return new GuestProcess(qmp, record, ended, adjustment);
    } catch (error) {
      if (pid !== undefined) await endChild(pid);
      const { errorCode } = await ended;
      if (!(error instanceof QmpClosedError)) throw error;
      throw startError(runtime.binary, errorCode, await readFrom(paths.qemuLog, logStart), error);
    }
  }

  /**
   * Finds a process again by its record. Undefined: it does not run any more (its number may belong to another
   * process now). Throws SojournError `guest-unresponsive` when it runs but does not answer, or answers as another guest.
   */
  static async adopt(
    record: GuestProcessRecord,
    options: GuestProcessOptions = {},
  ): Promise<GuestProcess | undefined> {
    if (!(await isRunning(record.process))) return undefined;
    const { qmpSocket } = guestPaths(record.runtime.directory);
    let qmp: QmpClient | undefined;
    try {
      qmp = await QmpClient.connect(qmpSocket, {
        timeoutMs: options.timeoutMs ?? ADOPT_TIMEOUT_MS,
        ...logOption(options),
      });
      const { UUID } = await qmp.query(z.object({ UUID: z.string() }), 'query-uuid');
      if (UUID !== record.guestId) throw new Error(`it runs guest ${UUID}`);
      return new GuestProcess(qmp, record, goneWithoutParent(record.process, qmp));
    } catch (error) {
      qmp?.close();
      if (!(await isRunning(record.process))) return undefined;
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-unresponsive',
        message: `QEMU (process ${record.process.pid}) of this guest runs but cannot be taken over: ${(error as Error).message}`,
        remedy: 'Make sure that no other agent runs; if none does, stop the guest with --force',
        cause: error,
      });
    }
  }

  /**
   * Presses the guest's power button; the guest may take its time, or ignore it. Throws SojournError
   * `guest-paused` when it cannot notice.
   */
  async powerdown(): Promise<void> {
    const { running, status } = await this.qmp.query(statusSchema, 'query-status', undefined, {
      timeoutMs: STATUS_TIMEOUT_MS,
    });
    if (!running) {
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-paused',
        message: `The guest is paused (${status}) and cannot shut itself down`,
        remedy: 'Let it go on first, or stop it with --force',
      });
    }
    await this.qmp.execute('system_powerdown');
  }

  /** Ends QEMU, which writes its images out first. Returns when it is gone. */
  async quit(timeoutMs = QUIT_TIMEOUT_MS): Promise<ExitInfo> {
    try {
      await this.qmp.execute('quit', undefined, { timeoutMs });
    } catch (error) {
      // It may be gone before its answer is read.
      if (!(error instanceof QmpClosedError)) throw error;
    }
    return within(this.exited, timeoutMs, 'quit');
  }

  /** Ends QEMU at once (SIGKILL). Returns when it is gone. */
  async kill(): Promise<ExitInfo> {
    await signalProcess(this.record.process, 'SIGKILL');
    return within(this.exited, KILL_TIMEOUT_MS, 'SIGKILL');
  }

  /**
   * Politely, then firmly: power button for `graceMs` (not if the guest is paused), QEMU's own end, SIGKILL.
   * Throws AggregateError when not even that ends it.
   */
  async stop(graceMs: number, quitMs = QUIT_TIMEOUT_MS): Promise<StopOutcome> {
    const errors: unknown[] = [];
    const ladder: [StopOutcome, () => Promise<unknown>][] = [
      [
        'powered-down',
        () => this.powerdown().then(() => within(this.exited, graceMs, 'power-down')),
      ],
      ['quit', () => this.quit(quitMs)],
      ['killed', () => this.kill()],
    ];
    for (const [outcome, attempt] of ladder) {
      try {
        await attempt();
        return outcome;
      } catch (error) {
        errors.push(error);
      }
    }
    throw new AggregateError(errors, `QEMU (process ${this.record.process.pid}) cannot be ended`);
  }

  /** Lets go of the process, which goes on. */
  release(): void {
    this.qmp.close();
  }
}

/** Of a child that is not reaped yet, whose number can therefore not be anybody else's. */
async function endChild(pid: number): Promise<void> {
  const identity = await identifyProcess(pid);
  if (identity !== undefined) await signalProcess(identity, 'SIGKILL');
}

async function goneWithoutParent(identity: ProcessIdentity, qmp: QmpClient): Promise<ExitInfo> {
  await qmp.closed;
  while (await isRunning(identity)) await delay(EXIT_POLL_MS, undefined, { ref: false });
  return { code: undefined, signal: undefined };
}

async function within<Value>(
  promise: Promise<Value>,
  timeoutMs: number,
  what: string,
): Promise<Value> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`QEMU did not end within ${timeoutMs} ms after ${what}`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    late.catch(() => undefined);
    timer.abort();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

async function readFrom(path: string, start: number): Promise<string> {
  const text = await readFile(path);
  return text.subarray(start).toString('utf8').slice(-LOG_TAIL);
}

function logOption(options: GuestProcessOptions): { log?: (entry: QmpLogEntry) => void } {
  return options.qmpLog === undefined ? {} : { log: options.qmpLog };
}
