/** One agent of the demo, used as a person would: by the `sojourn` command, in its network. */
import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ExecaError, execa } from 'execa';
import { ApiClient, apiSocketPath } from '../../src/api/index.ts';
import type { Lab, Namespace } from '../lab/index.ts';

const COMMAND = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** Shared by all runs: which accelerator works is proved once, and compiled programs start faster. */
const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));
const START_DEADLINE_MS = 30_000;
const COMMAND_DEADLINE_MS = 120_000;

export interface PlaceOptions {
  readonly lab: Lab;
  readonly namespace: Namespace;
  readonly profile: 'device' | 'site';
  readonly name: string;
  /** File for the agent's log. */
  readonly log: string;
  readonly flags: readonly string[];
  readonly signal: AbortSignal;
}

export class Place {
  readonly name: string;
  readonly state: string;
  readonly #options: PlaceOptions;
  readonly #agent: ChildProcess;

  private constructor(options: PlaceOptions, state: string, agent: ChildProcess) {
    this.name = options.name;
    this.state = state;
    this.#options = options;
    this.#agent = agent;
  }

  /** Starts the agent; resolves when it answers. */
  static async start(options: PlaceOptions): Promise<Place> {
    const { lab, namespace, profile, name, log, flags, signal } = options;
    const state = join(lab.directory, profile);
    const base = [process.execPath, COMMAND, 'agent', '--profile', profile, '--state', state];
    const agent = await namespace.spawn([...base, '--name', name, ...flags], {
      stdout: log,
      stderr: log,
      env: { ...environment(lab), SOJOURN_EVIDENCE: '1' },
    });
    const deadline = performance.now() + START_DEADLINE_MS;
    while (!(await answers(state))) {
      signal.throwIfAborted();
      if (agent.exitCode !== null || performance.now() > deadline)
        throw new Error(`the agent of ${name} did not start: ${lastLines(log)}`);
      await sleep(50);
    }
    return new Place(options, state, agent);
  }

  get agentPid(): number | undefined {
    return this.#agent.pid;
  }

  /** Runs `sojourn ARGS --json`; returns its standard output. Throws with the command's own words. */
  sojourn(...args: string[]): Promise<string> {
    const { signal, lab } = this.#options;
    const [file = '', ...rest] = this.#command(args);
    return new Promise((resolve, reject) => {
      execFile(
        file,
        rest,
        {
          signal,
          timeout: COMMAND_DEADLINE_MS,
          maxBuffer: 64 * 1024 * 1024,
          env: { ...process.env, ...environment(lab) },
        },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else if (signal.aborted) reject(signal.reason);
          else
            reject(
              new Error(`sojourn ${args.slice(0, 2).join(' ')} at ${this.name}: ${stderr.trim()}`),
            );
        },
      );
    });
  }

  /** The same without a deadline; `onLine` gets each line of its output when it comes. */
  async follow(args: readonly string[], onLine: (line: string) => void): Promise<void> {
    const { signal, lab } = this.#options;
    const [file = '', ...rest] = this.#command(args);
    const env = { ...process.env, ...environment(lab) };
    try {
      for await (const line of execa(file, rest, { env, cancelSignal: signal })) onLine(line);
    } catch (error) {
      signal.throwIfAborted();
      const words = error instanceof ExecaError ? `${error.stderr}`.trim() : `${error}`;
      throw new Error(`sojourn ${args.slice(0, 2).join(' ')} at ${this.name}: ${words}`);
    }
  }

  #command(args: readonly string[]): string[] {
    return this.#options.namespace.command([
      ...[process.execPath, COMMAND, ...args],
      ...['--state', this.state, '--json'],
    ]);
  }
}

/** Nothing of the user's own configuration shall matter. */
function environment(lab: Lab): NodeJS.ProcessEnv {
  return { HOME: lab.directory, XDG_CACHE_HOME: CACHE, SOJOURN_STATE: undefined };
}

async function answers(state: string): Promise<boolean> {
  try {
    (await ApiClient.connect(apiSocketPath(state))).close();
    return true;
  } catch {
    // Not there yet; the deadline of the caller decides when that is an error.
    return false;
  }
}

function lastLines(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-5).join('\n');
}
