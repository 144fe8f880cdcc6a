/** Events of a guest's QEMU out of QMP logs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const entry = z.object({ timeMs: z.number(), direction: z.string(), line: z.string() });
const message = z.looseObject({
  event: z.string().optional(),
  timestamp: z.object({ seconds: z.number(), microseconds: z.number() }).optional(),
});

export interface QemuEvent {
  readonly event: string;
  /** QEMU's own time, milliseconds since 1970. */
  readonly at: number;
}

/** STOP and RESUME in all logs `*.qmp.jsonl` of a folder, in order of time. */
export function runEvents(directory: string): QemuEvent[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.qmp.jsonl'))
    .flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n'))
    .filter((line) => line.includes('STOP') || line.includes('RESUME'))
    .map((line) => message.parse(JSON.parse(entry.parse(JSON.parse(line)).line)))
    .flatMap(({ event, timestamp }) =>
      timestamp !== undefined && (event === 'STOP' || event === 'RESUME')
        ? [{ event, at: timestamp.seconds * 1000 + timestamp.microseconds / 1000 }]
        : [],
    )
    .sort((a, b) => a.at - b.at);
}

export interface Pause {
  readonly stoppedAt: number;
  readonly resumedAt: number;
}

/**
 * The switchover between two times: the first RESUME at the destination and the last STOP at the
 * source before it. Undefined when the logs do not show it.
 */
export function switchoverPause(
  source: readonly QemuEvent[],
  destination: readonly QemuEvent[],
  fromMs: number,
  toMs: number,
): Pause | undefined {
  const resumed = destination.find(
    ({ event, at }) => event === 'RESUME' && at >= fromMs && at <= toMs,
  );
  if (resumed === undefined) return undefined;
  const stopped = source.findLast(
    ({ event, at }) => event === 'STOP' && at >= fromMs && at <= resumed.at,
  );
  return stopped && { stoppedAt: stopped.at, resumedAt: resumed.at };
}
