/** Errors that this folder's own files share. */
import type { z } from 'zod';
import { SojournError } from '../common/index.ts';

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
