/** Level, slope and wandering of a signal, from readings that come when they come. */
import type { ForecastParameters } from './parameters.ts';

/** Differences over this long count as wandering; shorter ones are mostly noise. */
const LAG_MS = 2000;
/** A slope needs this much weight before it is believed: seconds squared. */
const SLOPE_PRIOR = 2;

/** Time constant of the wandering, its first value (dB^2/s), and the noise of a reading (dB). */
const WANDER_SECONDS = 20;
const FIRST_WANDER = 1;
const NOISE_DB = 0.8;

interface Reading {
  readonly atMs: number;
  readonly dbm: number;
}

export class Course {
  #levelDbm: number;
  #slope = 0;
  #wander: number;
  #lastMs: number;
  #recent: Reading[];
  // Weighted least squares over the past, with the origin of time at the last reading.
  #w = 1;
  #wt = 0;
  #wtt = 0;
  #wy: number;
  #wty = 0;

  constructor(atMs: number, dbm: number) {
    this.#levelDbm = dbm;
    this.#wander = FIRST_WANDER;
    this.#lastMs = atMs;
    this.#recent = [{ atMs, dbm }];
    this.#wy = dbm;
  }

  get levelDbm(): number {
    return this.#levelDbm;
  }

  /** dB/s; negative when it falls. */
  get slope(): number {
    return this.#slope;
  }

  /** Deviation after one second, dB; it grows with the root of time. */
  get wanderDb(): number {
    return Math.sqrt(this.#wander);
  }

  add(atMs: number, dbm: number, p: ForecastParameters): void {
    const dt = (atMs - this.#lastMs) / 1000;
    if (dt <= 0) return;
    this.#lastMs = atMs;
    const keep = Math.exp(-dt / p.levelSeconds);
    const wty = this.#wty - dt * this.#wy;
    const wtt = this.#wtt - 2 * dt * this.#wt + dt * dt * this.#w;
    const wt = this.#wt - dt * this.#w;
    this.#w = this.#w * keep + 1;
    this.#wt = wt * keep;
    this.#wtt = wtt * keep;
    this.#wy = this.#wy * keep + dbm;
    this.#wty = wty * keep;
    const meanT = this.#wt / this.#w;
    const meanY = this.#wy / this.#w;
    this.#slope = (this.#wty - meanT * this.#wy) / (this.#wtt - meanT * this.#wt + SLOPE_PRIOR);
    this.#levelDbm = meanY - this.#slope * meanT;
    this.#follow(atMs, dbm, dt);
  }

  #follow(atMs: number, dbm: number, dt: number): void {
    this.#recent.push({ atMs, dbm });
    while (atMs - (this.#recent[1]?.atMs ?? atMs) >= LAG_MS) this.#recent.shift();
    const first = this.#recent[0] as Reading;
    const lag = (atMs - first.atMs) / 1000;
    if (lag < LAG_MS / 2000) return;
    const moved = Math.max((dbm - first.dbm) ** 2 - 2 * NOISE_DB ** 2, 0) / lag;
    this.#wander += (1 - Math.exp(-dt / WANDER_SECONDS)) * (moved - this.#wander);
  }
}
