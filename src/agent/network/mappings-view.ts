/** What the registry of this site tells whoever leads packets to guests. */
import { once } from 'node:events';
import { type Handlers, MAX_MAPPINGS, type MappingsView, type PlaceRef } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { HomeRecord } from '../../mobility/index.ts';
import type { Places } from '../places/places.ts';
import type { Expectation, RegistryService } from './registry-service.ts';

export function mappingsHandlers({
  registry,
  places,
}: {
  readonly registry: RegistryService;
  readonly places: Places;
}): Pick<Handlers, 'mappings.watch'> {
  return {
    'mappings.watch': async (_input, { emit, signal }) => {
      registry.requireAnchor();
      while (!signal.aborted) {
        emit(
          mappingsView(registry.list(), {
            home: places.self.id,
            ref: (id) => places.ref(id),
            expected: (record) => registry.expected(record),
          }),
        );
        // Between the two nothing else runs, so that no change is missed.
        await once(registry.changes, 'change', { signal }).catch(() => undefined);
      }
      return {};
    },
  };
}

/** Pure. @throws SojournError `mappings-too-many` */
export function mappingsView(
  records: readonly HomeRecord[],
  at: {
    readonly home: string;
    readonly ref: (place: string) => PlaceRef;
    readonly expected: (record: HomeRecord) => Expectation | undefined;
  },
): MappingsView {
  if (records.length > MAX_MAPPINGS) throw tooMany(records.length);
  const guests = records.map((record) => ({
    id: record.guestId,
    name: record.guestName,
    number: record.number,
    mac: record.mac,
    hoa4: record.network.hoa4,
    hoa6Prefix: record.network.hoa6Prefix,
    place: record.place,
    epoch: record.epoch,
    expected: at.expected(record) ?? null,
  }));
  const ids = guests.flatMap(({ place, expected }) =>
    expected === null ? [place] : [place, expected.place],
  );
  return { home: at.home, places: [...new Set([at.home, ...ids])].map(at.ref), guests };
}

function tooMany(count: number): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'mappings-too-many',
    message: `This site anchors ${count} guests, and ${MAX_MAPPINGS} are the most that a controller can follow`,
    remedy: 'Anchor some of them at another site',
  });
}
