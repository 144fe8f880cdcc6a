/**
 * Raw logs of the probes: one line per happening, `<word> <nanoseconds> <fields...>`, the time from
 * CLOCK_MONOTONIC. Lines `clock <ns> <realtime ns>` tie it to the time of day that captures and QEMU use.
 */
import { createWriteStream, type WriteStream } from 'node:fs';

const FLUSH_MS = 200;
const CLOCK_EVERY_MS = 5000;

export function nanoseconds(): bigint {
  return process.hrtime.bigint();
}

export class ProbeLog {
  readonly #file: WriteStream;
  readonly #timers: NodeJS.Timeout[];
  #lines: string[] = [];

  constructor(path: string) {
    this.#file = createWriteStream(path, { flags: 'a' });
    this.#file.on('error', (error) => {
      process.stderr.write(`probe log ${path}: ${error.message}\n`);
      process.exit(1);
    });
    this.#timers = [
      setInterval(() => this.#flush(), FLUSH_MS),
      setInterval(() => this.#clock(), CLOCK_EVERY_MS),
    ];
    this.#clock();
  }

  /** `line` without its end. */
  write(line: string): void {
    this.#lines.push(line);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#clock();
    this.#flush();
    await new Promise((resolve) => this.#file.end(resolve));
  }

  #clock(): void {
    const realtime = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));
    this.write(`clock ${nanoseconds()} ${realtime}`);
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    this.#file.write(`${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }
}
