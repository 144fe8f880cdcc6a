import type { SojournError } from '../../common/index.ts';

/** `warn`: works, with less than one may expect. `fail`: something will not work. */
export type CheckStatus = 'ok' | 'warn' | 'fail';

export interface Check {
  /** Stable, for programs. */
  readonly id: string;
  readonly status: CheckStatus;
  /** What was found, without a trailing full stop. */
  readonly text: string;
  /** What to do about it, in the imperative. */
  readonly remedy?: string;
}

export function ok(id: string, text: string): Check {
  return { id, status: 'ok', text };
}

export function warn(id: string, text: string, remedy?: string): Check {
  return { id, status: 'warn', text, remedy };
}

export function fail(id: string, text: string, remedy?: string): Check {
  return { id, status: 'fail', text, remedy };
}

export function failed(id: string, error: SojournError): Check {
  return fail(id, error.message, error.remedy);
}

/** Mebibytes below one gibibyte, gibibytes above. */
export function room(bytes: number): string {
  const mib = bytes / 1024 ** 2;
  return mib < 1024 ? `${Math.floor(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
}
