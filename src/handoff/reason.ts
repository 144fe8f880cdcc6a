/** From errors to the reasons that the machines carry, and back. */
import { errorText, SojournError } from '../common/index.ts';
import type { Reason } from './source-machine.ts';

/** Longest reason that is sent to a peer, characters. */
const MAX_REASON = 500;

export function reasonOf(error: unknown): Reason {
  const code = error instanceof SojournError ? error.code : 'handoff-failed';
  return { code, message: errorText(error).slice(0, MAX_REASON) };
}

export function errorOf(reason: Reason): SojournError {
  return new SojournError({ kind: 'refused', code: reason.code, message: reason.message });
}
