/** The messages of QMP as data (docs/interop/qmp-spec.rst of QEMU). */
import { z } from 'zod';

const PASS_MARK = '"event": "MIGRATION_PASS"';
/** The mark stands right behind the time stamp; further back it is looked for by nobody. */
const PASS_MARK_WITHIN = 160;

/** Whether a line is a MIGRATION_PASS event, without parsing it. No string inside a message can hold the bare mark. */
export function isMigrationPass(line: Buffer): boolean {
  return line.subarray(0, PASS_MARK_WITHIN).includes(PASS_MARK);
}

export const greetingSchema = z.object({
  QMP: z.object({
    version: z.object({
      qemu: z.object({ major: z.int(), minor: z.int(), micro: z.int() }),
      package: z.string(),
    }),
    capabilities: z.array(z.unknown()),
  }),
});

export const messageSchema = z.union([
  z.object({
    event: z.string(),
    data: z.record(z.string(), z.unknown()).optional(),
    timestamp: z.object({ seconds: z.int(), microseconds: z.int() }),
  }),
  z.object({
    error: z.object({ class: z.string(), desc: z.string() }),
    id: z.int().optional(),
  }),
  z.object({ return: z.unknown(), id: z.int() }),
]);

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** QEMU's own time of the event, milliseconds since 1970 with fractions. */
  readonly timeMs: number;
}
