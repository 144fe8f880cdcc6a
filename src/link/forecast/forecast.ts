/** Signal -> bytes that can still be delivered before the link is lost. Pure: time comes with the samples. */
import { type Band, bandOf, type LinkSample } from '../sample.ts';
import { Course } from './course.ts';
import {
  type LossMemory,
  noLosses,
  type PastReading,
  recall,
  remember,
  SPAN_MS,
} from './losses.ts';
import type { ForecastParameters } from './parameters.ts';

/** Share of the bit rate that gets through, medians of recordings. */
const AIRTIME_SHARE: Readonly<Record<Band, number>> = { '2.4': 0.34, '5': 0.56, '6': 0.56 };
/** Silence of this length was a loss worth remembering. */
const LOSS_MS = 2000;
/** After this long a link that returns is another one. */
const FORGET_MS = 5000;
/** The pessimistic course is followed this far. */
const HORIZON_S = 60;
const STEP_S = 0.25;
const RATE_SECONDS = 2;

export type Evidence = 'steady' | 'falling' | 'learned' | 'fade' | 'stalled' | 'silent';

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

export class Forecaster {
  readonly #p: ForecastParameters;
  readonly #memories = new Map<string, LossMemory>();
  #course: Course | undefined;
  #key = '';
  #band: Band = '5';
  #span: (PastReading & { readonly levelDbm: number })[] = [];
  #lastMs = Number.NEGATIVE_INFINITY;
  #connected = false;
  #remembered = true;
  #bytesPerSecond = 0;
  #rxBytes: number | undefined;
  #activity = 0;
  #stalledSeconds = 0;

  constructor(parameters: ForecastParameters) {
    this.#p = parameters;
  }

  observe(sample: LinkSample): void {
    this.#connected = sample.connected && sample.signalDbm !== undefined;
    if (!this.#connected) {
      this.#silence(sample.atMs);
      return;
    }
    const key = `${sample.bssid ?? ''}/${sample.frequencyMhz ?? ''}`;
    if (key !== this.#key || sample.atMs - this.#lastMs >= FORGET_MS) this.#begin(key, sample);
    else this.#goOn(sample);
    this.#lastMs = sample.atMs;
    this.#remembered = false;
    const dbm = sample.signalDbm as number;
    this.#span.push({
      atMs: sample.atMs,
      dbm,
      levelDbm: this.#course?.levelDbm ?? dbm,
      bytesPerSecond: this.#bytesPerSecond,
    });
    while (sample.atMs - (this.#span[0]?.atMs ?? 0) > SPAN_MS) this.#span.shift();
  }

  #begin(key: string, sample: LinkSample): void {
    this.#key = key;
    this.#band = bandOf(sample.frequencyMhz) ?? '5';
    this.#course = new Course(sample.atMs, sample.signalDbm as number);
    this.#span = [];
    this.#bytesPerSecond = this.#offered(sample);
    this.#rxBytes = sample.rxBytes;
    this.#activity = 0;
    this.#stalledSeconds = 0;
  }

  #goOn(sample: LinkSample): void {
    const dt = (sample.atMs - this.#lastMs) / 1000;
    this.#course?.add(sample.atMs, sample.signalDbm as number, this.#p);
    const share = 1 - Math.exp(-dt / RATE_SECONDS);
    this.#bytesPerSecond += share * (this.#offered(sample) - this.#bytesPerSecond);
    this.#listen(sample.rxBytes, dt);
  }

  #offered({ txRateMbps, rxRateMbps }: LinkSample): number {
    return (((txRateMbps ?? rxRateMbps ?? 0) * 1e6) / 8) * AIRTIME_SHARE[this.#band];
  }

  #listen(rxBytes: number | undefined, dt: number): void {
    const before = this.#rxBytes;
    this.#rxBytes = rxBytes;
    if (rxBytes === undefined || before === undefined || rxBytes < before) {
      this.#stalledSeconds = 0;
      return;
    }
    const share = 1 - Math.exp(-dt / 10);
    // Beacons and their like come in even where no data does.
    if (rxBytes - before > 200 * dt) {
      this.#stalledSeconds = 0;
      this.#activity += share * (1 - this.#activity);
    } else {
      this.#stalledSeconds += dt;
      this.#activity -= share * this.#activity;
    }
  }

  #silence(atMs: number): void {
    if (this.#remembered || atMs - this.#lastMs < LOSS_MS) return;
    this.#remembered = true;
    const memory = this.#memories.get(this.#key) ?? noLosses;
    this.#memories.set(this.#key, remember(memory, this.#span, this.#lastMs));
  }

  outlook(): Outlook {
    const course = this.#course;
    const last = this.#span.at(-1);
    if (!this.#connected || course === undefined || last === undefined) {
      return {
        evidence: 'silent',
        levelDbm: -200,
        slope: 0,
        bytesPerSecond: 0,
        secondsLeft: 0,
        bytesLeft: 0,
      };
    }
    const base = { levelDbm: last.dbm, slope: course.slope, bytesPerSecond: this.#bytesPerSecond };
    if (last.dbm <= this.#p.fadeDbm[this.#band])
      return { ...base, evidence: 'fade', secondsLeft: 0, bytesLeft: 0 };
    if (this.#stalledSeconds >= this.#p.stallSeconds && this.#activity > 0.5)
      return { ...base, evidence: 'stalled', secondsLeft: 0, bytesLeft: 0 };
    const memory = this.#memories.get(this.#key);
    if (this.#highestDbm() - course.levelDbm < this.#p.descentDb)
      return {
        ...base,
        evidence: 'steady',
        secondsLeft: Number.POSITIVE_INFINITY,
        bytesLeft: Number.POSITIVE_INFINITY,
      };
    const left =
      memory === undefined ? this.#fromCourse(course) : this.#fromMemory(memory, last.dbm);
    const evidence = memory === undefined ? 'falling' : 'learned';
    return { ...base, evidence: Number.isFinite(left.secondsLeft) ? evidence : 'steady', ...left };
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
    return { secondsLeft: Number.POSITIVE_INFINITY, bytesLeft: Number.POSITIVE_INFINITY };
  }
}

/** Whether a handoff of this much has to begin now. */
export function isTime(outlook: Outlook, residueBytes: number, p: ForecastParameters): boolean {
  if (outlook.evidence === 'silent') return false;
  if (outlook.secondsLeft <= p.reserveSeconds) return true;
  const share = 1 - p.reserveSeconds / outlook.secondsLeft;
  return Number.isFinite(outlook.bytesLeft) && outlook.bytesLeft * share <= p.margin * residueBytes;
}
