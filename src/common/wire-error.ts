/** How a SojournError crosses a socket: to the command, to the datapath's owner, to another place. */
import { z } from 'zod';
import { asSojournError, type ErrorKind, SojournError } from './errors.ts';

/** Characters; as JSON both together stay below 4 KiB, the smallest message that carries an error. */
const MAX_MESSAGE = 800;
const MAX_REMEDY = 400;

const kinds = [
  'usage',
  'not-found',
  'conflict',
  'requirement',
  'unreachable',
  'refused',
  'cancelled',
  'internal',
] as const satisfies readonly ErrorKind[];

/**
 * Others' text ends up on somebody's terminal: no control characters, so no escape sequences. Nor
 * lone surrogates, which JSON would write as six bytes.
 */
export function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}

const text = (max: number) =>
  z
    .string()
    .max(max)
    .transform((value): string => plainText(value));

export const wireError = z.object({
  kind: z.enum(kinds),
  code: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  message: text(MAX_MESSAGE),
  remedy: text(MAX_REMEDY).optional(),
});
export type WireError = z.infer<typeof wireError>;

export function toWireError(error: unknown): WireError {
  const { kind, code, message, remedy } = asSojournError(error);
  return {
    kind,
    code,
    message: plainText(message.slice(0, MAX_MESSAGE)),
    ...(remedy === undefined ? {} : { remedy: plainText(remedy.slice(0, MAX_REMEDY)) }),
  };
}

export function fromWireError(error: WireError): SojournError {
  return new SojournError(error);
}
