import type { Notice } from '../api/index.ts';
import { SojournError } from '../common/index.ts';
import { printable } from './text.ts';

export interface CommonOptions {
  readonly state?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/**
 * What a command prints: results on standard output, everything about them on standard error. With
 * `--json` the results are JSON and nothing else is on standard output.
 */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;

  constructor(options: CommonOptions) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
  }

  /** What was asked for: printed also with `--quiet`. */
  result(document: unknown, text: string): void {
    if (this.json) this.#line(JSON.stringify(document));
    else if (text !== '') this.#line(text);
  }

  /** A confirmation: not printed with `--quiet`. */
  done(document: unknown, text: string): void {
    if (this.json) this.#line(JSON.stringify(document));
    else if (!this.quiet) this.#line(text);
  }

  /** One document of a stream; only with `--json`. */
  jsonLine(document: unknown): void {
    if (this.json) this.#line(JSON.stringify(document));
  }

  /** For people only. */
  remark(text: string): void {
    if (!this.quiet) process.stderr.write(`${text}\n`);
  }

  /** Those that have been true long enough to be shown. */
  notices(notices: readonly Notice[], nowMs: number): void {
    if (this.json) return;
    for (const notice of notices) {
      if (Date.parse(notice.since) + notice.showAfterMs > nowMs) continue;
      this.remark(noticeLine(notice));
    }
  }

  error(error: SojournError): void {
    const line = printable(error.line);
    process.stderr.write(`sojourn: ${line}${line.endsWith('.') ? '' : '.'}\n`);
    if (!this.json) return;
    const { kind, code, message, remedy } = error;
    this.#line(JSON.stringify({ error: { kind, code, message, remedy } }));
  }

  #line(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}

export function noticeLine({ severity, text, remedy }: Notice): string {
  const word = severity === 'info' ? 'note' : severity;
  return printable(`${word}: ${text}${remedy === undefined ? '' : `. ${remedy}`}`);
}

export function usageError(code: string, message: string, remedy?: string): SojournError {
  return new SojournError({ kind: 'usage', code, message, remedy });
}
