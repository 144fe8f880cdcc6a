/**
 * Our own recordings: JSON lines, first a header, then one sample a line:
 *
 *   {"format":"sojourn-link-trace","version":1}
 *   {"atMs":0,"medium":"wifi","connected":true,"signalDbm":-61,"frequencyMhz":5220,"bssid":"ap1","network":"net1",...}
 *
 * Times count from the first sample. Access points and networks have names without meaning, unless the person asked for the true ones.
 */
import { z } from 'zod';
import { type LinkSample, linkSampleSchema } from '../sample.ts';
import { splitAtHoles, type Trace, type TraceRow } from './trace.ts';

const FORMAT = 'sojourn-link-trace';
const VERSION = 1;
/** A sample stands for the time until the next one, at most this long. */
const LONGEST_ROW_MS = 10_000;

const headerSchema = z.object({ format: z.literal(FORMAT), version: z.literal(VERSION) });

export function isRecording(firstLine: string): boolean {
  return headerSchema.safeParse(jsonOf(firstLine)).success;
}

/** Lines that cannot be read (a recorder that was cut off) are left out. */
export function parseRecording(name: string, text: string): Trace[] {
  const samples: LinkSample[] = [];
  for (const line of text.split('\n').slice(1)) {
    const { data } = linkSampleSchema.safeParse(jsonOf(line));
    if (data !== undefined) samples.push(data);
  }
  samples.sort((a, b) => a.atMs - b.atMs);
  const rows = samples.map((sample, index): TraceRow => {
    const untilNextMs = (samples[index + 1]?.atMs ?? sample.atMs) - sample.atMs;
    return {
      sample,
      startMs: sample.atMs,
      durationMs: untilNextMs > LONGEST_ROW_MS ? 0 : untilNextMs,
    };
  });
  return splitAtHoles(name, 'sojourn', rows);
}

export interface RecordingOptions {
  /** True names of networks and addresses of access points: with them, others know where it was recorded. */
  readonly names?: boolean;
}

/** Turns samples into the lines of a recording; each ends with a newline. */
export class RecordingWriter {
  readonly #names: boolean;
  readonly #aliases = new Map<string, string>();
  #firstMs: number | undefined;

  constructor(options: RecordingOptions = {}) {
    this.#names = options.names ?? false;
  }

  header(): string {
    return `${JSON.stringify({ format: FORMAT, version: VERSION })}\n`;
  }

  line(sample: LinkSample): string {
    this.#firstMs ??= sample.atMs;
    const { bssid, network, ...rest } = sample;
    const line: LinkSample = {
      ...rest,
      atMs: Math.round(sample.atMs - this.#firstMs),
      ...(bssid === undefined ? {} : { bssid: this.#name('ap', bssid) }),
      ...(network === undefined ? {} : { network: this.#name('net', network) }),
    };
    return `${JSON.stringify(line)}\n`;
  }

  #name(kind: 'ap' | 'net', name: string): string {
    if (this.#names) return name;
    const key = `${kind}/${name}`;
    const known = this.#aliases.get(key);
    if (known !== undefined) return known;
    const count = [...this.#aliases.keys()].filter((other) => other.startsWith(`${kind}/`)).length;
    const alias = `${kind}${count + 1}`;
    this.#aliases.set(key, alias);
    return alias;
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
