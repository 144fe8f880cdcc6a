/** What can be done with a guest now, and why not where it cannot. */
import type { GuestView, PlaceView } from '../../api/schema.ts';

export type ActionName =
  | 'hand-off'
  | 'bring-back'
  | 'arm'
  | 'disarm'
  | 'start'
  | 'start-copy'
  | 'stop'
  | 'force-stop'
  | 'cancel'
  | 'decide'
  | 'limit'
  | 'screen'
  | 'console'
  | 'delete';

/** In the order in which they are offered; the first is what a person most likely wants. */
export function actionsOf(guest: GuestView): readonly ActionName[] {
  const { state, standby } = guest;
  switch (state.kind) {
    case 'running':
      return ['hand-off', standby === null ? 'arm' : 'disarm', 'screen', 'console', 'stop'];
    case 'starting':
    case 'stopping':
      return ['console', 'force-stop'];
    case 'paused':
      return pausedActions[state.reason];
    case 'stopped':
      return ['start', 'delete'];
    case 'crashed':
      return ['start', 'start-copy', 'delete'];
    case 'elsewhere':
      return state.there === 'stopped' ? [] : ['bring-back', 'screen'];
    case 'moving-out':
      return ['cancel', 'screen'];
    case 'moving-in':
      return ['cancel'];
    case 'in-doubt':
      return ['decide'];
  }
}

const pausedActions: Readonly<
  Record<Extract<GuestView['state'], { kind: 'paused' }>['reason'], readonly ActionName[]>
> = {
  'overlay-limit': ['limit', 'hand-off', 'force-stop'],
  'disk-error': ['limit', 'force-stop'],
  user: ['hand-off', 'force-stop'],
  incoming: ['force-stop'],
  unresponsive: ['force-stop'],
};

export interface Target {
  readonly place: PlaceView;
  /** Null when the guest can be handed there as far as this place knows. */
  readonly obstacle: 'not-connected' | null;
}

/** The places that a guest could go to, those that can be reached first. */
export function targetsOf(places: readonly PlaceView[]): Target[] {
  return places
    .filter(({ self }) => !self)
    .map((place): Target => ({ place, obstacle: place.connected ? null : 'not-connected' }))
    .toSorted((a, b) => Number(a.obstacle !== null) - Number(b.obstacle !== null));
}

/** Where one click hands the guest: where it stands by, else its home, else a site, else anywhere. */
export function usualTarget(guest: GuestView, places: readonly PlaceView[]): Target | undefined {
  const targets = targetsOf(places);
  const at = (id: string | undefined) => targets.find(({ place }) => place.id === id);
  const reachable = targets.filter(({ obstacle }) => obstacle === null);
  return (
    at(guest.standby?.place.id) ??
    at(guest.home.id) ??
    reachable.find(({ place }) => place.profile === 'site') ??
    reachable[0]
  );
}
