/** When a guest that shall stand by does, and how often that is tried: pure functions of facts. */
import type { Ownership } from '../ownership/ownership.ts';

export interface StandbyFacts {
  readonly ownership: Ownership['kind'];
  /** Of the guest's QEMU here; undefined without one. */
  readonly phase: 'starting' | 'running' | 'paused' | 'incoming' | 'stopping' | undefined;
  /** A handoff of the guest is on its way, or being settled. */
  readonly moving: boolean;
  readonly paired: boolean;
  readonly connected: boolean;
  readonly metered: boolean;
  readonly whenUnmetered: boolean;
}

/** Something that has to come before; it is waited for. `place`: the name of where the guest shall stand by. */
export interface Obstacle {
  readonly code: string;
  readonly text: string;
  readonly remedy?: string;
}

export function obstacleTo(facts: StandbyFacts, place: string): Obstacle | undefined {
  if (facts.ownership !== 'here')
    return { code: 'guest-elsewhere', text: 'the guest is not at this place' };
  if (facts.phase === undefined || facts.phase === 'stopping')
    return { code: 'not-running', text: 'the guest does not run' };
  if (facts.phase !== 'running')
    return { code: 'guest-paused', text: 'the guest does not run just now' };
  if (facts.moving) return { code: 'handoff-under-way', text: 'another handoff is under way' };
  if (!facts.paired)
    return {
      code: 'not-paired',
      text: `this place is not paired with ${place} any more`,
      remedy: `Pair with ${place} again, or disarm the guest`,
    };
  if (!facts.connected)
    return {
      code: 'peer-unreachable',
      text: `${place} cannot be reached`,
      remedy: `Check the network here, and that the agent on ${place} is running`,
    };
  if (facts.metered && facts.whenUnmetered)
    return { code: 'metered', text: 'the network is metered' };
  return undefined;
}

/** After a failure, doubling up to the maximum, ms. */
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 5 * 60_000;
/** A standby that has been armed for so long has worked: the next failure is a first one, ms. */
export const WORKED_MS = 60_000;

/** `failures`: in a row, 1 or more. */
export function retryDelay(failures: number): number {
  return Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MAX_MS);
}
