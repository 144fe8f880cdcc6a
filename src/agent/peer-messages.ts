/**
 * The calls between two agents beside those of a handoff (`src/handoff/messages.ts`).
 *
 *   place.describe      what sort of place are you?
 *   registry.*          to the site that anchors a guest's home address
 *   guest.whereabouts   how is the guest that you have?
 *   guest.request       hand that guest to me
 */
import { z } from 'zod';
import { guestId, guestName, guestNetwork, macAddress, placeId } from '../guest/spec.ts';
import { typedCalls } from '../transport/index.ts';

const port = z.int().min(1).max(65_535);
const text = z.string().max(512);

const homeRecord = z.object({
  guestId,
  guestName,
  place: placeId,
  placeName: z.string().max(64),
  epoch: z.int().positive(),
});

export const peerMessages = {
  'place.describe': {
    params: z.object({}),
    result: z.object({
      version: z.string().max(64),
      /** Where its datapath's tunnel is dialled, at the hosts of the session; null: it dials us. */
      tunnelPort: port.nullable(),
      /** Whether it gives out home addresses. */
      anchorsHomeAddresses: z.boolean(),
    }),
  },
  'registry.allocate': {
    params: z.object({ guestId, guestName, mac: macAddress }),
    result: z.object({ network: guestNetwork }),
  },
  'registry.free': { params: z.object({ guestId }), result: z.object({}) },
  /** The asking place has the guest, from `epoch` on. */
  'registry.locate': {
    params: z.object({ guestId, epoch: z.int().positive() }),
    result: z.object({ record: homeRecord.nullable() }),
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
    params: z.object({ guestId }),
    /** `outcome` as in the handoff's result; the asking place sees the guest arrive by itself. */
    result: z.object({
      outcome: z.enum(['handed-over', 'stayed']),
      reason: text.nullable(),
      result: z.unknown(),
    }),
  },
  'guest.cancel-request': { params: z.object({ guestId }), result: z.object({}) },
} as const;

export const peerCalls = typedCalls(peerMessages);

/** Ordinary questions, ms. */
export const QUESTION_MS = 10_000;
