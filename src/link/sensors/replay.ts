/** A recording in the place of a sensor, at any speed. */
import type { Trace } from '../traces/index.ts';
import type { LinkSensor, SensorCapabilities, SensorReport, SensorState } from './sensor.ts';

export interface ReplayOptions {
  /** 1 is real time; infinite gives all samples as fast as they are taken. Default 1. */
  readonly speed?: number;
}

/** Samples keep the times of the recording, whatever the speed. */
export class ReplaySensor implements LinkSensor {
  readonly name: string;
  readonly capabilities: SensorCapabilities = {
    signal: 'dbm',
    rates: true,
    counters: true,
    beaconLoss: true,
    events: false,
    fastestMs: 0,
  };
  readonly #trace: Trace;
  readonly #speed: number;
  #state: SensorState = { kind: 'starting' };
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #listener: ((report: SensorReport) => void) | undefined;

  constructor(trace: Trace, options: ReplayOptions = {}) {
    this.name = `replay of ${trace.id}`;
    this.#trace = trace;
    this.#speed = options.speed ?? 1;
  }

  get state(): SensorState {
    return this.#state;
  }

  start(listener: (report: SensorReport) => void): void {
    this.#listener = listener;
    const begun = performance.now();
    this.#next(0, begun);
  }

  /** A recording has its own pace. */
  setPace(): void {}

  async close(): Promise<void> {
    this.#listener = undefined;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#state = { kind: 'closed' };
  }

  #next(index: number, begun: number): void {
    const row = this.#trace.rows[index];
    const turn = () => {
      if (row === undefined) {
        this.#become({ kind: 'ended' });
        return;
      }
      this.#become({ kind: 'working' });
      this.#listener?.({ kind: 'sample', sample: row.sample });
      if (this.#listener !== undefined) this.#next(index + 1, begun);
    };
    const first = this.#trace.rows[0]?.sample.atMs ?? 0;
    const dueMs = ((row?.sample.atMs ?? first) - first) / this.#speed;
    if (row === undefined || !Number.isFinite(this.#speed)) this.#immediate = setImmediate(turn);
    else this.#timer = setTimeout(turn, Math.max(dueMs - (performance.now() - begun), 0));
  }

  #become(state: SensorState): void {
    if (state.kind === this.#state.kind) return;
    this.#state = state;
    this.#listener?.({ kind: 'state', state });
  }
}
