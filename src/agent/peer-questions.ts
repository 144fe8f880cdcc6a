/** Answers what a paired place may ask beside handoffs and the registry. */

import { programVersion } from '../api/index.ts';
import { SojournError } from '../common/index.ts';
import type { Session } from '../transport/index.ts';
import type { Departures } from './departures.ts';
import type { Guests } from './guests.ts';
import type { Journal } from './journal.ts';
import type { JournalRecord } from './ownership.ts';
import { peerCalls } from './peer-messages.ts';
import type { Places } from './places.ts';
import type { RegistryService } from './registry-service.ts';
import type { GuestStore } from './state/guest-store.ts';

export interface PeerQuestionParts {
  readonly tunnelPort: number | null;
  readonly registry: RegistryService;
  readonly store: GuestStore;
  readonly guests: Guests;
  readonly journal: Journal;
  readonly places: Places;
  readonly departures: Departures;
}

export function registerPeerQuestions(session: Session, parts: PeerQuestionParts): void {
  const { store, guests, journal, places, departures, registry, tunnelPort } = parts;
  const { peer } = session;
  /** A guest's own affairs are told to places that have had it, and to its home. */
  const requireParty = (guestId: string) => {
    const stored = store.find(guestId);
    const party =
      stored?.spec.home === peer || journal.of(guestId).some((record) => hadGuest(record, peer));
    if (stored !== undefined && party) return stored;
    throw new SojournError({
      kind: 'refused',
      code: 'guest-not-yours',
      message: `${places.self.name} has no guest that ${places.ref(peer).name} may ask for by that id`,
      remedy: 'A guest can be fetched by the places that have had it before',
    });
  };
  peerCalls.handle(session, 'place.describe', async () => ({
    version: programVersion(),
    tunnelPort,
    anchorsHomeAddresses: registry.anchorsHere,
  }));
  peerCalls.handle(session, 'guest.whereabouts', async ({ guestId }) => {
    requireParty(guestId);
    const live = guests.live(guestId);
    if (journal.ownership(guestId).kind !== 'here') return { state: 'unknown' };
    if (live === undefined) return { state: 'stopped' };
    return { state: live.phase.kind === 'paused' ? 'paused' : 'running' };
  });
  peerCalls.handle(session, 'guest.request', async ({ guestId, ...manner }, { signal }) => {
    const { spec } = requireParty(guestId);
    const onProgress = () => undefined;
    return departures.start(spec, places.ref(peer), { signal, onProgress, manner });
  });
  peerCalls.handle(session, 'guest.cancel-request', async ({ guestId }) => {
    departures.cancel(requireParty(guestId).spec);
    return {};
  });
}

const HAVING = new Set(['incoming-claimed', 'handoff-sealed', 'handoff-released']);

/** Whether the record shows that the peer has had the guest: it gave it to us, or got it from us. */
function hadGuest(record: JournalRecord, peer: string): boolean {
  return 'peer' in record && record.peer === peer && HAVING.has(record.type);
}
