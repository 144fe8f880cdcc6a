/**
 * The one error that reaches a person. Every module throws it for what a person can act on; anything
 * else that escapes is a defect and is reported as `internal`.
 */

/** What the caller can do about it; decides the command's exit code (see `src/cli/exit-codes.ts`). */
export type ErrorKind =
  | 'usage' // the request itself is wrong
  | 'not-found' // the named guest, place, image or file is not there
  | 'conflict' // not possible in the present state (already running, a handoff under way)
  | 'requirement' // something this machine or the other place lacks
  | 'unreachable' // a peer or the agent does not answer
  | 'refused' // a peer or a security rule said no
  | 'cancelled' // a person or a deadline ended it
  | 'internal';

export interface SojournErrorOptions {
  readonly kind: ErrorKind;
  /** Stable, kebab-case, for programs: `qemu-missing`. */
  readonly code: string;
  /** One sentence without a trailing full stop: what happened and why. */
  readonly message: string;
  /** One sentence in the imperative: what to do about it. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

export class SojournError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly remedy: string | undefined;

  constructor(options: SojournErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SojournError';
    this.kind = options.kind;
    this.code = options.code;
    this.remedy = options.remedy;
  }

  /** `what and why. What to do.` on one line. */
  get line(): string {
    const what = this.message.replace(/\s+/g, ' ');
    return this.remedy === undefined ? what : `${what}. ${this.remedy}`;
  }
}

/** The text of anything that was thrown, on one line. */
export function errorText(error: unknown): string {
  if (error instanceof SojournError) return error.line;
  if (error instanceof Error) return error.message.replace(/\s+/g, ' ');
  return String(error);
}

/** Words that a sentence begins with and that are no names. */
const OPENING =
  /^(?:A|An|Another|At|Copying|Different|It|Live|More|No|Nothing|Only|Port|Something|The|There|This|Too|What)\b/;

/** A message as a part of a longer sentence: names keep their capital letter. */
export function asClause(message: string): string {
  return message.replace(OPENING, (word) => word.toLowerCase());
}

/** Wraps what is not yet a SojournError, so that a boundary always has a kind and a code to pass on. */
export function asSojournError(error: unknown): SojournError {
  if (error instanceof SojournError) return error;
  return new SojournError({
    kind: 'internal',
    code: 'internal',
    message: errorText(error),
    remedy: 'This is a defect in Sojourn: please report it with the agent log',
    cause: error,
  });
}
