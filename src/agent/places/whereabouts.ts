/** Where the guests are that are not here, as far as their home and their present place say. */
import type { PlaceRef } from '../../api/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { RegistryService } from '../network/registry-service.ts';
import type { WhereaboutsState } from '../views.ts';
import { peerCalls } from './peer-messages.ts';
import type { Places } from './places.ts';

/** An answer is good for this long, ms. */
const FRESH_MS = 1_000;
/** A view does not wait longer than this for an answer, ms; it then tells the last one. */
const PATIENCE_MS = 1_500;

export interface Sighting {
  readonly place: PlaceRef;
  readonly there: WhereaboutsState;
}

export class Whereabouts {
  readonly #places: Places;
  readonly #registry: RegistryService;
  readonly #known = new Map<string, { at: number; sighting: Sighting }>();

  constructor(places: Places, registry: RegistryService) {
    this.#places = places;
    this.#registry = registry;
  }

  /** `last`: where this place's own journal says that it went. */
  async of(spec: GuestSpec, last: string): Promise<Sighting> {
    const known = this.#known.get(spec.id);
    if (known !== undefined && performance.now() - known.at < FRESH_MS) return known.sighting;
    const sighting = await this.#ask(spec, last);
    this.#known.set(spec.id, { at: performance.now(), sighting });
    return sighting;
  }

  async #ask(spec: GuestSpec, last: string): Promise<Sighting> {
    const fallback: Sighting = { place: this.#places.ref(last), there: 'unknown' };
    let found: Sighting = fallback;
    try {
      const record = await this.#registry.find(spec.home, spec.id, PATIENCE_MS);
      if (record !== undefined) {
        const known = this.#places.ref(record.place);
        found = {
          place: { ...known, name: this.#places.find(record.place)?.name ?? record.placeName },
          there: 'unknown',
        };
      }
      const session = this.#places.session(found.place.id);
      if (session?.state !== 'connected') return found;
      const options = { timeoutMs: PATIENCE_MS };
      const { state } = await peerCalls.call(
        session,
        'guest.whereabouts',
        { guestId: spec.id },
        options,
      );
      return { ...found, there: state };
    } catch {
      // Not to know is an answer here: the view shows "unknown".
      return found;
    }
  }
}
