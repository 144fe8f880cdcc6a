/** Names and answers of QEMU that both halves of a handoff use. */
import { z } from 'zod';

/** Prefix of every job, node and export that a handoff makes in a QEMU; what carries it may be removed. */
export const HANDOFF_PREFIX = 'handoff-';
export const mirrorId = (disk: string) => `${HANDOFF_PREFIX}${disk}`;

export const migrateInfo = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  /** Present while auto-converge slows the guest down. */
  'cpu-throttle-percentage': z.number().optional(),
  ram: z
    .object({
      remaining: z.number(),
      total: z.number(),
      transferred: z.number(),
      'normal-bytes': z.number(),
      'dirty-sync-count': z.number(),
      'dirty-pages-rate': z.number(),
      'page-size': z.number(),
    })
    .optional(),
});
export type MigrateInfo = z.infer<typeof migrateInfo>;

export const statusInfo = z.object({ running: z.boolean(), status: z.string() });

/**
 * Status of a QEMU that a handoff may have left so, or that waits for one. A guest that is stopped in any other state, such as
 * `io-error`, has run since, and is not continued by a handoff.
 */
export const leftByHandoff: ReadonlySet<string> = new Set([
  'paused',
  'postmigrate',
  'finish-migrate',
  'inmigrate',
  'prelaunch',
]);

export const blockJobs = z.array(
  z.object({
    device: z.string(),
    len: z.number(),
    offset: z.number(),
    ready: z.boolean(),
    paused: z.boolean(),
  }),
);

/** `capability, state` for migrate-set-capabilities; everything a handoff depends on is set, either way. */
export function capabilities(set: Readonly<Record<string, boolean>>) {
  return {
    capabilities: Object.entries(set).map(([capability, state]) => ({ capability, state })),
  };
}
