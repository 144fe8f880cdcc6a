/** From errors to the reasons that the machines carry, and back. */
import { errorText, SojournError } from '../common/index.ts';
import type { Reason } from './source-machine.ts';

/** Longest reason that is sent to a peer, characters. */
const MAX_REASON = 500;

export function reasonOf(error: unknown): Reason {
  const code = error instanceof SojournError ? error.code : 'handoff-failed';
  if (!(error instanceof SojournError)) return { code, message: short(errorText(error)) };
  const { message, remedy } = error;
  return { code, message: short(message), ...(remedy === undefined ? {} : { remedy }) };
}

export function errorOf(reason: Reason): SojournError {
  return new SojournError({ kind: 'refused', ...reason });
}

function short(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, MAX_REASON);
}
