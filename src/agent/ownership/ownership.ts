/**
 * Who owns a guest, read from this place's journal alone. Pure; the only other say is the other place's
 * journal, asked when this one ends in a seal without an answer.
 */
import { z } from 'zod';
import { guestId, placeId } from '../../guest/spec.ts';
import { ownershipRecord } from '../../handoff/index.ts';

/** Ownership records that are not part of a handoff. */
const lifeRecord = z.discriminatedUnion('type', [
  z.object({ type: z.literal('guest-created'), guestId, epoch: z.literal(1), at: z.number() }),
  z.object({ type: z.literal('guest-deleted'), guestId, at: z.number() }),
  /** For the audit: a person decided an in-doubt handoff, warned of what it means if that is wrong. */
  z.object({
    type: z.literal('guest-forced'),
    guestId,
    handoffId: z.uuid(),
    decision: z.enum(['keep-here', 'give-up-here']),
    peer: placeId,
    at: z.number(),
  }),
]);

export const journalRecord = z.union([lifeRecord, ownershipRecord]);
export type JournalRecord = z.infer<typeof journalRecord>;

export type Ownership =
  /** Never ours, or deleted. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'here'; readonly epoch: number; readonly since: number }
  /** A seal was written and no answer is on record: it stays paused here until one is. */
  | {
      readonly kind: 'in-doubt';
      readonly epoch: number;
      readonly handoffId: string;
      readonly peer: string;
      readonly since: number;
    }
  | {
      readonly kind: 'elsewhere';
      readonly epoch: number;
      readonly place: string;
      readonly since: number;
    };

/** Folds the records of one guest, oldest first. */
export function ownershipOf(records: readonly JournalRecord[]): Ownership {
  let owned: Ownership = { kind: 'unknown' };
  /** What held before the seal or the claim of a handoff, should that be taken back. */
  const before = new Map<string, Ownership>();
  for (const record of records) {
    const since = record.at;
    // The late end of a handoff that a newer one has overtaken changes nothing.
    const overtaken = 'epoch' in record && owned.kind !== 'unknown' && record.epoch < owned.epoch;
    switch (record.type) {
      case 'guest-created':
        owned = { kind: 'here', epoch: record.epoch, since };
        break;
      case 'guest-deleted':
        owned = { kind: 'unknown' };
        break;
      case 'handoff-sealed': {
        if (overtaken) break;
        before.set(record.handoffId, owned);
        const { epoch, handoffId, peer } = record;
        owned = { kind: 'in-doubt', epoch, handoffId, peer, since };
        break;
      }
      case 'handoff-aborted':
        if (owned.kind === 'in-doubt' && owned.handoffId === record.handoffId)
          owned = before.get(record.handoffId) ?? owned;
        break;
      case 'handoff-released':
        if (overtaken) break;
        owned = { kind: 'elsewhere', epoch: record.epoch, place: record.peer, since };
        break;
      case 'handoff-reclaimed':
        if (overtaken) break;
        owned = { kind: 'here', epoch: record.epoch, since };
        break;
      case 'incoming-claimed':
        if (overtaken) break;
        before.set(record.handoffId, owned);
        owned = { kind: 'here', epoch: record.epoch, since };
        break;
      case 'incoming-refused':
        // After a claim: it provably never ran here.
        if (owned.kind === 'here' && owned.epoch === record.epoch)
          owned = before.get(record.handoffId) ?? owned;
        break;
      // The handoff's own record of the same decision is what counts.
      case 'guest-forced':
      case 'handoff-started':
      case 'incoming-started':
        break;
    }
  }
  return owned;
}
