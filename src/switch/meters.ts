/**
 * Meters (OpenFlow 1.3.5, 5.7 and 6.6). Every band is a token bucket; of those that are exceeded the one with the highest rate
 * applies.
 */
import {
  METER,
  METER_FLAG,
  type MeterBand,
  type MeterConfig,
  type MeterMod,
  type MeterStats,
  openFlowError,
} from '../openflow/index.ts';
import { PRESENT, WORD } from './fields.ts';
import type { Packet } from './packet.ts';
import { writeDscp } from './rewrite.ts';
import { durationOf } from './time.ts';

export const MAX_METERS = 16_384;
export const MAX_BANDS = 16;
/** Without OFPMF_BURST a band takes what its rate yields in so many seconds at once, and one large frame at least. */
const DEFAULT_BURST_SECONDS = 0.25;
const LEAST_BURST = { kilobits: 16, packets: 1 };
/** All that mean anything. */
export const METER_FLAGS =
  METER_FLAG.kilobitsPerSecond | METER_FLAG.packetsPerSecond | METER_FLAG.burst | METER_FLAG.stats;

interface BandEntry {
  readonly band: MeterBand;
  /** In kilobits or packets. */
  readonly burst: number;
  tokens: number;
  packets: number;
  bytes: number;
}

export class MeterEntry {
  readonly id: number;
  flags = 0;
  packets = 0;
  bytes = 0;
  readonly createdAt: number;
  #bands: BandEntry[] = [];
  #filledAt: number;

  constructor({ meter, flags, bands }: MeterMod, now: number) {
    this.id = meter;
    this.createdAt = now;
    this.#filledAt = now;
    this.configure(flags, bands, now);
  }

  configure(flags: number, bands: readonly MeterBand[], now: number): void {
    const inPackets = (flags & METER_FLAG.packetsPerSecond) !== 0;
    const least = inPackets ? LEAST_BURST.packets : LEAST_BURST.kilobits;
    this.flags = flags;
    this.#filledAt = now;
    this.#bands = bands.map((band) => {
      const given = (flags & METER_FLAG.burst) !== 0 ? band.burst : 0;
      const burst = given > 0 ? given : Math.max(band.rate * DEFAULT_BURST_SECONDS, least);
      return { band, burst, tokens: burst, packets: 0, bytes: 0 };
    });
  }

  get bands(): MeterBand[] {
    return this.#bands.map(({ band }) => band);
  }

  /** Whether it changes packets. */
  get remarks(): boolean {
    return this.#bands.some(({ band }) => band.type === 'dscp-remark');
  }

  /** @returns whether the packet may go on. @param now monotonic milliseconds. */
  pass(packet: Packet, now: number): boolean {
    const bytes = packet.frameBytes;
    this.packets++;
    this.bytes += bytes;
    const volume = (this.flags & METER_FLAG.packetsPerSecond) !== 0 ? 1 : (bytes * 8) / 1000;
    const seconds = Math.max(0, now - this.#filledAt) / 1000;
    this.#filledAt = now;
    let exceeded: BandEntry | undefined;
    for (const entry of this.#bands) {
      entry.tokens = Math.min(entry.burst, entry.tokens + entry.band.rate * seconds);
      // A packet larger than the burst passes when the bucket is full, or it never would.
      if (entry.tokens >= Math.min(volume, entry.burst)) entry.tokens -= volume;
      else if (exceeded === undefined || entry.band.rate > exceeded.band.rate) exceeded = entry;
    }
    if (exceeded === undefined) return true;
    exceeded.packets++;
    exceeded.bytes += bytes;
    if (exceeded.band.type !== 'dscp-remark') return false;
    remark(packet, exceeded.band.precedence);
    return true;
  }

  statistics(flows: number, now: number): MeterStats {
    return {
      meter: this.id,
      flows,
      packets: BigInt(this.packets),
      bytes: BigInt(this.bytes),
      ...durationOf(now - this.createdAt),
      bands: this.#bands.map(({ packets, bytes }) => ({
        packets: BigInt(packets),
        bytes: BigInt(bytes),
      })),
    };
  }
}

/** Raises the drop precedence of an assured forwarding class (RFC 2597, 6); other classes have none. */
function remark(packet: Packet, by: number): void {
  const word = packet.key[WORD.protocol] as number;
  if ((word & PRESENT.ip) === 0) return;
  const dscp = (word >>> 10) & 0x3f;
  const forwarding = dscp >> 3;
  const precedence = (dscp >> 1) & 3;
  if (forwarding < 1 || forwarding > 4 || precedence === 0 || (dscp & 1) !== 0) return;
  writeDscp(packet, (forwarding << 3) | (Math.min(3, precedence + by) << 1));
}

export class Meters {
  readonly #meters = new Map<number, MeterEntry>();

  get(id: number): MeterEntry | undefined {
    return this.#meters.get(id);
  }

  /** @throws OpenFlowError OFPET_METER_MOD_FAILED. */
  add(mod: MeterMod, now: number): void {
    checkMeter(mod);
    if (this.#meters.has(mod.meter))
      throw openFlowError('meter-mod-failed', 'meter-exists', `meter ${mod.meter}`);
    if (this.#meters.size >= MAX_METERS)
      throw openFlowError('meter-mod-failed', 'out-of-meters', `${MAX_METERS} meters`);
    this.#meters.set(mod.meter, new MeterEntry(mod, now));
  }

  /** Counters of the meter go on, those of the bands start anew. @throws OpenFlowError OFPET_METER_MOD_FAILED. */
  modify(mod: MeterMod, now: number): void {
    checkMeter(mod);
    const entry = this.#meters.get(mod.meter);
    if (entry === undefined)
      throw openFlowError('meter-mod-failed', 'unknown-meter', `meter ${mod.meter}`);
    entry.configure(mod.flags, mod.bands, now);
  }

  /** @param id `METER.all` for all. @returns those that were there; flows that use them have to go (6.6). */
  remove(id: number): ReadonlySet<MeterEntry> {
    const gone = new Set(this.#select(id));
    for (const entry of gone) this.#meters.delete(entry.id);
    return gone;
  }

  configurations(id: number): MeterConfig[] {
    return this.#select(id).map(({ id: meter, flags, bands }) => ({ meter, flags, bands }));
  }

  /** @param flowsOf flows that use the meter. */
  statistics(id: number, flowsOf: (meter: MeterEntry) => number, now: number): MeterStats[] {
    return this.#select(id).map((entry) => entry.statistics(flowsOf(entry), now));
  }

  #select(id: number): MeterEntry[] {
    if (id === METER.all) return [...this.#meters.values()];
    const entry = this.#meters.get(id);
    return entry === undefined ? [] : [entry];
  }
}

function checkMeter({ meter, flags, bands }: MeterMod): void {
  if (meter === 0 || meter > METER.max)
    throw openFlowError('meter-mod-failed', 'invalid-meter', `meter ${meter}`);
  const units = flags & (METER_FLAG.kilobitsPerSecond | METER_FLAG.packetsPerSecond);
  if ((flags & ~METER_FLAGS) !== 0)
    throw openFlowError('meter-mod-failed', 'bad-flags', `flags 0x${flags.toString(16)}`);
  if (units === (METER_FLAG.kilobitsPerSecond | METER_FLAG.packetsPerSecond))
    throw openFlowError('meter-mod-failed', 'bad-flags', 'both kbit/s and packets/s');
  if (bands.length > MAX_BANDS)
    throw openFlowError('meter-mod-failed', 'out-of-bands', `${bands.length} bands`);
  for (const band of bands) {
    if (band.type === 'experimenter')
      throw openFlowError('meter-mod-failed', 'bad-band', 'an experimenter band');
    if (band.rate === 0) throw openFlowError('meter-mod-failed', 'bad-rate', 'rate 0');
    if (band.type === 'dscp-remark' && (band.precedence === 0 || band.precedence > 3))
      throw openFlowError('meter-mod-failed', 'bad-band-value', `precedence ${band.precedence}`);
  }
}
