/**
 * What two places say first on a connection, and how they agree on a version. The dialing side sends
 * HELLO, the listening one answers with HELLO or with GOODBYE and the reason.
 */
import { z } from 'zod';
import { plainText, SojournError } from '../common/index.ts';
import { OLDEST_VERSION, PROTOCOL_VERSION } from './frame.ts';

/** What people call a place, and what it is. */
export const placeInfo = z.object({
  name: z.string().min(1).max(64).transform(plainText),
  profile: z.enum(['device', 'site']),
});
export type PlaceInfo = z.infer<typeof placeInfo>;

const versions = z
  .object({ oldest: z.int().min(1).max(255), newest: z.int().min(1).max(255) })
  .refine((range) => range.oldest <= range.newest, 'oldest is newer than newest');
export type VersionRange = z.infer<typeof versions>;

const sessionId = z.string().regex(/^[0-9a-f]{32}$/);
/** Bytes received so far of each lane: control, bulk. */
const received = z.tuple([z.int().nonnegative(), z.int().nonnegative()]);
const hex256 = z.string().regex(/^[0-9a-f]{64}$/);

export const dialerHello = z.discriminatedUnion('intent', [
  z.object({
    intent: z.literal('session'),
    versions,
    place: placeInfo,
    /** Chosen by the dialing side at random. */
    session: sessionId,
    /** Counts the session's connections, so that one that was late on its way does not replace a newer one. */
    attempt: z.int().min(1),
    /** The session has been established before: the listening side must still know it. */
    resume: z.boolean(),
    received,
  }),
  z.object({
    intent: z.literal('pair'),
    versions,
    place: placeInfo,
    /** See invite.ts. */
    invite: hex256,
    proof: hex256,
  }),
]);
export type DialerHello = z.infer<typeof dialerHello>;

export const listenerHello = z.object({
  version: z.int().min(1).max(255),
  place: placeInfo,
  received,
});
export type ListenerHello = z.infer<typeof listenerHello>;

export const SPOKEN: VersionRange = { oldest: OLDEST_VERSION, newest: PROTOCOL_VERSION };

/** The newest version both speak. Error: `peer-version`. */
export function agreeOnVersion(ours: VersionRange, theirs: VersionRange): number {
  const version = Math.min(ours.newest, theirs.newest);
  if (version >= Math.max(ours.oldest, theirs.oldest)) return version;
  const older = theirs.newest < ours.oldest ? 'The other place' : 'This place';
  throw new SojournError({
    kind: 'requirement',
    code: 'peer-version',
    message: `${older} runs a Sojourn that is too old for the other (protocol ${theirs.oldest}-${theirs.newest} there, ${ours.oldest}-${ours.newest} here)`,
    remedy: 'Update Sojourn at both places',
  });
}
