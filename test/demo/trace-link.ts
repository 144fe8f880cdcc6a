/** A recording as what the link emulator plays: rates by what the recorded link carried, losses as cuts. */
import { bandOf, type Trace, type TraceRow } from '../../src/link/index.ts';
import type { DirectionPatch, LinkTrace } from '../lab/emulator/index.ts';

/** Share of the bit rate that TCP achieved on recorded links (medians). */
const AIRTIME_SHARE = { '2.4': 0.34, '5': 0.56, '6': 0.56 };
/** The emulated link is never slower or faster than this, bit/s. */
const SLOWEST = 20e3;
const FASTEST = 100e6;
/** A queue holds what the link sends in this time, s, within bounds in bytes. */
const QUEUE_SECONDS = 0.2;
const QUEUE_BYTES = [32 * 1024, 256 * 1024] as const;

/** Times count from the first sample: what a row says of the second before it was heard is emulated then. */
export function emulatedLink({ rows }: Trace): (LinkTrace[number] & { readonly atMs: number })[] {
  const first = rows[0]?.sample.atMs ?? 0;
  return rows.map((row, index) => ({
    atMs: index === 0 ? 0 : Math.max(row.startMs - first, 0),
    direction: 'both' as const,
    set: stateOf(row),
  }));
}

export interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The longest time without a link, by the same clock. */
export function longestOutage(trace: Trace): Outage | undefined {
  let longest: Outage | undefined;
  let fromMs: number | undefined;
  for (const { atMs, set } of emulatedLink(trace)) {
    if (set.state === 'cut') fromMs ??= atMs;
    else if (fromMs !== undefined) {
      const outage = { fromMs, toMs: atMs };
      if (longest === undefined || lasting(outage) > lasting(longest)) longest = outage;
      fromMs = undefined;
    }
  }
  return longest;
}

function lasting({ fromMs, toMs }: Outage): number {
  return toMs - fromMs;
}

function stateOf(row: TraceRow): DirectionPatch {
  if (!row.sample.connected) return { state: 'cut' };
  const rate = Math.min(Math.max(carried(row), SLOWEST), FASTEST);
  const [least, most] = QUEUE_BYTES;
  const queueBytes = Math.round(Math.min(Math.max((rate * QUEUE_SECONDS) / 8, least), most));
  return { state: 'up', rateBitsPerSecond: rate, queueBytes };
}

/** Bit/s. */
function carried({ sample, capacityBytes, durationMs }: TraceRow): number {
  if (capacityBytes !== undefined && durationMs > 0) return (capacityBytes * 8000) / durationMs;
  const share = AIRTIME_SHARE[bandOf(sample.frequencyMhz) ?? '5'];
  return (sample.txRateMbps ?? sample.rxRateMbps ?? 0) * 1e6 * share;
}
