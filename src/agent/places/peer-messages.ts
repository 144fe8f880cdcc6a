/**
 * The calls between two agents beside those of a handoff (`src/handoff/messages.ts`).
 *
 *   place.describe      what sort of place are you?
 *   place.listens       here I can be dialled from now on
 *   registry.*          to the site that anchors a guest's home address
 *   guest.whereabouts   how is the guest that you have?
 *   guest.request       hand that guest to me
 *   person.used         somebody used this device so long ago; and the others?
 */
import { z } from 'zod';
import { guestId, guestName, guestNetwork, macAddress, placeId } from '../../guest/spec.ts';
import { listening, typedCalls } from '../../transport/index.ts';

const port = z.int().min(1).max(65_535);

const homeRecord = z.object({
  guestId,
  guestName,
  place: placeId,
  placeName: z.string().max(64),
  epoch: z.int().positive(),
});

const milliseconds = z.number().nonnegative();

/** What the source knows of a handoff that took place. */
export const handoffSummary = z.object({
  handoffId: z.uuid(),
  kind: z.enum(['cold', 'armed']),
  triggerToRunningMs: milliseconds,
  pauseMs: milliseconds,
  bytesOnLink: z.int().nonnegative(),
  epoch: z.int().positive(),
  phases: z.array(z.object({ name: z.string().max(32), ms: milliseconds })).max(32),
});
export type HandoffSummary = z.infer<typeof handoffSummary>;

export const peerMessages = {
  'place.describe': {
    params: z.object({}),
    result: z.object({
      version: z.string().max(64),
      /** Where its datapath's tunnel is dialled, at the hosts of the session; null: it dials us. */
      tunnelPort: port.nullable(),
      /** Whether it gives out home addresses. */
      anchorsHomeAddresses: z.boolean(),
      /** Where a device that receives can be dialled just now. */
      listens: listening.default(null),
    }),
  },
  'place.listens': { params: z.object({ listens: listening }), result: z.object({}) },
  'registry.allocate': {
    params: z.object({ guestId, guestName, mac: macAddress }),
    result: z.object({ network: guestNetwork }),
  },
  'registry.free': { params: z.object({ guestId }), result: z.object({}) },
  /** The guest is at `place` from `epoch` on. Only the place that has had it may say so. */
  'registry.locate': {
    params: z.object({ guestId, place: placeId, epoch: z.int().positive() }),
    result: z.object({ record: homeRecord.nullable() }),
  },
  /** Said by the place that has the guest: `place` may take it over under `epoch`, and tell so itself. */
  'registry.expect': {
    params: z.object({ guestId, place: placeId, epoch: z.int().positive() }),
    result: z.object({}),
  },
  'registry.find': {
    params: z.object({ guestId }),
    result: z.object({ record: homeRecord.nullable() }),
  },
  'guest.whereabouts': {
    params: z.object({ guestId }),
    result: z.object({ state: z.enum(['running', 'paused', 'stopped', 'unknown']) }),
  },
  'guest.request': {
    params: z.object({
      guestId,
      urgent: z.boolean().default(false),
      slowGuest: z.boolean().default(false),
    }),
    /** The asking place sees the guest arrive by itself; an error says why it stayed. */
    result: handoffSummary,
  },
  /** Milliseconds; null: nobody knows. The answer is of the device that was used last, of those that had a guest in common. */
  'person.used': {
    params: z.object({ usedMsAgo: milliseconds.nullable() }),
    result: z.object({ usedMsAgo: milliseconds.nullable() }),
  },
  'guest.cancel-request': { params: z.object({ guestId }), result: z.object({}) },
} as const;

export const peerCalls = typedCalls(peerMessages);

/** Ordinary questions, ms. */
export const QUESTION_MS = 10_000;
/** A handoff that was asked for takes as long as it takes; the asking side gives up after this, ms. */
export const REQUEST_MS = 3_600_000;
