/** What the menu says of one guest, and what can be done with it. */
import type { GuestView, PlaceView } from '../../src/api/index.ts';
import { formatDuration, type Safety, safetyOf } from '../../src/ui/index.ts';
import type { Language, Words } from '../words/index.ts';
import { coarsePercent } from './figures.ts';
import { nameLabel, sentenceLabel } from './label.ts';
import type { Item } from './types.ts';

export interface GuestContext {
  readonly words: Words;
  readonly language: Language;
  readonly places: readonly PlaceView[];
  /** What is shown as the time that a handoff would take, by guest, ms. */
  readonly estimates: ReadonlyMap<string, number>;
}

/** One sentence, or two: where it runs, and what becomes of it when this network dies. */
export function sentenceOf(guest: GuestView, context: GuestContext): string {
  const { states } = context.words;
  const name = nameLabel(guest.name);
  const safety = safetyOf(guest);
  switch (safety.kind) {
    case 'armed':
    case 'filling':
    case 'waiting':
    case 'unavailable':
    case 'alone':
      return `${states.running(name)}. ${protectionOf(guest, safety, context)}`;
    case 'moving': {
      const place = nameLabel(safety.place);
      return safety.direction === 'out' ? states.moving(name, place) : states.arriving(name, place);
    }
    case 'away':
      return awaySentence(name, nameLabel(safety.place), safety.there, context.words);
    case 'starting':
    case 'stopping':
    case 'stopped':
    case 'crashed':
      return states[safety.kind](name);
    case 'paused':
      return `${states.paused(name)}. ${context.words.pauseReasons[safety.reason]}`;
    case 'in-doubt':
      return states.inDoubt(name, nameLabel(safety.place));
  }
}

type Protection = Extract<
  Safety,
  { kind: 'armed' | 'filling' | 'waiting' | 'unavailable' | 'alone' }
>;

function protectionOf(
  guest: GuestView,
  safety: Protection,
  { words: { states }, language, estimates }: GuestContext,
): string {
  if (safety.kind === 'alone') return states.alone;
  const place = nameLabel(safety.place);
  if (safety.kind === 'filling') return states.filling(place, coarsePercent(safety.percent));
  if (safety.kind !== 'armed') {
    return safety.reason === null
      ? states.notReady(place)
      : states.risk(sentenceLabel(safety.reason));
  }
  if (safety.hindrance !== null) return states.hindered(place, sentenceLabel(safety.hindrance));
  const estimate = estimates.get(guest.id);
  const time = estimate === undefined ? undefined : formatDuration(estimate, language, true);
  return states.safe(place, time);
}

function awaySentence(
  guest: string,
  place: string,
  there: 'running' | 'paused' | 'stopped' | 'unknown',
  { states }: Words,
): string {
  switch (there) {
    case 'running':
      return states.away(guest, place);
    case 'paused':
      return states.awayPaused(guest, place);
    case 'stopped':
      return states.awayStopped(guest, place);
    case 'unknown':
      return states.awayUnknown(guest, place);
  }
}

/** What can be done with it now, in the order of how often that is wanted. */
export function itemsOf(guest: GuestView, context: GuestContext): Item[] {
  const { guestActions } = context.words;
  const { id, state } = guest;
  const open: Item = {
    kind: 'action',
    label: guestActions.open,
    action: { do: 'open', route: { view: 'guest', guest: id } },
  };
  const screen: Item[] =
    guest.display === 'none'
      ? []
      : [
          {
            kind: 'action',
            label: guestActions.screen,
            action: { do: 'open-screen', guest: id },
          },
        ];
  const simple = (what: 'start' | 'stop'): Item => ({
    kind: 'action',
    label: guestActions[what],
    action: { do: what, guest: id },
  });
  switch (state.kind) {
    case 'running':
      return [...leaving(guest, context), ...screen, open, simple('stop')];
    case 'paused':
      return [open, simple('stop')];
    case 'stopped':
    case 'crashed':
      return [simple('start'), open];
    case 'elsewhere':
      return [bringBack(guest, state.place.id, context), ...screen, open];
    case 'moving-out':
    case 'moving-in': {
      const action = { do: 'cancel-handoff', guest: id } as const;
      return [{ kind: 'action', label: guestActions.cancel, action }, ...screen, open];
    }
    case 'in-doubt':
      return [{ ...open, label: guestActions.decide }];
    case 'starting':
    case 'stopping':
      return [open];
  }
}

function leaving(guest: GuestView, { places, words }: GuestContext): Item[] {
  const { guestActions, unavailable } = words;
  const others = places.filter(({ self }) => !self);
  if (others.length === 0) return [{ kind: 'text', label: unavailable.noPlaces }];
  const handOff = (to: PlaceView, label: string): Item =>
    to.connected
      ? { kind: 'action', label, action: { do: 'hand-off', guest: guest.id, to: to.id } }
      : { kind: 'text', label: `${label} (${unavailable.notConnected})` };
  const first = favourite(guest, others);
  const items = [handOff(first, guestActions.handOffTo(nameLabel(first.name)))];
  if (others.length > 1) {
    items.push({
      kind: 'submenu',
      label: guestActions.handOff,
      items: others.map((place) => handOff(place, nameLabel(place.name))),
    });
  }
  const kept = guest.standby;
  const keeper = kept === null ? first : others.find(({ id }) => id === kept.place.id);
  if (keeper !== undefined) {
    items.push({
      kind: 'choice',
      label: guestActions.keepSafe(nameLabel(keeper.name)),
      chosen: kept !== null,
      exclusive: false,
      action:
        kept === null
          ? { do: 'arm', guest: guest.id, at: keeper.id }
          : { do: 'disarm', guest: guest.id },
    });
  }
  return items;
}

/** Where this guest most likely shall go: where it stands by, else its home, else a site, a connected one first. */
function favourite(guest: GuestView, others: readonly PlaceView[]): PlaceView {
  const wanted = [guest.standby?.place.id, guest.home.id];
  const known = wanted.flatMap((id) => others.filter((place) => place.id === id));
  const score = ({ connected, profile }: PlaceView) =>
    (connected ? 2 : 0) + (profile === 'site' ? 1 : 0);
  const [best] = others.toSorted((a, b) => score(b) - score(a));
  return known[0] ?? (best as PlaceView);
}

function bringBack(guest: GuestView, at: string, { places, words }: GuestContext): Item {
  const { guestActions, unavailable } = words;
  const self = places.find((place) => place.self);
  const there = places.find(({ id }) => id === at);
  if (self === undefined || there?.connected !== true) {
    const label = `${guestActions.bringBack} (${unavailable.notConnected})`;
    return { kind: 'text', label };
  }
  return {
    kind: 'action',
    label: guestActions.bringBack,
    action: { do: 'hand-off', guest: guest.id, to: self.id },
  };
}
