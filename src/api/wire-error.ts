import type { z } from 'zod';
import { asSojournError, SojournError } from '../common/index.ts';
import type { WireError } from './protocol.ts';

/** Longest text of an error on the wire, characters: an error must never exceed the line cap. */
const MAX_TEXT = 4096;

export function toWireError(error: unknown): WireError {
  const { kind, code, message, remedy } = asSojournError(error);
  const wire: WireError = { kind, code, message: message.slice(0, MAX_TEXT) };
  return remedy === undefined ? wire : { ...wire, remedy: remedy.slice(0, MAX_TEXT) };
}

export function fromWireError(wire: WireError): SojournError {
  return new SojournError(wire);
}

/** What a schema refused, on one line: `vcpus: Too small: expected number to be >=1`. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 4)
    .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
    .join('; ');
}
