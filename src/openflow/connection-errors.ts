/** How a connection, or a request over it, fails. */
import { SojournError } from '../common/index.ts';

export function unreachable(code: string, message: string, cause?: unknown): SojournError {
  return new SojournError({ kind: 'unreachable', code, message, cause });
}

export function wrongAnswer(type: string): SojournError {
  const message = `The OpenFlow peer answered with a ${type}`;
  return new SojournError({ kind: 'refused', code: 'openflow-wrong-answer', message });
}
