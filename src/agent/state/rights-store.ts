/** What paired places may do here, and where this place listens for them. */
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { placeId } from '../../guest/spec.ts';
import {
  type PlaceRights,
  placeRights,
  type ReceiveMode,
  receiveMode,
} from '../receiving/rights.ts';

const stored = z.object({
  /** Of places of which nothing else was said; absent: as the profile has it. */
  receive: receiveMode.optional(),
  places: z.record(placeId, placeRights),
});
type Stored = z.infer<typeof stored>;
const NOTHING: Stored = { places: {} };

const RIGHTS = 'rights';
const LISTEN_PORT = 'device-listen-port';

export class RightsStore {
  readonly #database: DatabaseSync;
  #stored: Stored | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get receive(): ReceiveMode | undefined {
    return this.#read().receive;
  }

  set receive(mode: ReceiveMode) {
    this.#write({ ...this.#read(), receive: mode });
  }

  of(place: string): PlaceRights {
    return this.#read().places[place] ?? {};
  }

  /** What is `undefined` in `rights` is as everywhere from now on. */
  put(place: string, rights: PlaceRights): void {
    const before = this.#read();
    this.#write({ ...before, places: { ...before.places, [place]: placeRights.parse(rights) } });
  }

  forget(place: string): void {
    const { places, ...rest } = this.#read();
    const { [place]: _gone, ...others } = places;
    this.#write({ ...rest, places: others });
  }

  /** The port under which this device was last reached by other devices: they keep it. */
  get listenPort(): number | undefined {
    return this.#get(LISTEN_PORT, z.int().min(1).max(65_535));
  }

  set listenPort(port: number) {
    this.#put(LISTEN_PORT, port);
  }

  #read(): Stored {
    this.#stored ??= this.#get(RIGHTS, stored) ?? NOTHING;
    return this.#stored;
  }

  #write(value: Stored): void {
    this.#put(RIGHTS, value);
    this.#stored = value;
  }

  #get<Schema extends z.ZodType>(name: string, schema: Schema): z.output<Schema> | undefined {
    const row = this.#database.prepare('SELECT value FROM settings WHERE name = ?').get(name);
    return row === undefined ? undefined : schema.parse(JSON.parse(String(row.value)));
  }

  #put(name: string, value: unknown): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO settings VALUES (?, ?)')
      .run(name, JSON.stringify(value));
  }
}
