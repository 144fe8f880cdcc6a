/** One interface for everything that can be asked about a link. */
import type { LinkSample } from '../sample.ts';

/** What a sensor can tell; what it cannot is absent from its samples. */
export interface SensorCapabilities {
  /** True dBm, or a percentage turned into dBm. */
  readonly signal: 'dbm' | 'coarse' | 'none';
  readonly rates: boolean;
  readonly counters: boolean;
  readonly beaconLoss: boolean;
  /** Tells of a loss at once, not at the next reading. */
  readonly events: boolean;
  /** Shortest time between readings, ms. */
  readonly fastestMs: number;
}

/** How often: `fast` while it matters, `slow` on a link that is far from any decision. */
export type Pace = 'fast' | 'slow';

export type SensorState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'working' }
  /** It goes on trying; `reason` is for people. */
  | {
      readonly kind: 'broken';
      readonly reason: string;
      readonly failures: number;
      readonly retryInMs: number;
    }
  /** A replay that is over. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'closed' };

export type SensorReport =
  | { readonly kind: 'sample'; readonly sample: LinkSample }
  | { readonly kind: 'state'; readonly state: SensorState };

export interface LinkSensor {
  readonly name: string;
  readonly capabilities: SensorCapabilities;
  readonly state: SensorState;
  /** Begins to read; reports come one by one, never from within this call. */
  start(listener: (report: SensorReport) => void): void;
  setPace(pace: Pace): void;
  /** Resolves when no child process is left. */
  close(): Promise<void>;
}
