/** What one direction of the emulated link does to frames, and how that changes over time. */
import { z } from 'zod';

const probability = z.number().min(0).max(1);

/** Two-state burst loss (Gilbert 1960, Elliott 1963); the state is drawn anew for every frame. */
const burstLoss = z.object({
  /** Chance per frame of entering the bad state; its mean spacing is 1/enter frames. */
  enter: probability,
  /** Chance per frame of leaving it; the mean burst is 1/leave frames long. */
  leave: probability,
  /** Chance that a frame is lost while the state is bad. */
  loss: probability.default(1),
});

/**
 * `up`: works. `cut`: no link; frames that wait, travel or arrive are lost. `stalled`: nothing moves,
 * everything is kept (as far as the queue holds) and delivered afterwards. `blackhole`: frames that
 * arrive are lost in silence, those under way are delivered.
 */
export const linkState = z.enum(['up', 'cut', 'stalled', 'blackhole']);

export const directionParameters = z.object({
  /** Bits a second of Ethernet frames without preamble and checksum; null: no limit. */
  rateBitsPerSecond: z.number().positive().max(100e9).nullable(),
  /** Propagation delay, one way. */
  delayMs: z.number().min(0).max(60_000),
  /** Added to the delay, uniform in [0, jitterMs). */
  jitterMs: z.number().min(0).max(60_000),
  /** Whether jitter may deliver a frame ahead of an earlier one. */
  reorder: z.boolean(),
  /** Chance that a frame is lost, each for itself. */
  loss: probability,
  burst: burstLoss.nullable(),
  /** Frames that wait for the transmitter, in bytes, without the one that is being sent; drop-tail. */
  queueBytes: z
    .int()
    .min(0)
    .max(1 << 30),
  state: linkState,
});
export type DirectionParameters = z.infer<typeof directionParameters>;

export const directionPatch = directionParameters.partial();
export type DirectionPatch = z.infer<typeof directionPatch>;

/** Changes at times counted from the moment when the trace is started. */
export const linkTrace = z
  .array(
    z.object({
      atMs: z.number().min(0),
      direction: z.enum(['both', 'a-to-b', 'b-to-a']).default('both'),
      set: directionPatch,
    }),
  )
  .max(100_000);
export type LinkTrace = z.input<typeof linkTrace>;

/** A wire: no limit, no delay, no loss. */
export const idealDirection: DirectionParameters = {
  rateBitsPerSecond: null,
  delayMs: 0,
  jitterMs: 0,
  reorder: false,
  loss: 0,
  burst: null,
  queueBytes: 256 * 1024,
  state: 'up',
};
