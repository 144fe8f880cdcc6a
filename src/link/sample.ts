/** What a sensor reads of a link at one moment, and what a trace holds. */
import { z } from 'zod';

export const media = ['wifi', 'ethernet', 'mobile'] as const;
export type Medium = (typeof media)[number];

export const bands = ['2.4', '5', '6'] as const;
export type Band = (typeof bands)[number];

const finite = z.number().min(-1e15).max(1e15);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const linkSampleSchema = z.object({
  /** Monotonic milliseconds; only differences mean something. */
  atMs: finite,
  medium: z.enum(media),
  connected: z.boolean(),
  signalDbm: z.number().min(-130).max(0).optional(),
  frequencyMhz: z.number().min(1).max(100_000).optional(),
  /** Bit rates of the last frames, Mbit/s. */
  txRateMbps: z.number().min(0).max(1e6).optional(),
  rxRateMbps: z.number().min(0).max(1e6).optional(),
  /** The access point: its address, or a name without meaning that stands for it. */
  bssid: z.string().max(64).optional(),
  /** The network: roaming between its access points is no loss. */
  network: z.string().max(128).optional(),
  // Counters since the association began.
  txPackets: count.optional(),
  txRetries: count.optional(),
  txFailed: count.optional(),
  beaconLoss: count.optional(),
  txBytes: count.optional(),
  rxBytes: count.optional(),
});

export type LinkSample = Readonly<z.infer<typeof linkSampleSchema>>;

/** Undefined for a frequency in no Wi-Fi band. */
export function bandOf(frequencyMhz: number | undefined): Band | undefined {
  if (frequencyMhz === undefined) return undefined;
  if (frequencyMhz >= 2400 && frequencyMhz < 2500) return '2.4';
  if (frequencyMhz >= 4900 && frequencyMhz < 5925) return '5';
  return frequencyMhz >= 5925 && frequencyMhz < 7200 ? '6' : undefined;
}
