/** What the forecast is compared with. */
import { bandOf, type LinkSample } from '../../../src/link/index.ts';
import { SWITCHOVER_MS, type Trigger } from './evaluate.ts';
import { deliveredAtMs, OUTAGE_MS, type Session } from './sessions.ts';

export class Threshold implements Trigger {
  readonly #dbm: number;
  #low = false;

  constructor(dbm: number) {
    this.#dbm = dbm;
  }

  observe({ connected, signalDbm }: LinkSample): void {
    this.#low = connected && signalDbm !== undefined && signalDbm <= this.#dbm;
  }

  fires(): boolean {
    return this.#low;
  }
}

/**
 * Android's VelocityBasedConnectedScore (AOSP, packages/modules/Wifi): Kalman filter of constant velocity, deviation of the modelled
 * acceleration 0.02 dB/s^2, of the reading 2 dB; below the transition score when the rounded level in 15 s is under the exit level. Its
 * relaxation for links whose frames get through needs packet counters, which the recordings lack; without it, it fires earlier.
 */
export class AndroidScore implements Trigger {
  static readonly #ACCELERATION = 0.02;
  static readonly #READING_VARIANCE = 4;
  static readonly #HORIZON_S = 15;
  #level = 0;
  #velocity = 0;
  #p: [number, number, number] = [0, 0, 0];
  #exitDbm = -80;
  #lastMs: number | undefined;

  observe({ connected, signalDbm, atMs, frequencyMhz }: LinkSample): void {
    if (!connected || signalDbm === undefined) {
      if (this.#lastMs !== undefined && atMs - this.#lastMs >= OUTAGE_MS) this.#lastMs = undefined;
      return;
    }
    const exitDbm = bandOf(frequencyMhz) === '2.4' ? -83 : -80;
    if (exitDbm !== this.#exitDbm) this.#lastMs = undefined;
    this.#exitDbm = exitDbm;
    const r = AndroidScore.#READING_VARIANCE;
    if (this.#lastMs === undefined) {
      this.#level = signalDbm;
      this.#velocity = 0;
      this.#p = [9 * r, 0, 0];
    } else this.#update(signalDbm, (atMs - this.#lastMs) / 1000, r);
    this.#lastMs = atMs;
  }

  #update(signalDbm: number, dt: number, r: number): void {
    const [p00, p01, p11] = this.#p;
    // The source multiplies G G' by a diagonal matrix of the variance: q G G'.
    const q = AndroidScore.#ACCELERATION ** 2;
    const a = p00 + 2 * dt * p01 + dt * dt * p11 + (q * dt ** 4) / 4;
    const b = p01 + dt * p11 + (q * dt ** 3) / 2;
    const c = p11 + q * dt * dt;
    const innovation = signalDbm - (this.#level + this.#velocity * dt);
    const [k0, k1] = [a / (a + r), b / (a + r)];
    this.#level += this.#velocity * dt + k0 * innovation;
    this.#velocity += k1 * innovation;
    this.#p = [(1 - k0) * a, (1 - k0) * b, c - k1 * b];
  }

  fires(): boolean {
    if (this.#lastMs === undefined) return false;
    const ahead = this.#level + Math.min(this.#velocity, 0) * AndroidScore.#HORIZON_S;
    return Math.round(ahead) < this.#exitDbm;
  }
}

/** Knows the recording: fires at the last sample from which the residue still gets across. */
export class Oracle implements Trigger {
  readonly #session: Session;
  readonly #last = new Map<number, ReadonlySet<number>>();
  #atMs = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  observe({ atMs }: LinkSample): void {
    this.#atMs = atMs;
  }

  fires(residueBytes: number): boolean {
    let last = this.#last.get(residueBytes);
    if (last === undefined) {
      last = this.#lastChances(residueBytes);
      this.#last.set(residueBytes, last);
    }
    return last.has(this.#atMs);
  }

  #lastChances(residueBytes: number): Set<number> {
    const session = this.#session;
    const connected = session.rows
      .filter(({ sample }) => sample.connected)
      .map(({ sample }) => sample.atMs);
    const chances = new Set<number>();
    let windowMs = Number.NEGATIVE_INFINITY;
    for (const { startMs, endMs } of session.outages) {
      const fits = (atMs: number) =>
        deliveredAtMs(session, atMs, residueBytes) + SWITCHOVER_MS <= startMs;
      const last = connected.findLast((atMs) => atMs >= windowMs && atMs <= startMs && fits(atMs));
      if (last !== undefined) chances.add(last);
      windowMs = endMs;
    }
    return chances;
  }
}
