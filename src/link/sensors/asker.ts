/**
 * Asks one program again and again through one shell that stays: starting a process from Node costs 4 ms of CPU, from a shell a fraction of
 * it, and this happens twice a second. The shell ends when its standard input does, so nothing is left behind however we end; a
 * program that hangs is killed with the shell, as one process group.
 *
 *   -> `dev wlan0 station dump\n`      <- output of both streams, then `\0sojourn:EXIT-CODE\n`
 */
import { failure } from './command.ts';
import { Shell } from './shell.ts';

const LOOP =
  'set -f; while read -r words; do "$0" $words 2>&1; printf "\\000sojourn:%d\\n" $?; done';
const END = /\0sojourn:(\d+)\n$/;
const MAX_OUTPUT_BYTES = 1024 * 1024;
const NOT_FOUND = 127;
/** Words of a question: what a shell would understand as anything else is refused. */
const WORD = /^[\w.:-]+$/;

interface Question {
  text: string;
  readonly done: (code: number) => void;
  readonly failed: (error: Error) => void;
}

export class Asker {
  readonly #program: string;
  #shell: Shell | undefined;
  #question: Question | undefined;

  /** A name or a path. */
  constructor(program: string) {
    this.#program = program;
  }

  /** One at a time. Throws `sensor-missing`, `sensor-silent`, `sensor-failed`; no program is left over then. */
  async ask(words: readonly string[], signal: AbortSignal, limitMs: number): Promise<string> {
    if (this.#question !== undefined || !words.every((word) => WORD.test(word)))
      throw new Error(`bad question: ${words.join(' ')}`);
    const shell = this.#shell ?? this.#begin();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const question: Question = { text: '', done: resolve, failed: reject };
    this.#question = question;
    const silent = () =>
      reject(
        failure(
          'sensor-silent',
          `${this.#program} did not answer in time`,
          'Look whether the wireless driver hangs',
        ),
      );
    const timer = setTimeout(silent, limitMs);
    signal.addEventListener('abort', silent);
    if (signal.aborted) silent();
    shell.write(`${words.join(' ')}\n`);
    try {
      const code = await promise;
      this.#question = undefined;
      return this.#answer(question.text.replace(END, ''), code);
    } catch (error) {
      // Still asked: the program has not answered, and hangs or goes on printing.
      if (this.#question === question) await this.#kill();
      throw error;
    } finally {
      this.#question = undefined;
      clearTimeout(timer);
      signal.removeEventListener('abort', silent);
    }
  }

  async close(): Promise<void> {
    await this.#kill();
  }

  #answer(text: string, code: number): string {
    if (code === 0) return text;
    if (code === NOT_FOUND)
      throw failure(
        'sensor-missing',
        `${this.#program} is not installed`,
        `Install ${this.#program}`,
      );
    const why = text.trim().split('\n')[0] || `exit code ${code}`;
    const message = `${this.#program} failed: ${why.slice(0, 200)}`;
    throw failure('sensor-failed', message, `Run ${this.#program} by hand`);
  }

  #begin(): Shell {
    const shell = new Shell(LOOP, this.#program, {
      output: (text) => this.#receive(text),
      ended: () => {
        if (this.#shell !== shell) return;
        this.#shell = undefined;
        this.#question?.failed(
          failure(
            'sensor-failed',
            `The shell that asks ${this.#program} ended`,
            `Run ${this.#program} by hand`,
          ),
        );
      },
    });
    this.#shell = shell;
    return shell;
  }

  #receive(text: string): void {
    const question = this.#question;
    if (question === undefined) return;
    question.text += text;
    const code = END.exec(question.text)?.[1];
    if (code !== undefined) question.done(Number(code));
    else if (question.text.length > MAX_OUTPUT_BYTES)
      question.failed(
        failure(
          'sensor-failed',
          `${this.#program} printed without end`,
          `Run ${this.#program} by hand`,
        ),
      );
  }

  async #kill(): Promise<void> {
    const shell = this.#shell;
    this.#shell = undefined;
    await shell?.kill();
  }
}
