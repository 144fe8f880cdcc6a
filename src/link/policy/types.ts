/** What the policy looks at, remembers and says. */
import type { Outlook } from '../forecast/index.ts';
import type { Medium } from '../sample.ts';

export type Wish = 'leave' | 'return' | 'stay';

export interface Connection {
  readonly medium: Medium;
  readonly network?: string;
  readonly bssid?: string;
}

export interface PolicyInput {
  /** Monotonic. */
  readonly atMs: number;
  /** Wall clock; only to see it jump. */
  readonly wallMs: number;
  /** Local time: minutes since Monday 00:00. */
  readonly minuteOfWeek: number;
  readonly guest: 'here' | 'moving' | 'away';
  readonly guestBusy: boolean;
  /** Undefined: no standby is kept. */
  readonly residueBytes: number | undefined;
  readonly arming: boolean;
  /** Undefined: no sensor, or it is broken. */
  readonly outlook: Outlook | undefined;
  readonly probes: { readonly suspect: boolean; readonly bytesPerSecond?: number | undefined };
  readonly connections: readonly Connection[];
  readonly metered: boolean;
  readonly battery: { readonly charge: number; readonly onMains: boolean } | undefined;
  readonly lid: 'open' | 'closed';
  /** The system will sleep or go down in this time. */
  readonly suspendInMs: number | undefined;
  readonly shutdownInMs: number | undefined;
  readonly personAt: 'here' | 'elsewhere' | 'unknown';
  readonly wish: Wish | undefined;
}

export interface PolicyState {
  readonly lastMs: number | undefined;
  readonly lastWallMs: number;
  /** Until then nothing happens by itself: the machine woke up or its clock jumped. */
  readonly settledAtMs: number;
  readonly goodSinceMs: number | undefined;
  readonly leftAtMs: number | undefined;
  readonly returnedAtMs: number | undefined;
  /** Returns in a row that did not last. */
  readonly shortReturns: number;
  readonly ethernetLostAtMs: number | undefined;
  readonly hadEthernet: boolean;
  readonly busySinceMs: number | undefined;
  readonly guest: PolicyInput['guest'];
}

export const initialState: PolicyState = {
  lastMs: undefined,
  lastWallMs: 0,
  settledAtMs: Number.NEGATIVE_INFINITY,
  goodSinceMs: undefined,
  leftAtMs: undefined,
  returnedAtMs: undefined,
  shortReturns: 0,
  ethernetLostAtMs: undefined,
  hadEthernet: false,
  busySinceMs: undefined,
  guest: 'here',
};

export type Action = 'none' | 'arm' | 'tighten' | 'fire' | 'return';

export interface Decision {
  readonly action: Action;
  /** Stable, for programs and tests. */
  readonly code: string;
  /** One line for people. */
  readonly why: string;
  /** Sleep or shutdown has to be held up for the seconds that it takes. */
  readonly inhibit: boolean;
  /** How often the sensor should look. */
  readonly pace: 'fast' | 'slow';
}

/** A decision without the pace, which does not depend on the reason. */
export type Choice = Omit<Decision, 'pace'>;

export function none(code: string, why: string): Choice {
  return { action: 'none', code, why, inhibit: false };
}

export function act(
  action: Exclude<Action, 'none'>,
  code: string,
  why: string,
  inhibit = false,
): Choice {
  return { action, code, why, inhibit };
}

/** A cable makes the air unimportant. */
export function isWired({ connections }: PolicyInput): boolean {
  return connections.some(({ medium }) => medium === 'ethernet');
}
