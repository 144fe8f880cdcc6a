/** What is known about the link, a sample for each status; a gap where nothing is known, never a guess. */
import type { LinkView, Status } from '../../api/schema.ts';

export interface LinkSample {
  readonly atMs: number;
  /** Of the wireless signal, dBm. */
  readonly signalDbm: number | null;
  /** Of the radio, bits a second. */
  readonly rateBitsPerSecond: number | null;
  /** To the place that is probed, or the nearest site, ms. */
  readonly rttMs: number | null;
  /** What guests send and receive through tunnels, bits a second; null before there are two samples. */
  readonly trafficBitsPerSecond: number | null;
}

/** Where the agent expects the signal to go: from the newest sample on. */
export interface Forecast {
  readonly fromDbm: number;
  readonly toDbm: number;
  readonly toMs: number;
  /** In the agent's words. */
  readonly text: string;
}

/** What a status says of the link, with what cannot be told yet from it alone. */
export interface LinkReading extends Omit<LinkSample, 'trafficBitsPerSecond'> {
  readonly forecast: Forecast | null;
  /** Why there is no signal; null where there is one, or where the agent has no part that looks at the link. */
  readonly sensor: LinkView['sensor'] | null;
  /** Of all tunnels since the datapath started; null without a datapath. */
  readonly tunnelBytes: number | null;
}

/** How far a forecast without a loss in sight is drawn, and any at most, ms. */
const FORECAST_MS = { usual: 15_000, longest: 60_000 };

/** The one place that knows where the agent tells about the link. */
export function readLink({ at, places, datapath, link }: Status): LinkReading {
  const rtts = places.flatMap(({ self, connected, rttMs }) =>
    self || !connected || rttMs === null ? [] : [rttMs],
  );
  const atMs = Date.parse(at);
  const signalDbm = link?.signalDbm ?? null;
  return {
    atMs,
    signalDbm,
    rateBitsPerSecond: link?.rateBitsPerSecond ?? null,
    rttMs: link?.rttMs ?? (rtts.length === 0 ? null : Math.min(...rtts)),
    forecast: forecastOf(signalDbm, link?.forecast ?? null, atMs),
    sensor: link === undefined || signalDbm !== null ? null : link.sensor,
    tunnelBytes: datapath.running
      ? datapath.tunnels.reduce((sum, { bytesIn, bytesOut }) => sum + bytesIn + bytesOut, 0)
      : null,
  };
}

function forecastOf(
  fromDbm: number | null,
  told: LinkView['forecast'],
  atMs: number,
): Forecast | null {
  if (fromDbm === null || told === null) return null;
  const { secondsLeft, slopeDbPerSecond, text } = told;
  const aheadMs = Math.min(
    secondsLeft === null ? FORECAST_MS.usual : secondsLeft * 1000,
    FORECAST_MS.longest,
  );
  const toDbm = fromDbm + (slopeDbPerSecond * aheadMs) / 1000;
  return { fromDbm, toDbm, toMs: atMs + aheadMs, text };
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
  const { atMs, signalDbm, rateBitsPerSecond, rttMs } = reading;
  const trafficBitsPerSecond = traffic(last, reading);
  const sample = { atMs, signalDbm, rateBitsPerSecond, rttMs, trafficBitsPerSecond };
  return { samples: [...history.samples, sample].slice(-MAX_SAMPLES), last: reading };
}

function traffic(last: LinkReading | null, now: LinkReading): number | null {
  if (last === null || last.tunnelBytes === null || now.tunnelBytes === null) return null;
  const bytes = now.tunnelBytes - last.tunnelBytes;
  // A datapath that started anew counts from zero.
  return bytes < 0 ? null : (bytes * 8 * 1000) / (now.atMs - last.atMs);
}
