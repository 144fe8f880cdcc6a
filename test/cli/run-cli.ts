import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { vi } from 'vitest';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

/** Each test starts processes, on machines that may be busy. */
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as a real process. */
export class CliProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
  #stdout = '';
  #stderr = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const { SOJOURN_STATE: _state, NO_COLOR: _color, ...inherited } = process.env;
    this.child = spawn(process.execPath, [MAIN, ...args], { env: { ...inherited, ...env } });
    this.child.stdout.on('data', (chunk) => {
      this.#stdout += chunk;
    });
    this.child.stderr.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    this.child.stdin.on('error', () => {});
    this.finished = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) =>
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }),
      );
    });
  }

  /** Resolves once standard output or error contains the text; rejects when the process ends before. */
  async printed(stream: 'stdout' | 'stderr', text: string): Promise<void> {
    const soFar = () => (stream === 'stdout' ? this.#stdout : this.#stderr);
    while (!soFar().includes(text)) {
      const more = new Promise((resolve) => this.child[stream].once('data', resolve));
      const end = await Promise.race([more.then(() => undefined), this.finished]);
      if (end !== undefined && !soFar().includes(text)) {
        throw new Error(`ended without printing ${text}: ${JSON.stringify(end)}`);
      }
    }
  }
}

export function runCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const run = new CliProcess(args, env);
  run.child.stdin.end();
  return run.finished;
}

export function jsonLines(text: string): unknown[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}
