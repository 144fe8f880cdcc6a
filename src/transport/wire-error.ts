/** How a SojournError crosses to the other place, and the errors that this folder's own files share. */
import { z } from 'zod';
import { asSojournError, type ErrorKind, SojournError } from '../common/index.ts';

/** Characters. */
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
 * A peer's text ends up on somebody's terminal: no control characters, so no escape sequences. Nor
 * lone surrogates, which JSON would write as six bytes.
 */
export function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}

const text = (max: number) => z.string().max(max).transform(plainText);

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

/** The peer broke the protocol. Ends the session: what it knows can no longer be trusted. */
export function protocolViolation(what: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'internal',
    code: 'protocol-violation',
    message: `The other place broke the peer protocol: ${what}`,
    remedy: 'Run the same version of Sojourn at both places, and report it if it happens again',
    cause,
  });
}

/** Parses JSON from the peer against a schema; protocol-violation if it does not fit. */
export function parsePeerJson<T extends z.ZodType>(schema: T, bytes: Buffer): z.infer<T> {
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw protocolViolation('a message that does not fit its schema', error);
  }
}
