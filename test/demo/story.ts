/** What the demo tells while it runs: a timeline in words a newcomer understands, and how long steps took. */

export interface Phase {
  readonly name: string;
  readonly ms: number;
}

export class Story {
  readonly #write: (line: string) => void;
  readonly #startedAt = performance.now();
  readonly phases: Phase[] = [];

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** A line of the timeline. */
  tell(text: string): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    this.#write(`${seconds.toFixed(1).padStart(6)} s  ${text}`);
  }

  /** Text without a time. */
  say(text: string): void {
    this.#write(text);
  }

  /** Times a step under a name for the `phases` of the JSON line. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.add(name, performance.now() - start);
    }
  }

  add(name: string, ms: number): void {
    this.phases.push({ name, ms: Math.round(ms) });
  }
}
