/** The link watch's hands: what it sees of guests and does with them, by the code that the API uses. */
import type { CallContext, PlaceRef } from '../../api/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { Manner } from '../../handoff/index.ts';
import { type HandlerParts, knownGuests } from '../handlers.ts';
import { handOff } from '../handoffs/handoff-call.ts';
import type { StoredGuest } from '../state/guest-store.ts';
import type { WatchedGuest, WatchPorts } from './watch.ts';

export type WatchParts = Pick<
  HandlerParts,
  | 'store'
  | 'journal'
  | 'guests'
  | 'departures'
  | 'standbys'
  | 'arrivals'
  | 'places'
  | 'whereabouts'
  | 'changes'
  | 'receiving'
  | 'presence'
>;

export function watchPorts(parts: WatchParts): WatchPorts {
  const { store, standbys, places, changes } = parts;
  const move = (spec: GuestSpec, to: PlaceRef, manner: Manner, signal: AbortSignal) => {
    const stored = store.find(spec.id);
    if (stored === undefined) throw new Error(`guest ${spec.id} is gone`);
    const context: CallContext<'handoff.start'> = { signal, emit: () => undefined };
    return handOff(parts, stored, { to, manner }, context);
  };
  return {
    guests: () => knownGuests(parts).flatMap((stored) => watchedGuest(parts, stored) ?? []),
    standbyPlace: (spec) => standbyPlace(parts, spec),
    session: (place) => places.session(place),
    arm: (spec, place) => standbys.arm(spec, place, { whenUnmetered: false, bothWays: true }),
    tighten: (guests) => standbys.tighten(guests),
    handOff: async (spec, to, manner, signal) => move(spec, to, manner, signal),
    bringBack: async (spec, manner, signal) => move(spec, places.self, manner, signal),
    personAt: () => parts.presence.personAt,
    changed: () => changes.emit('change'),
  };
}

/** Undefined for one that does not run, or of which nobody knows just now where it is. */
function watchedGuest(
  { journal, guests, departures, arrivals, standbys }: WatchParts,
  { spec }: StoredGuest,
): WatchedGuest | undefined {
  const ownership = journal.ownership(spec.id).kind;
  const standby = ownership === 'here' ? standbys.view(spec.id) : null;
  const arriving = arrivals.find(spec.id)?.standby === false;
  if (departures.find(spec.id) !== undefined || arriving) return { spec, at: 'moving', standby };
  if (ownership === 'elsewhere') return { spec, at: 'away', standby };
  const running = ownership === 'here' && guests.live(spec.id)?.phase.kind === 'running';
  return running ? { spec, at: 'here', standby } : undefined;
}

/** Its home, if that is a site; else a site that answers; else any. */
function standbyPlace({ places }: WatchParts, spec: GuestSpec): PlaceRef | undefined {
  const sites = places.all().filter(({ profile }) => profile === 'site');
  const site =
    sites.find(({ id }) => id === spec.home) ??
    sites.find(({ id }) => places.session(id)?.state === 'connected') ??
    sites[0];
  return site && places.ref(site.id);
}
