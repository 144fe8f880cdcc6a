/** An agent in a network of the lab, started by the command, and everything of it that a test may want to kill. */
import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ApiClient, apiSocketPath, type GuestView, type Status } from '../../src/api/index.ts';
import type { Lab, Namespace } from '../lab/index.ts';
import { noteLine } from './recent-lines.ts';

const COMMAND = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** Which accelerator works is proved once for all runs. */
const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));
const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 30_000;
const COMMAND_DEADLINE_MS = 60_000;

export type Side = 'device' | 'site';

const logLine = z.looseObject({ msg: z.string() });
export type LogLine = z.infer<typeof logLine>;

export interface AgentPlaceOptions {
  readonly lab: Pick<Lab, 'directory' | Side>;
  readonly side: Side;
  readonly name: string;
  readonly flags: readonly string[];
  /** Of its state and its log; default: its side. */
  readonly folder?: string;
  /** Default: that of its side. */
  readonly namespace?: Namespace;
  /** A command that its agent is always started by. */
  readonly through?: readonly string[];
  /** Where its log goes. */
  readonly logs: string;
  /** How long a command may take. */
  readonly commandDeadlineMs?: number;
}

export class AgentPlace extends EventEmitter<{ line: [LogLine] }> {
  readonly side: Side;
  readonly name: string;
  readonly state: string;
  readonly namespace: Namespace;
  readonly #options: AgentPlaceOptions;
  readonly #log: WriteStream;
  #agent: ChildProcess | undefined;
  #api: ApiClient | undefined;

  constructor(options: AgentPlaceOptions) {
    super();
    this.setMaxListeners(0);
    const { lab, side, name, logs, folder = side, namespace = lab[side] } = options;
    this.#options = options;
    this.side = side;
    this.name = name;
    this.state = join(lab.directory, folder);
    this.namespace = namespace;
    this.#log = createWriteStream(join(logs, `${folder}.log`), { flags: 'a' });
  }

  get api(): ApiClient {
    if (this.#api === undefined) throw new Error(`the agent of ${this.name} does not run`);
    return this.#api;
  }

  get isUp(): boolean {
    return this.#api !== undefined;
  }

  /** Starts the agent, by the command `through` if there is one; resolves when it answers. */
  async start(through = this.#options.through ?? []): Promise<void> {
    const { side, flags } = this.#options;
    const base = [process.execPath, COMMAND, 'agent', '--profile', side, '--state', this.state];
    const agent = await this.namespace.spawn(
      [...through, ...base, '--name', this.name, '--log-level', 'debug', ...flags],
      { stdout: 'pipe', stderr: 'pipe', env: this.#environment },
    );
    this.#agent = agent;
    agent.stderr?.on('data', (data) => this.#log.write(data));
    const ready = Promise.withResolvers<void>();
    if (agent.stdout === null) throw new Error('the agent has no output');
    createInterface({ input: agent.stdout }).on('line', (text) => {
      this.#log.write(`${text}\n`);
      noteLine(this.state, text);
      const line = logLine.parse(JSON.parse(text));
      if (line.msg === 'agent ready') ready.resolve();
      this.emit('line', line);
    });
    agent.once('exit', (code) => ready.reject(new Error(`the agent of ${this.name}: ${code}`)));
    await within(ready.promise, START_DEADLINE_MS, `the agent of ${this.name} to be ready`);
    this.#api = await ApiClient.connect(apiSocketPath(this.state));
  }

  get pid(): number {
    const pid = this.#agent?.pid;
    if (pid === undefined) throw new Error(`the agent of ${this.name} does not run`);
    return pid;
  }

  /** `kill -9`, and nothing else. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  /** As a service manager or a shell ends it: guests and datapath go on. */
  async terminate(): Promise<void> {
    await this.#signal('SIGTERM');
  }

  /** Stops the agent's process for as long as `action` takes. */
  async whilePaused<T>(action: () => Promise<T>): Promise<T> {
    const agent = this.#agent;
    if (agent === undefined) throw new Error(`the agent of ${this.name} does not run`);
    agent.kill('SIGSTOP');
    try {
      return await action();
    } finally {
      agent.kill('SIGCONT');
    }
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Runs `sojourn ARGS`; returns its standard output, or throws with the command's own words. */
  sojourn(...args: string[]): Promise<string> {
    const [file = '', ...rest] = this.namespace.command([
      ...[process.execPath, COMMAND, ...args, '--state', this.state],
    ]);
    const env = { ...process.env, ...this.#environment };
    const timeout = this.#options.commandDeadlineMs ?? COMMAND_DEADLINE_MS;
    return new Promise((resolve, reject) => {
      execFile(file, rest, { timeout, env }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(stderr.trim()));
      });
    });
  }

  status(): Promise<Status> {
    return this.api.call('status', {});
  }

  async guest(name: string): Promise<GuestView | undefined> {
    return (await this.api.call('guest.list', {})).find((guest) => guest.name === name);
  }

  /** Calls `take` with every status until the signal is aborted or the agent has died. */
  watch(take: (status: Status) => void, signal: AbortSignal): void {
    this.api.call('status.watch', {}, { signal, onItem: take }).catch(() => undefined);
  }

  async datapathPid(): Promise<number> {
    const { datapath } = await this.status();
    if (!datapath.running) throw new Error(`no datapath at ${this.name}: ${datapath.reason}`);
    return datapath.pid;
  }

  /** From its own record: also while the agent is dead. */
  recordedDatapathPid(): number {
    const path = join(this.state, 'datapath', 'datapath.pid.json');
    const record = z.object({ process: z.object({ pid: z.int().positive() }) });
    return record.parse(JSON.parse(readFileSync(path, 'utf8'))).process.pid;
  }

  /** QEMUs of guests at this place; with `incoming` only those that wait for a guest. */
  guestPids(kind: 'all' | 'incoming' = 'all'): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const argv = argumentsOf(pid);
        const isGuest =
          argv[0]?.includes('qemu-system') === true &&
          argv.some((argument) => argument.includes(`${this.state}/guests/`));
        return isGuest && (kind === 'all' || argv.includes('-incoming'));
      });
  }

  /** Resolves with the first line of the log from now on that `matches`. */
  async logged(matches: (line: LogLine) => boolean, deadlineMs: number): Promise<LogLine> {
    const { promise, resolve } = Promise.withResolvers<LogLine>();
    const look = (line: LogLine) => {
      if (matches(line)) resolve(line);
    };
    this.on('line', look);
    try {
      return await within(promise, deadlineMs, `a line in the log of ${this.name}`);
    } finally {
      this.off('line', look);
    }
  }

  close(): void {
    this.#api?.close();
    this.#log.end();
  }

  get #environment(): NodeJS.ProcessEnv {
    const { lab } = this.#options;
    return { HOME: lab.directory, XDG_CACHE_HOME: CACHE, SOJOURN_STATE: undefined };
  }

  async #signal(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    this.#api = undefined;
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
    const gone = once(agent, 'exit');
    agent.kill(signal);
    await within(gone, STOP_DEADLINE_MS, `the agent of ${this.name} to end`);
  }
}

export async function within<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`waited ${deadlineMs} ms in vain for ${what}`)),
    deadlineMs,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    // It ended meanwhile.
    return [];
  }
}
