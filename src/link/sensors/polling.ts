/** A sensor that asks again and again: never twice at a time, with a time limit, with back-off while it fails. */
import { errorText } from '../../common/index.ts';
import type { LinkSample } from '../sample.ts';
import type { LinkSensor, Pace, SensorCapabilities, SensorReport, SensorState } from './sensor.ts';

export interface PollingOptions {
  readonly name: string;
  readonly capabilities: SensorCapabilities;
  readonly intervalMs: Readonly<Record<Pace, number>>;
  /** One reading. Rejects with what a person can read; ends early when the signal aborts. */
  readonly read: (signal: AbortSignal) => Promise<LinkSample>;
  /** Monotonic milliseconds; a test's own clock. */
  readonly now?: () => number;
  /** Something that tells of changes at once; it ends when the signal aborts. */
  readonly watch?: (changed: () => void, signal: AbortSignal) => Promise<void>;
  readonly readTimeoutMs?: number;
  /** Ends what readings leave standing. */
  readonly close?: () => Promise<void>;
  readonly retryMs?: readonly [first: number, longest: number];
}

const READ_TIMEOUT_MS = 2000;
const RETRY_MS = [1000, 60_000] as const;

export class PollingSensor implements LinkSensor {
  readonly name: string;
  readonly capabilities: SensorCapabilities;
  readonly #options: PollingOptions;
  readonly #end = new AbortController();
  #state: SensorState = { kind: 'starting' };
  #pace: Pace = 'fast';
  #listener: ((report: SensorReport) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  #lastStartMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #again = false;

  constructor(options: PollingOptions) {
    this.name = options.name;
    this.capabilities = options.capabilities;
    this.#options = options;
  }

  get state(): SensorState {
    return this.#state;
  }

  start(listener: (report: SensorReport) => void): void {
    this.#listener = listener;
    this.#schedule(0);
    this.#watching = this.#options.watch?.(() => this.#hurry(), this.#end.signal);
  }

  setPace(pace: Pace): void {
    if (pace === this.#pace) return;
    this.#pace = pace;
    if (this.#failures === 0 && this.#reading === undefined && this.#listener !== undefined)
      this.#plan();
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    clearTimeout(this.#timer);
    this.#end.abort();
    await Promise.all([this.#reading, this.#watching]);
    await this.#options.close?.();
    this.#state = { kind: 'closed' };
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now();
  }

  /** A change was told: read now, or once more after the reading under way. */
  #hurry(): void {
    if (this.#end.signal.aborted || this.#failures > 0) return;
    if (this.#reading === undefined) this.#schedule(0);
    else this.#again = true;
  }

  #plan(): void {
    const interval = Math.max(this.#options.intervalMs[this.#pace], this.capabilities.fastestMs);
    this.#schedule(Math.max(this.#lastStartMs + interval - this.#now(), 0));
  }

  #schedule(ms: number): void {
    if (this.#end.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#reading = this.#readOnce().finally(() => {
        this.#reading = undefined;
      });
    }, ms);
  }

  async #readOnce(): Promise<void> {
    this.#lastStartMs = this.#now();
    this.#again = false;
    try {
      const sample = await this.#read();
      if (this.#end.signal.aborted) return;
      this.#failures = 0;
      this.#become({ kind: 'working' });
      this.#listener?.({ kind: 'sample', sample });
      if (this.#again) this.#schedule(0);
      else this.#plan();
    } catch (error) {
      if (this.#end.signal.aborted) return;
      const [first, longest] = this.#options.retryMs ?? RETRY_MS;
      const retryInMs = Math.min(first * 2 ** Math.min(this.#failures, 20), longest);
      this.#failures++;
      this.#become({
        kind: 'broken',
        reason: errorText(error),
        failures: this.#failures,
        retryInMs,
      });
      this.#schedule(retryInMs);
    }
  }

  /** Not with `AbortSignal.timeout`, whose timers go on after the reading and wake the processor twice a second. */
  async #read(): Promise<LinkSample> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    const limit = setTimeout(abort, this.#options.readTimeoutMs ?? READ_TIMEOUT_MS);
    this.#end.signal.addEventListener('abort', abort);
    try {
      return await this.#options.read(stop.signal);
    } finally {
      clearTimeout(limit);
      this.#end.signal.removeEventListener('abort', abort);
    }
  }

  #become(state: SensorState): void {
    const same = state.kind === this.#state.kind && state.kind !== 'broken';
    this.#state = state;
    if (!same) this.#listener?.({ kind: 'state', state });
  }
}
