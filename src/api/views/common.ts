/** What many views are made of. */
import { z } from 'zod';
import { placeId } from '../../guest/spec.ts';

export const count = z.int().nonnegative();
export const milliseconds = z.number().nonnegative();
export const time = z.iso.datetime();

/** Something a person should know, with a stable code. */
export const notice = z.object({
  code: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  severity: z.enum(['info', 'warning', 'error']),
  /** What and why, without a trailing full stop. */
  text: z.string(),
  /** What to do about it, in the imperative. */
  remedy: z.string().optional(),
  /** When it became true. */
  since: time,
  /** It is shown only after it has been true this long, so that a flaky network does not flood anyone. */
  showAfterMs: milliseconds.default(0),
});

export const placeRef = z.object({ id: placeId, name: z.string() });

export type Notice = z.output<typeof notice>;
export type PlaceRef = z.output<typeof placeRef>;
