/** Answers what a paired place may ask beside handoffs and the registry. */

import { programVersion } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { Session } from '../../transport/index.ts';
import type { Guests } from '../guests/guests.ts';
import type { Departures } from '../handoffs/departures.ts';
import type { RegistryService } from '../network/registry-service.ts';
import type { Journal } from '../ownership/journal.ts';
import type { Receiving } from '../receiving/index.ts';
import type { GuestStore } from '../state/guest-store.ts';
import { requireParty } from './parties.ts';
import { peerCalls } from './peer-messages.ts';
import type { Places } from './places.ts';
import type { Presence } from './presence.ts';

export interface PeerQuestionParts {
  readonly tunnelPort: number | null;
  readonly registry: RegistryService;
  readonly store: GuestStore;
  readonly guests: Guests;
  readonly journal: Journal;
  readonly places: Places;
  readonly departures: Departures;
  readonly receiving: Receiving;
  readonly presence: Presence;
}

export function registerPeerQuestions(session: Session, parts: PeerQuestionParts): void {
  const { store, guests, journal, places, departures, registry, receiving, tunnelPort } = parts;
  const { peer } = session;
  const party = (guestId: string) => requireParty({ store, journal, places }, peer, guestId);
  peerCalls.handle(session, 'place.describe', async () => ({
    version: programVersion(),
    tunnelPort,
    anchorsHomeAddresses: registry.anchorsHere,
    listens: places.listens,
  }));
  peerCalls.handle(session, 'place.listens', async ({ listens }) => {
    places.reachableAt(peer, listens);
    return {};
  });
  peerCalls.handle(session, 'guest.whereabouts', async ({ guestId }) => {
    party(guestId);
    const live = guests.live(guestId);
    if (journal.ownership(guestId).kind !== 'here') return { state: 'unknown' };
    if (live === undefined) return { state: 'stopped' };
    return { state: live.phase.kind === 'paused' ? 'paused' : 'running' };
  });
  peerCalls.handle(session, 'guest.request', async ({ guestId, ...manner }, { signal }) => {
    const { spec } = party(guestId);
    if (!receiving.mayFetch(peer)) throw mayNotFetch(places.self.name, places.ref(peer).name);
    const onProgress = () => undefined;
    return departures.start(spec, places.ref(peer), { signal, onProgress, manner });
  });
  peerCalls.handle(session, 'person.used', async ({ usedMsAgo }) => ({
    usedMsAgo: parts.presence.heard(peer, usedMsAgo),
  }));
  peerCalls.handle(session, 'guest.cancel-request', async ({ guestId }) => {
    departures.cancel(party(guestId).spec);
    return {};
  });
}

function mayNotFetch(here: string, peer: string): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'fetch-not-allowed',
    message: `${here} does not let ${peer} ask for guests`,
    remedy: `Hand the guest over at ${here}, or run "sojourn receive --from ${peer} --fetch on" there`,
  });
}
