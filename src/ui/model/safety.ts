/** What one glance at a guest has to say: where it runs, and what happens to it when this network dies. */
import type { GuestState, GuestView, HandoffProgress, PlaceRef } from '../../api/schema.ts';

/**
 * `safe`: it would go on elsewhere; `busy`: something is under way; `risk`: it runs, and nothing stands by; `away`: it
 * runs elsewhere; `problem`: somebody has to do something; `idle`: it does not run, and shall not.
 */
export type Tone = 'safe' | 'busy' | 'risk' | 'away' | 'problem' | 'idle';

export type Safety =
  | { readonly kind: 'starting' | 'stopping' | 'stopped'; readonly tone: Tone }
  /** Stands by and can take over; the time is null while nothing honest can be said. */
  | {
      readonly kind: 'armed';
      readonly tone: 'safe';
      readonly place: string;
      readonly estimateMs: number | null;
      /** What hinders it all the same. */
      readonly hindrance: string | null;
    }
  | {
      readonly kind: 'filling';
      readonly tone: 'busy';
      readonly place: string;
      readonly percent: number | null;
    }
  | {
      readonly kind: 'waiting' | 'unavailable';
      readonly tone: 'risk';
      readonly place: string;
      readonly reason: string | null;
      readonly remedy: string | null;
    }
  | { readonly kind: 'alone'; readonly tone: 'risk' }
  | {
      readonly kind: 'away';
      readonly tone: 'away' | 'problem' | 'idle';
      readonly place: string;
      readonly there: 'running' | 'paused' | 'stopped' | 'unknown';
    }
  | {
      readonly kind: 'moving';
      readonly tone: 'busy';
      readonly place: string;
      readonly direction: 'out' | 'in';
      readonly percent: number | null;
    }
  | {
      readonly kind: 'paused';
      readonly tone: 'problem';
      readonly reason: Extract<GuestState, { kind: 'paused' }>['reason'];
    }
  | { readonly kind: 'crashed'; readonly tone: 'problem'; readonly reason: string }
  | { readonly kind: 'in-doubt'; readonly tone: 'problem'; readonly place: string };

export function safetyOf({ state, standby }: GuestView): Safety {
  switch (state.kind) {
    case 'running':
      return standby === null ? { kind: 'alone', tone: 'risk' } : standbySafety(standby);
    case 'starting':
    case 'stopping':
      return { kind: state.kind, tone: 'busy' };
    case 'stopped':
      return { kind: 'stopped', tone: 'idle' };
    case 'elsewhere':
      return {
        kind: 'away',
        tone: awayTones[state.there],
        place: state.place.name,
        there: state.there,
      };
    case 'moving-out':
      return moving('out', state.to, state.progress);
    case 'moving-in':
      return moving('in', state.from, state.progress);
    case 'paused':
      return { kind: 'paused', tone: 'problem', reason: state.reason };
    case 'crashed':
      return { kind: 'crashed', tone: 'problem', reason: state.reason };
    case 'in-doubt':
      return { kind: 'in-doubt', tone: 'problem', place: state.with.name };
  }
}

const awayTones = {
  running: 'away',
  unknown: 'away',
  paused: 'problem',
  stopped: 'idle',
} as const;

function standbySafety(standby: NonNullable<GuestView['standby']>): Safety {
  const { name } = standby.place;
  const reason = standby.reason ?? null;
  switch (standby.state) {
    case 'armed':
      return {
        kind: 'armed',
        tone: 'safe',
        place: name,
        estimateMs: standby.estimateMs,
        hindrance: reason,
      };
    case 'filling':
      return {
        kind: 'filling',
        tone: 'busy',
        place: name,
        percent: standby.progress === undefined ? null : percentOf(standby.progress),
      };
    case 'waiting':
    case 'unavailable':
      return {
        kind: standby.state,
        tone: 'risk',
        place: name,
        reason,
        remedy: standby.remedy ?? null,
      };
  }
}

function moving(direction: 'out' | 'in', place: PlaceRef, progress: HandoffProgress): Safety {
  return {
    kind: 'moving',
    tone: 'busy',
    place: place.name,
    direction,
    percent: percentOf(progress),
  };
}

/** Of the phase under way, 0 to 100; null while the whole is not known. */
export function percentOf({
  bytesDone,
  bytesTotal,
}: Pick<HandoffProgress, 'bytesDone' | 'bytesTotal'>): number | null {
  if (bytesTotal === null || bytesTotal === 0) return null;
  return Math.min(100, Math.floor((100 * bytesDone) / bytesTotal));
}

const gravity: readonly Tone[] = ['problem', 'risk', 'busy', 'away', 'safe', 'idle'];

/** The gravest of several, for one sign that stands for all guests. */
export function gravest(tones: readonly Tone[]): Tone {
  return gravity.find((tone) => tones.includes(tone)) ?? 'idle';
}
