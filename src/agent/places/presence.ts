/**
 * At which of their devices somebody is. Each device whose app says when it was used last tells the places that it is connected to, which
 * answer with what they know of others. Only of devices that have had a guest in common with the one that asks: those are taken to
 * be one person's.
 */
import { errorText } from '../../common/index.ts';
import { isParty, type Parties } from './parties.ts';
import { peerCalls, QUESTION_MS } from './peer-messages.ts';
import type { Places } from './places.ts';

/** Somebody is at a device that was used so lately, ms. */
const ACTIVE_MS = 60_000;
/** And not at one that has not been used for so long, ms. */
const IDLE_MS = 120_000;
/** An app that is silent for so long is gone, and nobody knows any more when the device is used, ms. */
const APP_SILENT_MS = 60_000;
export const TELL_EVERY_MS = 15_000;

export type PersonAt = 'here' | 'elsewhere' | 'unknown';

/** `here`, `elsewhere`: how long ago the devices were used, ms; undefined while nobody says so. */
export function personAt(here: number | undefined, elsewhere: number | undefined): PersonAt {
  if (here === undefined) return 'unknown';
  if (here <= ACTIVE_MS) return 'here';
  return here >= IDLE_MS && elsewhere !== undefined && elsewhere <= ACTIVE_MS
    ? 'elsewhere'
    : 'unknown';
}

export interface PresenceOptions extends Pick<Parties, 'store' | 'journal'> {
  readonly places: () => Pick<Places, 'all' | 'session'>;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly log: { debug(details: object, message: string): void };
}

export class Presence {
  readonly #options: PresenceOptions;
  #here: { readonly usedAt: number; readonly toldAt: number } | undefined;
  /** When each device was used, by itself. */
  readonly #peers = new Map<string, number>();
  /** What a place says of other devices. */
  readonly #answers = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tellAll(), TELL_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  get personAt(): PersonAt {
    const now = this.#options.now();
    const lately = [...this.#peers.values(), ...this.#answers.values()];
    return personAt(
      this.#usedHere(now),
      lately.length === 0 ? undefined : now - Math.max(...lately),
    );
  }

  /** By the app of this device. */
  used(msAgo: number): void {
    const now = this.#options.now();
    this.#here = { usedAt: now - msAgo, toldAt: now };
  }

  /** The peer was used so long ago, or does not know. @returns the same of the others that it may know of, ms */
  heard(peer: string, msAgo: number | null): number | null {
    const now = this.#options.now();
    if (msAgo === null || !this.#shares(peer)) this.#peers.delete(peer);
    else this.#peers.set(peer, now - msAgo);
    const others = [...this.#peers].filter(([id]) => id !== peer && this.#shares(peer, id));
    const here = this.#shares(peer) ? this.#usedHere(now) : undefined;
    const ago = [...others.map(([, at]) => now - at), ...(here === undefined ? [] : [here])];
    return ago.length === 0 ? null : Math.min(...ago);
  }

  #usedHere(now: number): number | undefined {
    const here = this.#here;
    return here === undefined || now - here.toldAt > APP_SILENT_MS ? undefined : now - here.usedAt;
  }

  /** Whether all of them have had one of the guests that are known here. */
  #shares(...peers: string[]): boolean {
    const { store } = this.#options;
    return store
      .list()
      .some(({ spec }) => peers.every((peer) => isParty(this.#options, peer, spec.id)));
  }

  async #tellAll(): Promise<void> {
    const { places, now } = this.#options;
    const used = this.#usedHere(now());
    if (used === undefined) return;
    await Promise.all(
      places()
        .all()
        .map(({ id }) => this.#tell(id, used)),
    );
  }

  async #tell(place: string, usedMsAgo: number): Promise<void> {
    const { places, now, log } = this.#options;
    const session = places().session(place);
    this.#answers.delete(place);
    if (session?.state !== 'connected' || !this.#shares(place)) return;
    try {
      const options = { timeoutMs: QUESTION_MS };
      const answer = await peerCalls.call(session, 'person.used', { usedMsAgo }, options);
      if (answer.usedMsAgo !== null) this.#answers.set(place, now() - answer.usedMsAgo);
    } catch (error) {
      log.debug({ place, reason: errorText(error) }, 'nothing is known of other devices');
    }
  }
}
