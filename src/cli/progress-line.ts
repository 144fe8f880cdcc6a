import { printable } from './text.ts';

/** Between two plain lines of one phase, ms. */
const PLAIN_INTERVAL_MS = 5000;
const RETURN_AND_CLEAR = '\r\u001b[K';
const DEFAULT_COLUMNS = 80;

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/**
 * Progress on a terminal is one line, rewritten; elsewhere a line for each new phase and one every few
 * seconds within it.
 */
export class ProgressLine {
  readonly #terminal: Terminal;
  #open = false;
  #phase = '';
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(phase: string, text: string, nowMs: number): void {
    const clean = printable(text);
    if (this.#terminal.isTTY) {
      const columns = this.#terminal.columns ?? DEFAULT_COLUMNS;
      this.#terminal.write(`${RETURN_AND_CLEAR}${clean.slice(0, columns - 1)}`);
      this.#open = true;
      return;
    }
    if (phase === this.#phase && nowMs - this.#shownAtMs < PLAIN_INTERVAL_MS) return;
    this.#phase = phase;
    this.#shownAtMs = nowMs;
    this.#terminal.write(`${clean}\n`);
  }

  /** Clears the line for what is printed next. */
  clear(): void {
    if (this.#open) this.#terminal.write(RETURN_AND_CLEAR);
    this.#open = false;
  }
}
