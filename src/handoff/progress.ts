/** What a person sees of a handoff while it is under way. */
import { z } from 'zod';

export const handoffPhase = z.enum([
  'preflight',
  'prepare',
  'disk',
  'memory',
  'armed',
  'switchover',
  'seal',
  'in-doubt',
  'release',
  'abort',
  'reclaim',
]);

/** A phase that has begun; `endedAt` is absent while it lasts. Milliseconds since 1970. */
export const timedPhase = z.object({
  name: handoffPhase,
  startedAt: z.number(),
  endedAt: z.number().optional(),
});

export const handoffProgress = z.object({
  handoffId: z.uuid(),
  guestId: z.uuid(),
  phase: handoffPhase,
  /** Of the phase's own stream, before compression; total is an estimate that moves as the guest writes. */
  bytesDone: z.int().nonnegative(),
  bytesTotal: z.int().nonnegative(),
  /** Bytes a second on the link, after compression; 0 while unknown. */
  bytesPerSecond: z.number().nonnegative(),
  /** Until the guest runs at the destination, milliseconds; null while nothing honest can be said. */
  etaMs: z.number().nonnegative().nullable(),
  /** What would have to cross the link to complete now, bytes; null before there is a figure. */
  residueBytes: z.int().nonnegative().nullable(),
  /** The guest writes faster than the link carries; the handoff goes on until it is cancelled or forced. */
  converging: z.boolean(),
  /** One sentence for a person, when there is something to say. */
  notice: z.string().nullable(),
});

export type HandoffPhase = z.infer<typeof handoffPhase>;
export type TimedPhase = z.infer<typeof timedPhase>;
export type HandoffProgress = z.infer<typeof handoffProgress>;

/** Keeps the phases one after the other, without gaps. */
export class PhaseTimes {
  readonly #phases: TimedPhase[] = [];

  /** Ends the phase under way and begins the next; the same phase again changes nothing. */
  enter(name: HandoffPhase, now: number): void {
    const last = this.#phases.at(-1);
    if (last?.name === name && last.endedAt === undefined) return;
    this.end(now);
    this.#phases.push({ name, startedAt: now });
  }

  end(now: number): void {
    const last = this.#phases.at(-1);
    if (last !== undefined && last.endedAt === undefined) last.endedAt = now;
  }

  get all(): readonly TimedPhase[] {
    return this.#phases.map((phase) => ({ ...phase }));
  }
}
