/**
 * What is remembered of an access point: how its last losses went. People leave through the same door, and some access points are
 * lost from -62 dBm within two seconds while others carry on at -80: no rule of levels fits both.
 */
import { z } from 'zod';

/** Seconds before a loss that are kept. */
export const SPAN_MS = 20_000;
const MAX_LOSSES = 12;
const MAX_POINTS = 64;

const pointSchema = z.object({
  /** Before the loss. */
  leftMs: z.number().min(0),
  /** Lowest level so far in the span, dBm. */
  lowestDbm: z.number(),
  /** What the link could still carry, bytes. */
  bytesLeft: z.number().min(0),
});

/** One loss, from the beginning of its span to its end; `lowestDbm` falls. */
const lossSchema = z.array(pointSchema).max(MAX_POINTS);
export const lossMemorySchema = z.object({
  losses: z.array(lossSchema).max(MAX_LOSSES),
  /** How often the device went on to another access point of the same network instead. */
  roams: z.number().int().min(0),
  /** Share of the bit rate that gets through here; absent: never measured. */
  airtimeShare: z.number().min(0).max(1).optional(),
});

export type LossMemory = Readonly<z.infer<typeof lossMemorySchema>>;

export const noLosses: LossMemory = { losses: [], roams: 0 };

export interface PastReading {
  readonly atMs: number;
  readonly dbm: number;
  readonly bytesPerSecond: number;
}

/** The memory after one more loss at `lostMs`; `readings` are those of the span before it, in order. */
export function remember(
  memory: LossMemory,
  readings: readonly PastReading[],
  lostMs: number,
): LossMemory {
  const points: z.infer<typeof pointSchema>[] = [];
  let bytesLeft = 0;
  let untilMs = lostMs;
  for (const { atMs, dbm, bytesPerSecond } of [...readings].reverse()) {
    bytesLeft += (Math.min(untilMs - atMs, 2000) / 1000) * bytesPerSecond;
    untilMs = atMs;
    points.push({ leftMs: lostMs - atMs, lowestDbm: dbm, bytesLeft });
  }
  points.reverse();
  let lowest = 0;
  const falling = points.flatMap((point) => {
    if (point.lowestDbm >= lowest) return [];
    lowest = point.lowestDbm;
    return [point];
  });
  if (falling.length === 0) return memory;
  const losses = [...memory.losses, falling.slice(-MAX_POINTS)].slice(-MAX_LOSSES);
  return { ...memory, losses };
}

/** Whether leaving this access point means going on to the next one. */
export function isRoamed({ losses, roams }: LossMemory): boolean {
  return roams >= 2 && roams > 3 * losses.length;
}

export interface Remembered {
  readonly secondsLeft: number;
  readonly bytesLeft: number;
}

/** What was left at the worst loss when the level had come down to `dbm`; infinite when it never had before a loss. */
export function recall(memory: LossMemory, dbm: number): Remembered {
  let secondsLeft = Number.POSITIVE_INFINITY;
  let bytesLeft = Number.POSITIVE_INFINITY;
  for (const loss of memory.losses) {
    const highest = loss[0]?.lowestDbm ?? 0;
    if (dbm > highest) continue;
    const point = loss.find(({ lowestDbm }) => lowestDbm <= dbm);
    secondsLeft = Math.min(secondsLeft, (point?.leftMs ?? 0) / 1000);
    bytesLeft = Math.min(bytesLeft, point?.bytesLeft ?? 0);
  }
  return { secondsLeft, bytesLeft };
}
