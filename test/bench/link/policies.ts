import {
  Forecaster,
  type ForecastParameters,
  isTime,
  type Outlook,
} from '../../../src/link/index.ts';
import { AndroidScore, Oracle, Threshold } from './baselines.ts';
import type { Group } from './data.ts';
import { add, emptyOutcome, type Outcome, play, SWITCHOVER_MS, type Trigger } from './evaluate.ts';
import type { Session } from './sessions.ts';

/** Makes triggers for the sessions of one group, one after the other. */
export type Policy = (group: Group) => (session: Session) => Trigger;

/** What the forecast says at every sample does not depend on the residue: it is computed once for all of them. */
class ForecastTrigger implements Trigger {
  readonly #outlooks: readonly Outlook[];
  readonly #parameters: ForecastParameters;
  #index = -1;

  constructor(outlooks: readonly Outlook[], parameters: ForecastParameters) {
    this.#outlooks = outlooks;
    this.#parameters = parameters;
  }

  observe(): void {
    this.#index++;
  }

  fires(residueBytes: number): boolean {
    return isTime(this.#outlooks[this.#index] as Outlook, residueBytes, this.#parameters);
  }
}

export function forecastPolicy(parametersOf: (group: Group) => ForecastParameters): Policy {
  const known = new Map<Session, Outlook[]>();
  return (group) => {
    const parameters = parametersOf(group);
    if (!known.has(group.sessions[0] as Session)) {
      const forecaster = new Forecaster(parameters);
      for (const session of group.sessions)
        known.set(
          session,
          session.rows.map(({ sample }) => {
            forecaster.observe(sample);
            return forecaster.outlook();
          }),
        );
    }
    return (session) => new ForecastTrigger(known.get(session) as Outlook[], parameters);
  };
}

export const thresholds = [-70, -65, -60, -55];

export const baselines: Readonly<Record<string, Policy>> = {
  ...Object.fromEntries(thresholds.map((dbm) => [`${dbm} dBm`, () => () => new Threshold(dbm)])),
  android: () => () => new AndroidScore(),
};

export const oracle: Policy = () => (session) => new Oracle(session);

export const residues = [0.25e6, 1e6, 2e6, 5e6, 10e6];

/** Outcomes by `set|band|residue`. */
export function playAll(
  groups: readonly Group[],
  policy: Policy,
  sizes = residues,
  switchoverMs = SWITCHOVER_MS,
): Map<string, Outcome> {
  const rows = new Map<string, Outcome>();
  for (const residue of sizes)
    for (const group of groups) {
      const triggerOf = policy(group);
      for (const session of group.sessions) {
        const key = rowKey(session.set, session.band, residue);
        const row = rows.get(key) ?? emptyOutcome();
        rows.set(key, row);
        add(row, play(session, triggerOf(session), residue, switchoverMs));
      }
    }
  return rows;
}

export function rowKey(set: string, band: string, residue: number): string {
  return `${set}|${band}|${residue}`;
}
