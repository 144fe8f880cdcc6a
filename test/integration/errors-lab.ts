/**
 * Two real agents on the loopback of a network namespace, driven through the real command: for the tests of what
 * people are told when something cannot be done. No TAP, no emulated link; a guest boots in two seconds.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { expect, vi } from 'vitest';
import {
  ApiClient,
  apiSocketPath,
  type GuestState,
  type GuestView,
  programVersion,
} from '../../src/api/index.ts';
import { buildProgram } from '../../src/cli/program/index.ts';
import { type Finished, jsonLines, runCli } from '../cli/run-cli.ts';
import { endProcess, Namespace } from '../lab/namespace.ts';
import { TinyConsole } from '../lab/tiny-guest.ts';
import { processesIn } from './errors-processes.ts';
import type { QemuChange } from './errors-qemu.ts';
import { noteLine } from './recent-lines.ts';
import { tinyImage } from './tiny-image.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
export const SITE_PORT = 7420;

export interface AgentSettings {
  readonly env?: NodeJS.ProcessEnv;
  /** Shell commands in a mount namespace of its own, before the agent starts there. */
  readonly mounts?: string;
}

/** Everything of one test file: namespace, directories, agents. */
export class ErrorsLab implements AsyncDisposable {
  readonly namespace: Namespace;
  readonly directory: string;
  readonly #agents: LabAgent[] = [];

  /** On a tmpfs: overlays in memory. */
  readonly memory: string;

  private constructor(namespace: Namespace, directory: string, memory: string) {
    this.namespace = namespace;
    this.directory = directory;
    this.memory = memory;
  }

  static async create(): Promise<ErrorsLab> {
    const directory = await mkdtemp(join(tmpdir(), 'sojourn-errors-'));
    const memory = await mkdtemp('/dev/shm/sojourn-errors-');
    const namespace = await Namespace.create('errors', {
      XDG_CACHE_HOME: join(directory, 'cache'),
      XDG_RUNTIME_DIR: memory,
      SOJOURN_STATE: undefined,
    });
    await namespace.ip('link set lo up');
    return new ErrorsLab(namespace, directory, memory);
  }

  /** An agent that is not started yet. */
  agent(name: string, args: readonly string[], settings: AgentSettings = {}): LabAgent {
    const agent = new LabAgent(this, name, args, settings);
    this.#agents.push(agent);
    return agent;
  }

  device(name = 'laptop', settings: AgentSettings = {}): LabAgent {
    return this.agent(name, ['--profile', 'device', '--accelerator', 'tcg'], settings);
  }

  site(
    name = 'cloud',
    settings: AgentSettings = {},
    port = SITE_PORT,
    more: readonly string[] = [],
  ): LabAgent {
    const listen = ['--listen', `127.0.0.1:${port}`, '--advertise', '127.0.0.1'];
    const homes = ['--hoa4', '10.77.0.0/24', '--hoa6', '2001:db8:7700::/48'];
    const args = ['--profile', 'site', '--accelerator', 'tcg', ...listen, ...homes];
    return this.agent(name, [...args, ...more], settings);
  }

  /** A site and a device that are paired and have the tiny image. */
  async pair(
    settings: { device?: AgentSettings; site?: AgentSettings } = {},
  ): Promise<{ device: LabAgent; site: LabAgent }> {
    const device = this.device('laptop', settings.device);
    const site = this.site('cloud', settings.site);
    await this.join(device, site);
    return { device, site };
  }

  /** Starts and pairs them. */
  async join(device: LabAgent, site: LabAgent): Promise<void> {
    await Promise.all([device.start(), site.start()]);
    const image = await this.tinyImage();
    await Promise.all([device, site].map((agent) => agent.call('image.import', { path: image })));
    const { invite } = await site.call('place.invite', {});
    await device.call('place.pair', { invite });
  }

  /** Folder of an image named `tiny` that can be imported. */
  tinyImage(name = 'tiny'): Promise<string> {
    return tinyImage(join(this.directory, `image-${name}`), name);
  }

  /** Ids of the processes of this lab whose command line contains the text. */
  processes(text: string): number[] {
    return processesIn(this.namespace.mark, text);
  }

  /** Ids of the QEMUs that are guests. */
  guestProcesses(): number[] {
    return this.processes('-uuid');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.end()));
    // Guests and datapaths outlive their agents on purpose.
    for (const pid of this.processes('')) process.kill(pid, 'SIGKILL');
    await this.namespace.close();
    for (const folder of [this.directory, this.memory])
      await rm(folder, { recursive: true, force: true });
  }
}

export class LabAgent {
  readonly name: string;
  readonly state: string;
  /** Comes first on the agent's PATH. */
  readonly bin: string;
  readonly #lab: ErrorsLab;
  readonly #args: readonly string[];
  readonly #settings: AgentSettings;
  #child: ChildProcess | undefined;
  #client: ApiClient | undefined;

  constructor(lab: ErrorsLab, name: string, args: readonly string[], settings: AgentSettings) {
    this.#lab = lab;
    this.name = name;
    this.#args = args;
    this.#settings = settings;
    this.state = join(lab.directory, name);
    this.bin = join(lab.directory, `${name}-bin`);
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`the agent ${this.name} does not run`);
    return pid;
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      XDG_CACHE_HOME: join(this.#lab.directory, 'cache'),
      XDG_RUNTIME_DIR: this.#lab.memory,
      PATH: `${this.bin}:${process.env.PATH}`,
      ...this.#settings.env,
    };
  }

  /** Resolves when it is ready, or with how it ended. */
  async start(extra: readonly string[] = []): Promise<Finished | undefined> {
    await mkdir(this.bin, { recursive: true });
    const own = ['agent', ...this.#args, '--name', this.name, '--state', this.state, ...extra];
    const { mounts } = this.#settings;
    const command = [
      ...(mounts === undefined
        ? []
        : ['unshare', '--mount', 'sh', '-c', `set -e; ${mounts}; exec "$@"`, 'sh']),
      ...[process.execPath, MAIN, ...own],
    ];
    const options = { stdout: 'pipe', stderr: 'pipe', env: this.environment };
    const child = await this.#lab.namespace.spawn(command, options);
    this.#child = child;
    let stdout = '';
    let stderr = '';
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const ready = Promise.withResolvers<undefined>();
    if (child.stdout === null) throw new Error('the agent has no standard output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      stdout += `${line}\n`;
      noteLine(this.state, line);
      if (line.includes('"agent ready"')) ready.resolve(undefined);
    });
    const ended = once(child, 'close').then(([code, signal]) => {
      return { code, signal, stdout, stderr } as Finished;
    });
    return Promise.race([ready.promise, ended]);
  }

  /** Ends the process as a signal would, guests go on. */
  async end(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    if (this.#child !== undefined) await endProcess(this.#child);
  }

  async restart(): Promise<void> {
    await this.end();
    expect(await this.start()).toBeUndefined();
  }

  /** The command, with this agent's state directory. */
  cli(...args: string[]): Promise<Finished> {
    return runCli([...args, '--state', this.state], this.environment);
  }

  /** Runs the command, which must succeed, and returns its last JSON document. */
  async ok<Result = unknown>(...args: string[]): Promise<Result> {
    const run = await this.cli(...args, '--json');
    expect(run, args.join(' ')).toMatchObject({ code: 0 });
    return jsonLines(run.stdout).at(-1) as Result;
  }

  /** Runs the command, which must fail as told; see `expectError`. */
  async fails(args: readonly string[], wanted: Wanted): Promise<ShownError> {
    return expectError(await this.cli(...args, '--json'), wanted);
  }

  /** A call without the command, for what is not under test. */
  async call<Name extends Parameters<ApiClient['call']>[0]>(
    name: Name,
    input: Parameters<typeof ApiClient.prototype.call<Name>>[1],
  ) {
    this.#client ??= await ApiClient.connect(apiSocketPath(this.state));
    return this.#client.call<Name>(name, input);
  }

  async guest(name: string): Promise<GuestView> {
    return this.call('guest.show', { guest: name });
  }

  async stateOf(name: string): Promise<GuestState['kind']> {
    return (await this.guest(name)).state.kind;
  }

  /** Resolves once the guest is in that state. */
  async reaches(guest: string, kind: GuestState['kind']): Promise<GuestState> {
    for (;;) {
      const { state } = await this.guest(guest);
      if (state.kind === kind) return state;
      await sleep(50);
    }
  }

  /** The shell of a guest that has just been started. */
  async shell(guest: string): Promise<TinyConsole> {
    const { socketPath } = await this.call('guest.console', { guest });
    const log = join(dirname(socketPath), 'console.log');
    while (!(await readFile(log, 'latin1')).includes('TINY-GUEST-READY')) await sleep(50);
    return TinyConsole.connect(socketPath);
  }

  /** Puts a program before the real one on the agent's PATH; the agent sees it when it is asked next. */
  async install(program: string, script: string): Promise<void> {
    await mkdir(this.bin, { recursive: true });
    const path = join(this.bin, program);
    await rm(path, { force: true });
    await writeFile(path, script, { mode: 0o755 });
  }
}

/** The real QEMU of the PATH, but for what it tells about itself. */
export function changedQemu(change: QemuChange): string {
  const program = join(import.meta.dirname, 'errors-qemu.ts');
  return `#!/bin/sh\nexec ${process.execPath} ${program} '${JSON.stringify(change)}' "$@"\n`;
}

export interface Wanted {
  readonly exit: number;
  readonly code: string;
  /** Of the whole line: what, why, what to do. */
  readonly line: RegExp;
  /** Several things are wrong at once: the line may be long. */
  readonly several?: boolean;
}

export interface ShownError {
  readonly kind: string;
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

/**
 * A failed command said one readable line on standard error and, with `--json`, the same as JSON last on standard
 * output; every command that it advises exists.
 */
export function expectError(run: Finished, wanted: Wanted): ShownError {
  expect(run.stderr).toMatch(wanted.line);
  expect(run).toMatchObject({ code: wanted.exit, signal: null });
  expectReadable(run.stderr, wanted.several ? Number.POSITIVE_INFINITY : LONGEST_LINE);
  const { error } = jsonLines(run.stdout).at(-1) as { error: ShownError };
  expect(error.code).toBe(wanted.code);
  expect(run.stderr).toContain(error.message);
  // Who has cancelled knows what to do.
  if (error.kind === 'cancelled') return error;
  expect(error.remedy, 'what to do').toBeTruthy();
  expect(run.stderr).toContain(error.remedy);
  return error;
}

const LONGEST_LINE = 420;

export function expectReadable(stderr: string, longest = LONGEST_LINE): void {
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  const [line = ''] = lines;
  // A sentence, or the name of a guest, place, file or option first.
  expect(line).toMatch(/^sojourn: \S.*\.$/);
  expect(line.length, line).toBeLessThan(longest);
  expect(line).not.toMatch(/`|undefined|\[object|Error:|\n\s+at |\.\.(?!\w)|\. \./);
  for (const [, text = ''] of line.matchAll(/"(sojourn[ "][^"]*|sojourn)"/g)) expectCommand(text);
}

/** The text names a command that exists, with options that it has. */
export function expectCommand(text: string): void {
  const [, ...words] = text.split(/\s+/);
  let command: Command = buildProgram(programVersion());
  const path: string[] = [];
  while (words[0] !== undefined) {
    const next = command.commands.find(
      (child) => child.name() === words[0] || child.aliases().includes(words[0] ?? ''),
    );
    if (next === undefined) break;
    path.push(words.shift() ?? '');
    command = next;
  }
  expect(path.length, `${text} is a command`).toBeGreaterThan(0);
  const known = ['--help', ...command.options.map(({ long }) => long)];
  for (const word of words) if (word.startsWith('--')) expect(known, text).toContain(word);
}
