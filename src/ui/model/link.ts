/** What is known about the link, a sample for each status; a gap where nothing is known, never a guess. */
import type { Status } from '../../api/schema.ts';

export interface LinkSample {
  readonly atMs: number;
  /** Of the wireless signal, dBm. */
  readonly signalDbm: number | null;
  /** What the signal is expected to be, dBm. */
  readonly forecastDbm: number | null;
  /** Of the radio, bits a second. */
  readonly rateBitsPerSecond: number | null;
  /** To the nearest site, ms. */
  readonly rttMs: number | null;
  /** What guests send and receive through tunnels, bits a second; null before there are two samples. */
  readonly trafficBitsPerSecond: number | null;
}

/** What a status says of the link, with what cannot be told yet from it alone. */
export interface LinkReading extends Omit<LinkSample, 'trafficBitsPerSecond'> {
  /** Of all tunnels since the datapath started; null without a datapath. */
  readonly tunnelBytes: number | null;
}

/**
 * The one place that knows where the agent tells about the link. The agent has no wireless sensor in its status: signal,
 * forecast and rate of the radio are not known.
 */
export function readLink(status: Status): LinkReading {
  const sites = status.places.filter(({ self, connected }) => !self && connected);
  const rtts = sites.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs]));
  const { datapath } = status;
  return {
    atMs: Date.parse(status.at),
    signalDbm: null,
    forecastDbm: null,
    rateBitsPerSecond: null,
    rttMs: rtts.length === 0 ? null : Math.min(...rtts),
    tunnelBytes: datapath.running
      ? datapath.tunnels.reduce((sum, { bytesIn, bytesOut }) => sum + bytesIn + bytesOut, 0)
      : null,
  };
}

/** Samples kept in the page: at one a second, ten minutes. */
export const MAX_SAMPLES = 600;
/** Statuses that come faster, as in a handoff, make no samples of their own, ms. */
const MIN_INTERVAL_MS = 500;

export interface LinkHistory {
  readonly samples: readonly LinkSample[];
  readonly last: LinkReading | null;
}

export const noHistory: LinkHistory = { samples: [], last: null };

export function sampled(history: LinkHistory, reading: LinkReading): LinkHistory {
  const { last } = history;
  if (last !== null && reading.atMs - last.atMs < MIN_INTERVAL_MS) return history;
  const { tunnelBytes, ...known } = reading;
  const sample = { ...known, trafficBitsPerSecond: traffic(last, reading) };
  return { samples: [...history.samples, sample].slice(-MAX_SAMPLES), last: reading };
}

function traffic(last: LinkReading | null, now: LinkReading): number | null {
  if (last === null || last.tunnelBytes === null || now.tunnelBytes === null) return null;
  const bytes = now.tunnelBytes - last.tunnelBytes;
  // A datapath that started anew counts from zero.
  return bytes < 0 ? null : (bytes * 8 * 1000) / (now.atMs - last.atMs);
}
