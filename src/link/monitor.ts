/**
 * The loop around the pure parts: sensor -> forecast -> policy -> decisions. It starts nothing by itself; whoever listens carries the
 * decisions out and tells the monitor what became of them through `Situation`.
 */
import {
  Forecaster,
  type ForecastParameters,
  forecastParameters,
  type LossMemory,
  type Outlook,
} from './forecast/index.ts';
import {
  type Decision,
  decide,
  initialState,
  type PolicyInput,
  type PolicyState,
  type Rules,
} from './policy/index.ts';
import type { LinkSample } from './sample.ts';
import type { LinkSensor, SensorReport, SensorState } from './sensors/index.ts';

/** All that the policy weighs except what the sensor and the clocks tell. */
export type Situation = Omit<PolicyInput, 'atMs' | 'wallMs' | 'minuteOfWeek' | 'outlook'>;

export interface Clocks {
  /** Monotonic, on the clock of the sensor's samples. */
  readonly monotonicMs: number;
  readonly wallMs: number;
  /** Minutes since Monday 00:00, local time. */
  readonly minuteOfWeek: number;
}

export interface MonitorOptions {
  readonly sensor: LinkSensor | undefined;
  readonly rules: () => Rules;
  /** Asked before every decision. */
  readonly situation: (sample: LinkSample | undefined) => Situation;
  readonly parameters?: ForecastParameters;
  /** Losses remembered from before, by access point. */
  readonly memories?: ReadonlyMap<string, LossMemory>;
  /** For tests and replays. A replay decides at the times of its samples, and only then. */
  readonly clocks?: (sample: LinkSample | undefined) => Clocks;
}

export type MonitorEvent =
  | { readonly kind: 'sensor'; readonly state: SensorState }
  | {
      readonly kind: 'decision';
      readonly atMs: number;
      readonly decision: Decision;
      readonly outlook: Outlook | undefined;
      readonly sample: LinkSample | undefined;
    };

/** Decisions are taken at least this often, also when no sample comes. */
const TICK_MS = 1000;
/** Samples older than this say nothing of now. */
const STALE_MS = 30_000;
/** A reader that does not keep up loses the oldest events. */
const MAX_QUEUE = 1024;

export class LinkMonitor {
  readonly #options: MonitorOptions;
  readonly #forecaster: Forecaster;
  readonly #listeners = new Set<(event: MonitorEvent) => void>();
  #state: PolicyState = initialState;
  #sample: LinkSample | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sensorState: SensorState | undefined;
  #lastDecision: Decision | undefined;
  /** Since the last tick. */
  #decided = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#forecaster = new Forecaster(options.parameters ?? forecastParameters, options.memories);
  }

  /** Undefined without a sensor. */
  get sensorState(): SensorState | undefined {
    return this.#sensorState;
  }

  get lastDecision(): Decision | undefined {
    return this.#lastDecision;
  }

  /** To be kept across sessions. */
  get memories(): ReadonlyMap<string, LossMemory> {
    return this.#forecaster.memories;
  }

  /** What the link carried while more was waiting to be sent, see `Forecaster.achieved`. */
  achieved(bytesPerSecond: number): void {
    this.#forecaster.achieved(bytesPerSecond);
  }

  start(): void {
    const { sensor } = this.#options;
    sensor?.start((report) => this.#report(report));
    this.#sensorState = sensor?.state;
    if (this.#options.clocks === undefined) this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Listeners are called in turn, after the state has changed; the result ends the subscription. */
  subscribe(listener: (event: MonitorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something in the situation changed: decide now (a wish, sleep coming, shutdown). */
  reconsider(): Decision {
    return this.#decide();
  }

  /** Every event until the monitor ends or the signal aborts. */
  async *events(signal?: AbortSignal): AsyncGenerator<MonitorEvent> {
    const queue: MonitorEvent[] = [];
    let wake = () => {};
    const unsubscribe = this.subscribe((event) => {
      queue.push(event);
      if (queue.length > MAX_QUEUE) queue.shift();
      wake();
    });
    const stop = () => wake();
    signal?.addEventListener('abort', stop);
    try {
      while (signal?.aborted !== true) {
        const event = queue.shift();
        if (event === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (queue.length > 0 || signal?.aborted === true) resolve();
          });
          continue;
        }
        yield event;
        if (
          event.kind === 'sensor' &&
          (event.state.kind === 'ended' || event.state.kind === 'closed')
        )
          return;
      }
    } finally {
      unsubscribe();
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Resolves when the sensor has left nothing behind. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const { sensor } = this.#options;
    if (sensor === undefined) return;
    await sensor.close();
    this.#become(sensor.state);
  }

  /** Samples bring decisions of their own. */
  #tick(): void {
    if (!this.#decided) this.#decide();
    this.#decided = false;
  }

  #report(report: SensorReport): void {
    if (report.kind === 'state') {
      this.#become(report.state);
      return;
    }
    this.#sample = report.sample;
    this.#forecaster.observe(report.sample);
    this.#decide();
  }

  #become(state: SensorState): void {
    this.#sensorState = state;
    // What a broken sensor last said is no longer true; the policy goes on with the probes.
    if (state.kind === 'broken' || state.kind === 'closed') this.#sample = undefined;
    this.#emit({ kind: 'sensor', state });
  }

  #decide(): Decision {
    const sample = this.#sample;
    const clocks = (this.#options.clocks ?? systemClocks)(sample);
    const fresh = sample !== undefined && clocks.monotonicMs - sample.atMs < STALE_MS;
    const outlook = fresh ? this.#forecaster.outlook() : undefined;
    const input: PolicyInput = {
      ...this.#options.situation(fresh ? sample : undefined),
      atMs: clocks.monotonicMs,
      wallMs: clocks.wallMs,
      minuteOfWeek: clocks.minuteOfWeek,
      outlook,
    };
    const { state, decision } = decide(this.#state, input, this.#options.rules());
    this.#state = state;
    this.#decided = true;
    this.#lastDecision = decision;
    this.#options.sensor?.setPace(decision.pace);
    this.#emit({ kind: 'decision', atMs: input.atMs, decision, outlook, sample });
    return decision;
  }

  #emit(event: MonitorEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

export function systemClocks(): Clocks {
  const now = new Date();
  const day = (now.getDay() + 6) % 7;
  return {
    monotonicMs: performance.now(),
    wallMs: now.getTime(),
    minuteOfWeek: (day * 24 + now.getHours()) * 60 + now.getMinutes(),
  };
}

/** The times of a recording, for replays: its clock never jumps and it is always the same Monday noon. */
export function replayClocks(sample: LinkSample | undefined): Clocks {
  const monotonicMs = sample?.atMs ?? 0;
  return { monotonicMs, wallMs: monotonicMs, minuteOfWeek: 12 * 60 };
}
