/**
 * The calls of a handoff between two agents, all from the source to the destination. Each owner-changing
 * one carries handoff, guest and epoch; each may be repeated.
 *
 *   handoff.preflight   could this guest run there, and come back?       -> all problems at once
 *   handoff.prepare     start an empty QEMU for it                       -> ready for disks and memory
 *   handoff.loaded      (long) wait until disks and memory are there     -> loaded
 *   handoff.seal        it is yours from `epoch` on                      -> claimed | refused | late
 *   handoff.abort       it stays with me; forget it                      -> nothing, whatever the state
 *
 * A seal that the link kept for long may arrive when the source has taken the guest back. So it counts only within
 * `SEAL_VALID_MS` of the answer `loaded`, or with the `confirmation` of an answer `late`, within as long of that. From its
 * own side of these times the source knows when no seal of its can count any more, without any common clock.
 *
 * Memory and disks travel in channels of kind `handoff.memory` and `handoff.disk`, with the metadata below.
 */
import { z } from 'zod';
import { guestId, guestSpec } from '../guest/spec.ts';
import { preflightProblem } from './preflight.ts';
import { epoch, handoffId } from './records.ts';

const key = { handoffId, guestId, epoch };

/** The version of what the channels carry; both ends of a handoff need the same. */
export const STREAM_VERSION = 3;

/** By the destination's clocks (`seal-validity.ts`), ms. */
export const SEAL_VALID_MS = 3_000;

export const messages = {
  'handoff.preflight': {
    params: z.object({ spec: guestSpec }),
    result: z.object({ problems: z.array(preflightProblem).max(64) }),
  },
  'handoff.prepare': {
    params: z.object({
      ...key,
      spec: guestSpec,
      streamVersion: z.literal(STREAM_VERSION),
      /** It may stand by for long. */
      standby: z.boolean().default(false),
      /** When the guest has moved it shall stand by at the place that it left. */
      armBack: z.boolean().default(false),
    }),
    result: z.object({}),
  },
  'handoff.loaded': { params: z.object(key), result: z.object({}) },
  'handoff.seal': {
    params: z.object({ ...key, confirmation: z.uuid().nullable() }),
    result: z.object({
      outcome: z.enum(['claimed', 'refused', 'late']),
      /** With `late`: what the seal has to be repeated with. */
      confirmation: z.uuid().nullable(),
      reason: z.string().max(512).nullable(),
      /** When the guest began to run there, milliseconds since 1970 by the destination's clock. */
      runningAt: z.number().nullable(),
    }),
  },
  'handoff.abort': { params: z.object(key), result: z.object({}) },
} as const;

export type HandoffMethod = keyof typeof messages;
export type Params<M extends HandoffMethod> = z.infer<(typeof messages)[M]['params']>;
export type Result<M extends HandoffMethod> = z.infer<(typeof messages)[M]['result']>;
export type HandoffKey = Params<'handoff.abort'>;

export const MEMORY_CHANNEL = 'handoff.memory';
export const DISK_CHANNEL = 'handoff.disk';
export const memoryChannelMeta = z.object({ handoffId });
export const diskChannelMeta = z.object({ handoffId, disk: z.string().max(16) });
