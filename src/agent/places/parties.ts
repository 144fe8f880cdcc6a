/** Who may ask for a guest: the places that have had it, and its home. */
import { SojournError } from '../../common/index.ts';
import type { Journal } from '../ownership/journal.ts';
import type { JournalRecord } from '../ownership/ownership.ts';
import type { GuestStore, StoredGuest } from '../state/guest-store.ts';
import type { Places } from './places.ts';

export interface Parties {
  readonly store: GuestStore;
  readonly journal: Journal;
  readonly places: Places;
}

/** @throws SojournError `guest-not-yours`, also for a guest that nobody knows */
export function requireParty(
  { store, journal, places }: Parties,
  peer: string,
  guestId: string,
): StoredGuest {
  const stored = store.find(guestId);
  if (stored !== undefined && isParty({ store, journal }, peer, guestId)) return stored;
  throw new SojournError({
    kind: 'refused',
    code: 'guest-not-yours',
    message: `${places.self.name} has no guest that ${places.ref(peer).name} may ask for by that id`,
    remedy: 'A guest can be fetched by the places that have had it before',
  });
}

export function isParty(
  { store, journal }: Pick<Parties, 'store' | 'journal'>,
  peer: string,
  guestId: string,
): boolean {
  const home = store.find(guestId)?.spec.home;
  return home === peer || journal.of(guestId).some((record) => hadGuest(record, peer));
}

const HAVING = new Set(['incoming-claimed', 'handoff-sealed', 'handoff-released']);

/** Whether the record shows that the peer has had the guest: it gave it to us, or got it from us. */
function hadGuest(record: JournalRecord, peer: string): boolean {
  return 'peer' in record && record.peer === peer && HAVING.has(record.type);
}
