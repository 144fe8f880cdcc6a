/** `sojourn controller` as a process, and what it says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { endProcess } from '../lab/index.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

/** A line of its log. */
interface Line {
  readonly msg: string;
  readonly gateway: string;
  readonly put: number;
  readonly deleted: number;
  readonly place?: string;
  readonly code?: string;
}

export class ControllerProcess {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  #output = '';
  #wake = () => {};

  /** @param flags beside where it listens. */
  constructor(port: number, flags: readonly string[]) {
    const argv = [MAIN, 'controller', '--listen', `ptcp:${port}`, ...flags];
    this.#child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (chunk) => {
      this.#output += chunk;
      const lines = this.#output.split('\n');
      this.#output = lines.pop() ?? '';
      this.lines.push(...lines.map((line) => JSON.parse(line)));
      this.#wake();
    });
  }

  get repairs(): Line[] {
    return this.said('repaired');
  }

  said(what: string): Line[] {
    return this.lines.filter(({ msg }) => msg === what);
  }

  /** Resolves when what it has said is enough. */
  async until(enough: (process: this) => boolean): Promise<void> {
    while (!enough(this))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  async readAgain(): Promise<void> {
    const before = this.said('read again').length;
    this.#child.kill('SIGHUP');
    await this.until(() => this.said('read again').length > before);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      await once(this.#child, 'exit');
  }

  end(): Promise<void> {
    return endProcess(this.#child);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
