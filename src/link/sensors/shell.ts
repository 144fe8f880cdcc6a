/** A shell that runs programs for a sensor and is gone with all of them when the sensor, or this process, is. */
import { execa } from 'execa';

export interface ShellListener {
  readonly output: (text: string) => void;
  /** Nobody can write to its output any more. */
  readonly outputEnded?: () => void;
  readonly ended: () => void;
}

export class Shell {
  readonly #child;
  readonly #end: Promise<void>;

  /** `script` finds the program in `$0`; it has to end when its standard input does. */
  constructor(script: string, program: string, { output, outputEnded, ended }: ShellListener) {
    this.#child = execa('/bin/sh', ['-c', script, program], {
      env: { LC_ALL: 'C', LANG: 'C', LANGUAGE: 'C' },
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'ignore',
      buffer: false,
      reject: false,
      // A group of its own, so that it can be killed together with the program it waits for.
      detached: true,
    });
    // A write to a shell that has just ended: its end is told anyway.
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk: Buffer) => output(chunk.toString('latin1')));
    if (outputEnded !== undefined) this.#child.stdout.on('end', outputEnded);
    this.#end = this.#child.then(ended);
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Ends the whole group at once; resolves when it is gone. */
  async kill(): Promise<void> {
    const { pid } = this.#child;
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch (error) {
      // Gone already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await this.#end;
  }
}
