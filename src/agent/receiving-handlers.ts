/** The API's calls about who may bring guests here, and about pairing with devices nearby. */
import type { Handlers, IncomingView, PlaceRef } from '../api/index.ts';
import { SojournError } from '../common/index.ts';
import type { HandlerParts } from './handlers.ts';

type ReceivingCalls = Pick<
  Handlers,
  | 'nearby.watch'
  | 'nearby.pair'
  | 'nearby.answer'
  | 'place.forget'
  | 'receiving.show'
  | 'receiving.set'
  | 'incoming.list'
  | 'incoming.answer'
>;

export type ReceivingHandlerParts = Pick<
  HandlerParts,
  'places' | 'receiving' | 'nearby' | 'standbys' | 'departures'
>;

export function receivingHandlers(parts: ReceivingHandlerParts): ReceivingCalls {
  const { places, receiving, nearby, standbys, departures } = parts;
  const other = (reference: string, cannot: string): PlaceRef => {
    const ref = places.resolve(reference);
    if (ref.id !== places.self.id) return ref;
    throw new SojournError({
      kind: 'usage',
      code: 'place-self',
      message: `A place cannot ${cannot} itself`,
      remedy: 'Name another place; see "sojourn places"',
    });
  };
  const view = () => receiving.view(places.listensAt);
  return {
    'nearby.watch': async (_input, { emit, signal }) => {
      await nearby.watch(emit, signal);
      return {};
    },
    'nearby.pair': async ({ device }) => {
      nearby.pair(device);
      return {};
    },
    'nearby.answer': async ({ attempt, answer }) => {
      nearby.answer(attempt, answer);
      return {};
    },
    'place.forget': async ({ place }) => {
      const ref = other(place, 'forget');
      departures.endTo(ref.id);
      receiving.forget(ref.id);
      await places.forget(ref.id);
      await standbys.forgetPlace(ref.id);
      return ref;
    },
    'receiving.show': async () => view(),
    'receiving.set': async ({ place, ...change }) => {
      if (place === undefined && (change.fetch !== undefined || change.limits !== undefined))
        throw new SojournError({
          kind: 'usage',
          code: 'place-missing',
          message: 'Limits and the right to fetch guests are given to one place at a time',
          remedy: 'Name the place',
        });
      const ref = place === undefined ? undefined : other(place, 'give rights to');
      receiving.change({ ...change, ...(ref === undefined ? {} : { place: ref.id }) });
      await places.receivingChanged();
      return view();
    },
    'incoming.list': async () => receiving.incoming(),
    'incoming.answer': async ({ incoming, answer }): Promise<IncomingView> =>
      receiving.answer(incoming, answer),
  };
}
