/** What happens to frames, from the counters of the driver: evidence of a loss that the level does not show. */
import type { LinkSample } from '../sample.ts';
import type { ForecastParameters } from './parameters.ts';

export type Trouble = 'stalled' | 'failing';

/** Beacons and their like come in even where no data does: bytes a second. */
const IDLE_BYTES = 200;
const ACTIVITY_SECONDS = 10;
const FAILING_SECONDS = 2;
/** Share of frames given up, and how many frames a second it takes to tell. */
const FAILING_SHARE = 0.5;
const FAILING_FRAMES = 5;
/** A driver counts a lost beacon now and then on a good link, too. */
const WEAK_DBM = -70;
const BEACON_LOSS_MS = 2000;

export class Frames {
  #last: LinkSample;
  #activity = 0;
  #stalledSeconds = 0;
  #failed = 0;
  #frames = 0;
  #beaconLossMs = Number.NEGATIVE_INFINITY;

  constructor(first: LinkSample) {
    this.#last = first;
  }

  add(sample: LinkSample): void {
    const dt = (sample.atMs - this.#last.atMs) / 1000;
    if (dt <= 0) return;
    const rx = grown(this.#last.rxBytes, sample.rxBytes);
    if (rx === undefined) this.#stalledSeconds = 0;
    else this.#listen(rx > IDLE_BYTES * dt, dt);
    const share = 1 - Math.exp(-dt / FAILING_SECONDS);
    const failed = grown(this.#last.txFailed, sample.txFailed) ?? 0;
    const sent = grown(this.#last.txPackets, sample.txPackets) ?? 0;
    this.#failed += share * (failed / dt - this.#failed);
    this.#frames += share * ((failed + sent) / dt - this.#frames);
    if ((grown(this.#last.beaconLoss, sample.beaconLoss) ?? 0) > 0)
      this.#beaconLossMs = sample.atMs;
    this.#last = sample;
  }

  #listen(active: boolean, dt: number): void {
    this.#activity += (1 - Math.exp(-dt / ACTIVITY_SECONDS)) * ((active ? 1 : 0) - this.#activity);
    this.#stalledSeconds = active ? 0 : this.#stalledSeconds + dt;
  }

  trouble({ stallSeconds }: ForecastParameters): Trouble | undefined {
    if (this.#stalledSeconds >= stallSeconds && this.#activity > 0.5) return 'stalled';
    if ((this.#last.signalDbm ?? 0) > WEAK_DBM) return undefined;
    if (this.#frames >= FAILING_FRAMES && this.#failed >= FAILING_SHARE * this.#frames)
      return 'failing';
    return this.#last.atMs - this.#beaconLossMs < BEACON_LOSS_MS ? 'failing' : undefined;
  }
}

/** Undefined where there is no counter, or it began anew. */
function grown(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined || now === undefined || now < before ? undefined : now - before;
}
