/**
 * What a person has done by hand stands until the conditions are others than they were then: pure functions. Power, lid, sleep and
 * shutdown count at once; networks and the state of the link when their change has lasted.
 */
import type { Outlook, Situation } from '../../link/index.ts';

const LASTING_MS = 10_000;

export interface Circumstances {
  readonly atOnce: string;
  readonly lasting: string;
}

export interface Hold {
  readonly begun: Circumstances;
  readonly otherSinceMs: number | undefined;
  /** Of an agent that ran before: until this one knows its surroundings, the hold is not judged by them. */
  readonly judgedFromMs?: number;
}

/** From when on what an agent that ran before has kept is judged. */
export function judgedFrom(startedAtMs: number): number {
  return startedAtMs + LASTING_MS;
}

export function circumstances(
  { connections, metered, battery, lid, suspendInMs, shutdownInMs, probes }: Situation,
  outlook: Outlook | undefined,
): Circumstances {
  const networks = connections.map(({ medium, network }) => `${medium} ${network ?? ''}`).sort();
  const good = outlook === undefined ? !probes.suspect : outlook.evidence === 'steady';
  return {
    atOnce: [battery?.onMains, lid, suspendInMs !== undefined, shutdownInMs !== undefined].join(),
    lasting: [good, metered, ...networks].join(),
  };
}

/** Undefined: it is over. */
export function goOn(hold: Hold, now: Circumstances, atMs: number): Hold | undefined {
  if (hold.judgedFromMs !== undefined && atMs < hold.judgedFromMs) return hold;
  if (now.atOnce !== hold.begun.atOnce) return undefined;
  if (now.lasting === hold.begun.lasting) return { ...hold, otherSinceMs: undefined };
  const otherSinceMs = hold.otherSinceMs ?? atMs;
  return atMs - otherSinceMs >= LASTING_MS ? undefined : { ...hold, otherSinceMs };
}
