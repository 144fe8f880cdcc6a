/** The audit of all guests, or one, in the words of the API. */
import type { AuditEntry, CallOutput, PlaceRef } from '../../api/index.ts';
import { resolveReference } from '../../api/index.ts';
import type { Places } from '../places/places.ts';
import type { GuestStore } from '../state/guest-store.ts';
import { auditGuest } from './audit.ts';
import type { Journal } from './journal.ts';

export interface AuditParts {
  readonly journal: Journal;
  readonly places: Places;
  readonly store: GuestStore;
}

/** `reference`: one guest, by name or id, also a deleted one by its whole id; all when absent. @throws SojournError `guest-unknown` */
export function auditView(
  { journal, places, store }: AuditParts,
  reference: string | undefined,
): CallOutput<'guest.audit'> {
  const known = new Map(store.list().map(({ spec }) => [spec.id, spec.name]));
  const ids = journal.guests.map((id) => ({ id, name: known.get(id) ?? id.slice(0, 12) }));
  const chosen = reference === undefined ? ids : [resolveReference('guest', reference, ids)];
  const time = (at: number) => new Date(at).toISOString();
  const place = (id: string): PlaceRef => places.ref(id);
  const problems: string[] = [];
  const entries = chosen.flatMap((guest) => {
    const audit = auditGuest(journal.of(guest.id), places.self.id);
    problems.push(...audit.problems.map((problem) => `${guest.name}: ${problem}`));
    return audit.tenures.map(
      ({ epoch, owner, from, until, record, handoffId }): AuditEntry => ({
        guest,
        epoch,
        owner: owner === undefined ? null : place(owner),
        from: time(from),
        until: until === undefined ? null : time(until),
        record,
        handoffId: handoffId ?? null,
      }),
    );
  });
  return { place: places.self, entries, problems };
}
