/**
 * A network namespace held by a process of its own: it exists as long as that process, so nothing has
 * to be unmounted or deleted, and a crash of the lab leaves none behind (network_namespaces(7)).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
/** Deadline of a one-shot command, so that a hanging tool fails instead of stopping the run. */
const RUN_TIMEOUT_MS = 30_000;

export interface SpawnOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** File that standard output is appended to, or `pipe` for the caller to read; default: dropped. */
  readonly stdout?: string;
  readonly stderr?: string;
}

export interface RunOptions {
  /** Standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

export class Namespace {
  readonly name: string;
  readonly #holder: ChildProcess;
  readonly #env: NodeJS.ProcessEnv;
  readonly #children = new Set<ChildProcess>();

  private constructor(name: string, holder: ChildProcess, env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#holder = holder;
    this.#env = env;
  }

  /** `env` is added to the environment of everything that is started in the namespace. */
  static async create(name: string, env: NodeJS.ProcessEnv): Promise<Namespace> {
    const script = 'echo ready; exec cat';
    const holder = spawn('unshare', ['--net', '--', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      detached: true,
    });
    const failed = Promise.withResolvers<never>();
    let complaint = '';
    holder.stderr?.on('data', (text) => {
      complaint += text;
    });
    holder.on('error', failed.reject);
    holder.on('exit', () => failed.reject(new Error(`namespace ${name}: ${complaint.trim()}`)));
    failed.promise.catch(() => {});
    if (holder.stdout === null) throw new Error('the namespace holder has no output');
    await Promise.race([once(holder.stdout, 'data'), failed.promise]);
    return new Namespace(name, holder, env);
  }

  get pid(): number {
    const { pid } = this.#holder;
    if (pid === undefined) throw new Error(`namespace ${this.name} has no process`);
    return pid;
  }

  /** What /proc/PID/ns/net of the processes in it points to. */
  get mark(): string {
    return readlinkSync(`/proc/${this.pid}/ns/net`);
  }

  /** The argument vector that runs `argv` in this namespace, for people and other programs as well. */
  command(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--', ...argv];
  }

  /** Runs a command to its end; returns its standard output, throws with its standard error. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const [file = '', ...rest] = this.command(argv);
    const running = execute(file, rest, {
      env: { ...process.env, ...this.#env },
      timeout: options.timeoutMs ?? RUN_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
    // A command that does not read its input breaks the pipe; its exit status tells whether that matters.
    running.child.stdin?.on('error', () => {}).end(options.input ?? '');
    return (await running).stdout;
  }

  /** Runs `ip` with a batch of commands, one a line. */
  async ip(...commands: string[]): Promise<void> {
    await this.run(['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** Sets kernel parameters of this namespace, e.g. `net.ipv4.ip_forward`. */
  async sysctl(values: Readonly<Record<string, string | number>>): Promise<void> {
    const script = Object.entries(values)
      .map(([key, value]) => `echo '${value}' > /proc/sys/${key.replaceAll('.', '/')}`)
      .join(' && ');
    await this.run(['sh', '-c', script]);
  }

  /** Starts a process that runs on; it dies with the namespace at the latest. Standard input: a pipe. */
  async spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<ChildProcess> {
    const [file = '', ...rest] = this.command(argv);
    const files: FileHandle[] = [];
    const output = async (path = 'ignore') => {
      if (path === 'ignore' || path === 'pipe') return path;
      const handle = await open(path, 'a');
      files.push(handle);
      return handle.fd;
    };
    const child = spawn(file, rest, {
      stdio: ['pipe', await output(options.stdout), await output(options.stderr)],
      env: { ...process.env, ...this.#env, ...options.env },
      cwd: options.cwd,
      detached: true,
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    child.stdin?.on('error', () => {});
    await once(child, 'spawn');
    await Promise.all(files.map((handle) => handle.close()));
    return child;
  }

  /** Ends the processes started here and lets the namespace go. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map(endProcess));
    await endProcess(this.#holder);
  }
}

/** SIGTERM, and SIGKILL after `graceMs` if that was not enough. */
export async function endProcess(child: ChildProcess, graceMs = 2000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(timer);
}
