/** What the agent looks at its link with: the sensor of the machine, or a recording in its place. */
import { SojournError } from '../../common/index.ts';
import {
  type LinkSensor,
  loadTraces,
  ReplaySensor,
  type SensorCapabilities,
  type SensorReport,
  type SensorState,
  type Trace,
  wifiSensor,
} from '../../link/index.ts';
import type { AgentOptions } from '../options.ts';

/** How often a recording that waits says how its beginning was, ms. */
const HELD_EVERY_MS = 500;

export interface ChosenSensor {
  /** Undefined where this system has none. */
  readonly sensor: LinkSensor | undefined;
  readonly trace: TraceSensor | undefined;
}

/** @throws SojournError `trace-missing`, `trace-malformed` */
export async function linkSensor(trace: AgentOptions['linkTrace']): Promise<ChosenSensor> {
  if (trace === undefined) return { sensor: machineSensor(), trace: undefined };
  const [first] = await loadTraces(trace.path);
  if (first === undefined || first.rows.length === 0)
    throw new SojournError({
      kind: 'usage',
      code: 'trace-malformed',
      message: `${trace.path} has no samples`,
      remedy: 'Give a recording made by "sojourn link record"',
    });
  const sensor = new TraceSensor(first, trace);
  return { sensor, trace: sensor };
}

function machineSensor(): LinkSensor | undefined {
  try {
    return wifiSensor();
  } catch (error) {
    if (error instanceof SojournError && error.code === 'sensor-missing') return undefined;
    throw error;
  }
}

/** A recording as if it were now: its times become those of this process's monotonic clock, and speed makes all of it faster. */
export class TraceSensor implements LinkSensor {
  readonly name: string;
  readonly capabilities: SensorCapabilities;
  readonly #trace: Trace;
  readonly #speed: number;
  readonly #replay: ReplaySensor;
  #held: boolean;
  #timer: NodeJS.Timeout | undefined;
  #listener: ((report: SensorReport) => void) | undefined;

  constructor(trace: Trace, { speed, held }: { readonly speed: number; readonly held: boolean }) {
    this.#trace = trace;
    this.#speed = speed;
    this.#held = held;
    this.#replay = new ReplaySensor(trace, { speed });
    this.name = this.#replay.name;
    this.capabilities = this.#replay.capabilities;
  }

  get state(): SensorState {
    return this.#held ? { kind: 'working' } : this.#replay.state;
  }

  start(listener: (report: SensorReport) => void): void {
    this.#listener = listener;
    if (!this.#held) {
      this.#begin();
      return;
    }
    const { sample } = this.#trace.rows[0] ?? {};
    if (sample === undefined) return;
    this.#timer = setInterval(
      () => listener({ kind: 'sample', sample: { ...sample, atMs: performance.now() } }),
      HELD_EVERY_MS,
    );
  }

  /** The recording goes on from its first sample. Returns when that was, ms since 1970. */
  play(): number {
    if (this.#held) {
      this.#held = false;
      clearInterval(this.#timer);
      this.#begin();
    }
    return performance.timeOrigin + performance.now();
  }

  /** A recording has its own pace. */
  setPace(): void {}

  async close(): Promise<void> {
    this.#listener = undefined;
    this.#held = false;
    clearInterval(this.#timer);
    await this.#replay.close();
  }

  #begin(): void {
    const base = performance.now();
    const first = this.#trace.rows[0]?.sample.atMs ?? 0;
    this.#replay.start((report) => {
      if (report.kind === 'state') this.#listener?.(report);
      else {
        const atMs = base + (report.sample.atMs - first) / this.#speed;
        this.#listener?.({ kind: 'sample', sample: { ...report.sample, atMs } });
      }
    });
  }
}
