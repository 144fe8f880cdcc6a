/** Signal -> bytes that can still be delivered before the link is lost. Pure: time comes with the samples. */
import { type Band, bandOf, type LinkSample } from '../sample.ts';
import { Course } from './course.ts';
import { Frames, type Trouble } from './frames.ts';
import {
  isRoamed,
  type LossMemory,
  noLosses,
  type PastReading,
  recall,
  remember,
  SPAN_MS,
} from './losses.ts';
import type { ForecastParameters } from './parameters.ts';

/** Share of the bit rate that gets through, at the weak end of recorded links; replaced by what is measured. */
const AIRTIME_SHARE: Readonly<Record<Band, number>> = { '2.4': 0.2, '5': 0.5, '6': 0.5 };
/** Silence of this length was a loss worth remembering. */
const LOSS_MS = 2000;
/** After this long a link that returns is another one. */
const FORGET_MS = 5000;
/** The pessimistic course is followed this far. */
const HORIZON_S = 60;
const STEP_S = 0.25;
const RATE_SECONDS = 2;
/** Weight of one measured rate in what is known of an access point. */
const SHARE_GAIN = 0.1;
/** A link this young may be moving or at rest: at an access point known for losses it counts as moving. */
const ARRIVAL_MS = 4000;
const MAX_ACCESS_POINTS = 256;

export type Evidence = 'steady' | 'falling' | 'learned' | 'fade' | Trouble | 'silent';

/** What the link can still do, at the pessimistic end. */
export interface Outlook {
  readonly evidence: Evidence;
  readonly levelDbm: number;
  /** dB/s. */
  readonly slope: number;
  readonly bytesPerSecond: number;
  /** Infinite where no loss is in sight. */
  readonly secondsLeft: number;
  readonly bytesLeft: number;
}

const nothing = { secondsLeft: 0, bytesLeft: 0 };
const endless = { secondsLeft: Number.POSITIVE_INFINITY, bytesLeft: Number.POSITIVE_INFINITY };

export class Forecaster {
  readonly #p: ForecastParameters;
  readonly #memories: Map<string, LossMemory>;
  #course: Course | undefined;
  #key = '';
  #band: Band = '5';
  #span: (PastReading & { readonly levelDbm: number })[] = [];
  #frames: Frames | undefined;
  #last: LinkSample | undefined;
  #begunMs = 0;
  #heardMs = Number.NEGATIVE_INFINITY;
  #network: string | undefined;
  #connected = false;
  #remembered = false;
  #bytesPerSecond = 0;

  /** `memories`: losses of access points seen before, by `key of an access point and its frequency`. */
  constructor(
    parameters: ForecastParameters,
    memories: ReadonlyMap<string, LossMemory> = new Map(),
  ) {
    this.#p = parameters;
    this.#memories = new Map(memories);
  }

  /** To be kept across sessions. */
  get memories(): ReadonlyMap<string, LossMemory> {
    return this.#memories;
  }

  observe(sample: LinkSample): void {
    const before = this.#last;
    this.#last = sample;
    this.#connected = sample.connected && sample.signalDbm !== undefined;
    // The machine slept, or the sensor was broken: what happened meanwhile is not known, and nothing is learned from it.
    if (before === undefined || sample.atMs - before.atMs >= FORGET_MS) this.#course = undefined;
    if (!this.#connected) {
      this.#silence(sample.atMs);
      return;
    }
    const key = `${sample.bssid ?? ''}/${sample.frequencyMhz ?? ''}`;
    const silentMs = sample.atMs - this.#heardMs;
    if (key !== this.#key && this.#course !== undefined) this.#roam(sample);
    if (key !== this.#key || silentMs >= FORGET_MS || this.#course === undefined)
      this.#begin(key, sample);
    else this.#goOn(sample, silentMs / 1000);
    this.#heardMs = sample.atMs;
    this.#remembered = false;
    this.#network = sample.network;
    const dbm = sample.signalDbm as number;
    const levelDbm = this.#course?.levelDbm ?? dbm;
    this.#span.push({ atMs: sample.atMs, dbm, levelDbm, bytesPerSecond: this.#bytesPerSecond });
    while (sample.atMs - (this.#span[0]?.atMs ?? 0) > SPAN_MS) this.#span.shift();
  }

  /** What the link carried while more was waiting to be sent: how much of the bit rate is worth something here. */
  achieved(bytesPerSecond: number): void {
    const rate = this.#last === undefined ? 0 : bitRate(this.#last);
    if (!this.#connected || rate <= 0) return;
    const share = Math.min(Math.max((8 * bytesPerSecond) / rate, 0), 1);
    const memory = this.#memories.get(this.#key) ?? noLosses;
    const old = memory.airtimeShare ?? AIRTIME_SHARE[this.#band];
    this.#keep({ ...memory, airtimeShare: old + SHARE_GAIN * (share - old) });
  }

  #begin(key: string, sample: LinkSample): void {
    this.#key = key;
    this.#band = bandOf(sample.frequencyMhz) ?? '5';
    this.#course = new Course(sample.atMs, sample.signalDbm as number);
    this.#frames = new Frames(sample);
    this.#span = [];
    this.#begunMs = sample.atMs;
    this.#bytesPerSecond = this.#offered(sample);
  }

  #goOn(sample: LinkSample, dt: number): void {
    this.#course?.add(sample.atMs, sample.signalDbm as number, this.#p);
    this.#frames?.add(sample);
    const share = 1 - Math.exp(-dt / RATE_SECONDS);
    this.#bytesPerSecond += share * (this.#offered(sample) - this.#bytesPerSecond);
  }

  #offered(sample: LinkSample): number {
    const share = this.#memories.get(this.#key)?.airtimeShare ?? AIRTIME_SHARE[this.#band];
    return (share * bitRate(sample)) / 8;
  }

  /** To another access point of the network, or to another band of the same. */
  #roam({ network, atMs }: LinkSample): void {
    if (network === undefined || network !== this.#network || atMs - this.#heardMs >= FORGET_MS)
      return;
    const memory = this.#memories.get(this.#key) ?? noLosses;
    this.#keep({ ...memory, roams: memory.roams + 1 });
  }

  #silence(atMs: number): void {
    if (this.#course === undefined || this.#remembered || atMs - this.#heardMs < LOSS_MS) return;
    this.#remembered = true;
    this.#keep(remember(this.#memories.get(this.#key) ?? noLosses, this.#span, this.#heardMs));
  }

  /** Reinserted, so that the access points left longest ago are forgotten first. */
  #keep(memory: LossMemory): void {
    this.#memories.delete(this.#key);
    this.#memories.set(this.#key, memory);
    if (this.#memories.size <= MAX_ACCESS_POINTS) return;
    const [oldest] = this.#memories.keys();
    if (oldest !== undefined) this.#memories.delete(oldest);
  }

  outlook(): Outlook {
    const course = this.#course;
    const last = this.#span.at(-1);
    if (!this.#connected || course === undefined || last === undefined)
      return { evidence: 'silent', levelDbm: -200, slope: 0, bytesPerSecond: 0, ...nothing };
    const { dbm } = last;
    const base = { levelDbm: dbm, slope: course.slope, bytesPerSecond: this.#bytesPerSecond };
    if (dbm <= this.#p.fadeDbm[this.#band]) return { ...base, evidence: 'fade', ...nothing };
    const trouble = this.#frames?.trouble(this.#p);
    if (trouble !== undefined) return { ...base, evidence: trouble, ...nothing };
    const memory = this.#memories.get(this.#key) ?? noLosses;
    const learned = memory.losses.length > 0;
    // Where losses are known a single low reading is enough; elsewhere it would be the noise of a place that is always weak.
    const low = learned ? Math.min(course.levelDbm, dbm) : course.levelDbm;
    const young = last.atMs - this.#begunMs < ARRIVAL_MS;
    const arriving = learned && young && course.slope < 0;
    const descending = arriving || this.#highestDbm() - low >= this.#p.descentDb;
    if (!descending || isRoamed(memory)) return { ...base, evidence: 'steady', ...endless };
    const left = learned ? this.#fromMemory(memory, dbm) : this.#fromCourse(course);
    if (!Number.isFinite(left.secondsLeft)) return { ...base, evidence: 'steady', ...endless };
    return { ...base, evidence: learned ? 'learned' : 'falling', ...left };
  }

  #highestDbm(): number {
    return Math.max(...this.#span.map(({ levelDbm }) => levelDbm));
  }

  #fromMemory(memory: LossMemory, dbm: number) {
    const margin = this.#p.learnedMarginDb / Math.sqrt(memory.losses.length);
    return recall(memory, dbm - margin);
  }

  /** Level and slope with `pessimism` deviations of wandering, until the floor. */
  #fromCourse(course: Course) {
    const p = this.#p;
    const floor = p.floorDbm[this.#band];
    const slope = Math.min(course.slope, 0) * p.slopeShare;
    const fall = p.pessimism * course.wanderDb;
    const now = Math.max((course.levelDbm - floor) / p.kneeDb, 0.05);
    let bytes = 0;
    for (let t = 0; t < HORIZON_S; t += STEP_S) {
      const above = course.levelDbm + slope * t - fall * Math.sqrt(t) - floor;
      if (above <= 0) return { secondsLeft: t, bytesLeft: bytes };
      bytes += this.#bytesPerSecond * Math.min(above / p.kneeDb / Math.min(now, 1), 1) * STEP_S;
    }
    return endless;
  }
}

function bitRate({ txRateMbps, rxRateMbps }: LinkSample): number {
  return (txRateMbps ?? rxRateMbps ?? 0) * 1e6;
}

/** Whether a handoff of this much has to begin now. */
export function isTime(outlook: Outlook, residueBytes: number, p: ForecastParameters): boolean {
  if (outlook.evidence === 'silent') return false;
  if (outlook.secondsLeft <= p.reserveSeconds) return true;
  const share = 1 - p.reserveSeconds / outlook.secondsLeft;
  return Number.isFinite(outlook.bytesLeft) && outlook.bytesLeft * share <= p.margin * residueBytes;
}
