/**
 * Could this guest run at that place? Asked twice before anything moves: of the destination, and of the
 * source for the way back. All problems are told at once.
 */
import { z } from 'zod';

export const preflightProblem = z.object({
  /** Stable, kebab-case: `cpu-unknown`. */
  code: z.string().max(64),
  /** `there`: at the destination; `way-back`: at the source, when the guest wants to return. */
  where: z.enum(['there', 'way-back']),
  message: z.string().max(512),
  remedy: z.string().max(512),
});

export type PreflightProblem = z.infer<typeof preflightProblem>;
