/** What a paired place may do here: pure. */
import { z } from 'zod';
import type { JournalRecord } from '../ownership/ownership.ts';

/** Whether guests of another place may come: never, when a person here says so, or always. */
export const receiveMode = z.enum(['off', 'ask', 'always']);
export type ReceiveMode = z.infer<typeof receiveMode>;

/** What was set for one place; what was not is as everywhere. */
export const placeRights = z.object({
  receive: receiveMode.optional(),
  /** It may ask for guests that it has had before. */
  fetch: z.boolean().optional(),
  /** What its guests may take here, those that stand by included. */
  guests: z.int().nonnegative().optional(),
  memoryMiB: z.int().nonnegative().optional(),
  /** Of all their overlays together. */
  diskBytes: z.int().nonnegative().optional(),
});
export type PlaceRights = z.infer<typeof placeRights>;

export interface Limits {
  readonly guests: number | undefined;
  readonly memoryMiB: number | undefined;
  readonly diskBytes: number | undefined;
}

/** A site is there to receive; on a device somebody works. */
export function defaultMode(profile: 'device' | 'site'): ReceiveMode {
  return profile === 'site' ? 'always' : 'ask';
}

/**
 * Whether a guest that a place brings is on its way back, which nobody has to be asked about: it was created here; or it was
 * handed over from here to the place that brings it, and had not come from there.
 *
 * @param records of the guest in the journal of this place, oldest first
 */
export function comesBack(records: readonly JournalRecord[], from: string): boolean {
  let created = false;
  /** Who brought it last, and to whom it went last. */
  let came: string | undefined;
  let went: string | undefined;
  for (const record of records) {
    switch (record.type) {
      case 'guest-created':
        created = true;
        break;
      case 'guest-deleted':
        created = false;
        came = undefined;
        went = undefined;
        break;
      case 'incoming-claimed':
        came = record.peer;
        break;
      case 'handoff-released':
        went = record.peer;
        break;
    }
  }
  return created || (went === from && came !== undefined && came !== from);
}
