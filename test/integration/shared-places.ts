/** One pair of places for all tests of a file. */
import { type Side, TwoPlaces } from './two-places.ts';

/** One pair of places for the tests of a file: each begins where it wants to, whatever the one before it left. */
export class SharedPlaces {
  #places: TwoPlaces | undefined;

  async at(side: Side): Promise<TwoPlaces> {
    return (await this.#ready(side)).places;
  }

  /** Wherever the test before has left the guest: what is tested does not depend on it, and moving takes time. */
  anywhere(): Promise<{ places: TwoPlaces; side: Side }> {
    return this.#ready(undefined);
  }

  async close(): Promise<void> {
    await this.#places?.close();
    this.#places = undefined;
  }

  async #ready(wanted: Side | undefined): Promise<{ places: TwoPlaces; side: Side }> {
    if (this.#places !== undefined) {
      try {
        return { places: this.#places, side: await this.#places.ready(wanted) };
      } catch {
        // The test before this one has failed and told why.
        await this.close();
      }
    }
    this.#places = await TwoPlaces.create();
    return { places: this.#places, side: await this.#places.ready(wanted) };
  }
}
