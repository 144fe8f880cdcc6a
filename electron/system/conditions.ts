/**
 * What this app knows of its host and the agent cannot find out: power, lid, sleep, metered network. The names and units
 * are those of the agent's policy (`src/link/policy/types.ts`). Only what the contract takes is told.
 */
import { type CallInput, contract } from '../../src/api/schema.ts';

export interface Conditions {
  readonly onBattery?: boolean;
  readonly metered?: boolean;
  readonly lid?: 'open' | 'closed';
  /** Not told: a device that is locked is not used. */
  readonly locked?: boolean;
  readonly usedMsAgo?: number;
  /** The system sleeps or goes down in this time; null when that is over. */
  readonly suspendInMs?: number | null;
  readonly shutdownInMs?: number | null;
}

const taken = new Set(Object.keys(contract['agent.conditions'].input.shape));

/** Undefined when nothing of it would be understood. */
export function tellable(conditions: Conditions): CallInput<'agent.conditions'> | undefined {
  const known = Object.entries(conditions).filter(
    ([name, value]) => value !== undefined && taken.has(name),
  );
  return known.length === 0 ? undefined : Object.fromEntries(known);
}

/** What is different in `now`; undefined when nothing is. */
export function difference(before: Conditions, now: Conditions): Conditions | undefined {
  const changed = Object.entries(now).filter(
    ([name, value]) => before[name as keyof Conditions] !== value,
  );
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}
