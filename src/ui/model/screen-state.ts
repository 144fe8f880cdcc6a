/**
 * What a person sees of a guest's screen, and when the next connection to it is tried.
 *
 *   opening ──► live ◄──► moving            `following`: the last picture stands while the guest is looked for;
 *      │         │  ▲        │              it and `opening` try again by themselves
 *      │         ▼  │        ▼
 *      └──► failed  └─── following          `failed`: only a person can change that
 */
import type { PlaceRef, WireError } from '../../api/schema.ts';

export type ScreenState =
  /** Nothing has been seen yet. `error`: why the last try failed. */
  | { readonly kind: 'opening'; readonly error: WireError | null }
  | { readonly kind: 'live'; readonly place: PlaceRef }
  /** The guest is just leaving the place. */
  | { readonly kind: 'moving'; readonly place: PlaceRef }
  | {
      readonly kind: 'following';
      /** Where it has gone, if somebody said so. */
      readonly to: PlaceRef | null;
      readonly error: WireError | null;
    }
  | { readonly kind: 'failed'; readonly error: WireError };

export type ScreenChange =
  /** The first picture of a connection is there. */
  | { readonly kind: 'seen'; readonly place: PlaceRef }
  | { readonly kind: 'held' }
  | { readonly kind: 'going-on' }
  | { readonly kind: 'ended'; readonly to: PlaceRef | null; readonly error: WireError | null }
  | { readonly kind: 'again' };

export const firstScreen: ScreenState = { kind: 'opening', error: null };

/** Trying again changes nothing about these. */
const FINAL: ReadonlySet<string> = new Set([
  'no-display',
  'guest-unknown',
  'guest-ambiguous',
  'guest-not-yours',
  'session-over',
  'screen-unsupported',
  'not-paired',
]);

export function stepScreen(state: ScreenState, change: ScreenChange): ScreenState {
  switch (change.kind) {
    case 'seen':
      return { kind: 'live', place: change.place };
    case 'held':
      return state.kind === 'live' ? { kind: 'moving', place: state.place } : state;
    case 'going-on':
      return state.kind === 'moving' ? { kind: 'live', place: state.place } : state;
    case 'again':
      return state.kind === 'failed' ? firstScreen : state;
    case 'ended':
      return ended(state, change.to, change.error);
  }
}

function ended(state: ScreenState, to: PlaceRef | null, error: WireError | null): ScreenState {
  if (error !== null && FINAL.has(error.code)) return { kind: 'failed', error };
  if (state.kind === 'opening' || state.kind === 'failed') return { kind: 'opening', error };
  const before = state.kind === 'following' ? state.to : null;
  return { kind: 'following', to: to ?? before, error };
}

const FIRST_RETRY_MS = 60;
const LAST_RETRY_MS = 2_000;

/** Before the `attempt`-th connection since the last picture, from 0 on, ms: a guest that moved is there at once. */
export function retryDelayMs(attempt: number, moved: boolean): number {
  if (attempt === 0) return moved ? 0 : FIRST_RETRY_MS;
  return Math.min(FIRST_RETRY_MS * 2 ** attempt, LAST_RETRY_MS);
}
