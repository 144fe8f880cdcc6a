/**
 * The JSON lines of minarady1/wifi_for_industrial_robotics: `timestamp` (ns) and in `payload.phy` the text that `iw dev X link`
 * printed. Rows without text are the recorder's own gaps.
 */
import { z } from 'zod';
import { bandOf, type LinkSample } from '../sample.ts';
import { type IwLink, parseIwLink } from '../sensors/iw-text.ts';
import { LONGEST_HOLE_MS, splitAtHoles, type Trace, type TraceRow } from './trace.ts';

/** Achievable throughput over the tx bit rate in these recordings, medians by band. */
export const AIRTIME_SHARE = { '2.4': 0.34, '5': 0.56, '6': 0.56 } as const;

const lineSchema = z.object({
  timestamp: z.number().positive(),
  payload: z.object({ phy: z.string() }),
});

export function isIwDumps(firstLine: string): boolean {
  return lineSchema.safeParse(jsonOf(firstLine)).success;
}

/** Lines that cannot be read (a recorder that was cut off) are left out. */
export function parseIwDumps(name: string, text: string): Trace[] {
  const samples: LinkSample[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const { data } = lineSchema.safeParse(jsonOf(line));
    const link = data === undefined ? undefined : parseIwLink(data.payload.phy);
    if (data !== undefined && link !== undefined)
      samples.push(sampleOf(data.timestamp / 1e6, link));
  }
  samples.sort((a, b) => a.atMs - b.atMs);
  return splitAtHoles(
    name,
    'iw-dumps',
    samples.map((sample, index) => rowOf(sample, samples[index + 1])),
  );
}

function rowOf(sample: LinkSample, next: LinkSample | undefined): TraceRow {
  const untilNextMs = next === undefined ? 0 : next.atMs - sample.atMs;
  const durationMs = untilNextMs > LONGEST_HOLE_MS ? 0 : untilNextMs;
  const share = AIRTIME_SHARE[bandOf(sample.frequencyMhz) ?? '5'];
  const bytesPerMs = (share * (sample.txRateMbps ?? 0) * 1000) / 8;
  return {
    sample,
    startMs: sample.atMs,
    durationMs,
    capacityBytes: sample.connected ? bytesPerMs * durationMs : 0,
  };
}

function sampleOf(atMs: number, { ssid, ...link }: IwLink): LinkSample {
  return { atMs, medium: 'wifi', ...link, ...(ssid === undefined ? {} : { network: ssid }) };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
