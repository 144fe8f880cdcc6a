/**
 * The ownership records of the journal. Only these decide, after a crash, who may run a guest (`recovery.ts`):
 *
 *   source       started(n) ──► sealed(n+1) ──► released          the guest is the destination's
 *                    │              ├─► reclaimed(n+2)            the destination refused
 *                    └──────────────┴─► aborted(n)                the seal was never sent
 *   destination  incoming(n+1) ──► claimed(n+1)                   the guest is ours
 *                    └───────────────┴─► refused(n+1)             it never ran here and never will
 */
import { z } from 'zod';
import { guestId, placeId } from '../guest/spec.ts';

export const handoffId = z.uuid();
export const epoch = z.int().positive();

const common = {
  handoffId,
  guestId,
  epoch,
  /** The other place: the destination in a source's records, the source in a destination's. */
  peer: placeId,
  /** Milliseconds since 1970; for people, never for decisions. */
  at: z.number(),
};

export const sourceRecord = z.discriminatedUnion('type', [
  z.object({ type: z.literal('handoff-started'), ...common }),
  z.object({ type: z.literal('handoff-sealed'), ...common }),
  z.object({ type: z.literal('handoff-aborted'), ...common }),
  z.object({ type: z.literal('handoff-reclaimed'), ...common }),
  z.object({ type: z.literal('handoff-released'), ...common }),
]);

export const destinationRecord = z.discriminatedUnion('type', [
  z.object({ type: z.literal('incoming-started'), ...common }),
  z.object({ type: z.literal('incoming-claimed'), ...common }),
  z.object({ type: z.literal('incoming-refused'), ...common }),
]);

export const ownershipRecord = z.union([sourceRecord, destinationRecord]);

export type SourceRecord = z.infer<typeof sourceRecord>;
export type DestinationRecord = z.infer<typeof destinationRecord>;
export type OwnershipRecord = z.infer<typeof ownershipRecord>;
export type SourceRecordType = SourceRecord['type'];
export type DestinationRecordType = DestinationRecord['type'];
