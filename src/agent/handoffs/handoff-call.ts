/** The call that hands a guest over, from wherever it is. */
import type { CallContext, HandoffResult, PlaceRef } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { Manner } from '../../handoff/index.ts';
import type { HandlerParts } from '../handlers.ts';
import { type HandoffSummary, peerCalls, REQUEST_MS } from '../places/peer-messages.ts';
import type { StoredGuest } from '../state/guest-store.ts';

type HandoffParts = Pick<
  HandlerParts,
  'journal' | 'places' | 'departures' | 'whereabouts' | 'arrivals' | 'changes' | 'receiving'
>;

/** Hands a guest over: from here, or, asked from the place that wants it back, from where it is. */
export async function handOff(
  parts: HandoffParts,
  stored: StoredGuest,
  { to, manner }: { readonly to: PlaceRef; readonly manner: Manner },
  context: CallContext<'handoff.start'>,
): Promise<HandoffResult> {
  const { spec } = stored;
  const { journal, places, departures, whereabouts, arrivals } = parts;
  const guest = { id: spec.id, name: spec.name };
  const ownership = journal.ownership(spec.id);
  const standing = arrivals.find(spec.id);
  const standsHere = standing?.standby === true && ownership.kind === 'unknown';
  if (ownership.kind !== 'elsewhere' && !standsHere) {
    const summary = await departures.start(spec, to, {
      manner,
      signal: context.signal,
      onProgress: (progress) => context.emit(progress),
    });
    return { ...withPhases(summary), guest, from: places.self, to };
  }
  const from =
    ownership.kind === 'elsewhere'
      ? (await whereabouts.of(spec, ownership.place)).place
      : (standing?.from ?? to);
  if (from.id === to.id || to.id !== places.self.id)
    throw notFromHere(spec.name, from, to, places.self.name);
  const session = await places.connected(from.id, context.signal);
  const stop = () => {
    peerCalls
      .call(session, 'guest.cancel-request', { guestId: spec.id }, { timeoutMs: REQUEST_MS })
      // Without an answer the request goes on, and its own answer tells how it ended.
      .catch(() => undefined);
  };
  context.signal.addEventListener('abort', stop, { once: true });
  const told = parts.changes;
  const show = () => {
    const arrival = arrivals.find(spec.id);
    if (arrival !== undefined) context.emit(arrivals.progressOf(arrival));
  };
  told.on('change', show);
  try {
    const request = { guestId: spec.id, ...manner };
    const summary = await parts.receiving.whileWanted(spec.id, () =>
      peerCalls.call(session, 'guest.request', request, { timeoutMs: REQUEST_MS }),
    );
    return { ...withPhases(summary), guest, from, to };
  } finally {
    told.off('change', show);
    context.signal.removeEventListener('abort', stop);
  }
}

function withPhases(summary: HandoffSummary): Omit<HandoffResult, 'guest' | 'from' | 'to'> {
  return { ...summary, phases: summary.phases as HandoffResult['phases'] };
}

function notFromHere(guest: string, from: PlaceRef, to: PlaceRef, here: string): SojournError {
  const there = from.id === to.id;
  return new SojournError({
    kind: 'conflict',
    code: there ? 'already-there' : 'guest-elsewhere',
    message: there ? `${guest} is at ${to.name} already` : `${guest} is at ${from.name}, not here`,
    remedy: there
      ? 'Name another place; see "sojourn places"'
      : `Bring it here first with "sojourn handoff ${guest} --to ${here}", or run the handoff at ${from.name}`,
  });
}
