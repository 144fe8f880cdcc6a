/** Keeps one guest standing by at one place for as long as that is wanted, whatever comes between. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { HandoffProgress, PlaceRef, StandbyView } from '../../api/index.ts';
import { asClause, asSojournError, errorText } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import { type StandbySnapshot, standbyFigures } from '../../handoff/index.ts';
import type { StandbyWish } from '../state/standby-store.ts';
import { type Obstacle, obstacleTo, retryDelay, WORKED_MS } from './standby-plan.ts';
import type { StandbyParts } from './standbys.ts';

/** An obstacle is looked at again at every change, and this often, ms. */
const LOOK_AGAIN_MS = 30_000;
const MIB = 1024 * 1024;

type State =
  | { readonly kind: 'waiting'; readonly obstacle: Obstacle }
  | { readonly kind: 'filling'; readonly progress: HandoffProgress | undefined }
  | { readonly kind: 'armed'; readonly snapshot: StandbySnapshot }
  | { readonly kind: 'unavailable'; readonly obstacle: Obstacle };

export class StandbyKeeper {
  readonly spec: GuestSpec;
  readonly wish: StandbyWish;
  readonly #parts: StandbyParts;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #state: State = { kind: 'filling', progress: undefined };
  #since = new Date();
  #failures = 0;
  #told: string | undefined;

  constructor(parts: StandbyParts, spec: GuestSpec, wish: StandbyWish) {
    this.#parts = parts;
    this.spec = spec;
    this.wish = wish;
    this.#done = this.#run();
  }

  get isArmed(): boolean {
    return this.#state.kind === 'armed';
  }

  get place(): PlaceRef {
    return this.#parts.places.ref(this.wish.place);
  }

  /**
   * Resolves when nothing of it is left at the other place, or will be soon. A guest that is on its way already goes on, and
   * nobody waits for that: it may be in doubt.
   */
  async end(): Promise<void> {
    this.#stop.abort();
    if (this.#parts.departures.find(this.spec.id) === undefined) await this.#done;
  }

  view(now: number): StandbyView {
    const state = this.#state;
    const { whenUnmetered, bothWays } = this.wish;
    const common = {
      place: this.place,
      state: state.kind,
      since: this.#since.toISOString(),
      whenUnmetered,
      bothWays,
      ...NOTHING_KNOWN,
    };
    switch (state.kind) {
      case 'waiting':
      case 'unavailable': {
        const { code, text, remedy } = state.obstacle;
        const reason = { reason: text, reasonCode: code };
        return { ...common, ...reason, ...(remedy === undefined ? {} : { remedy }) };
      }
      case 'filling':
        return state.progress === undefined ? common : { ...common, progress: state.progress };
      case 'armed': {
        const { converges, ...figures } = standbyFigures(
          state.snapshot,
          now,
          this.spec.abi.memoryMiB * MIB,
        );
        const cut = this.#parts.places.session(this.wish.place)?.state !== 'connected';
        if (!cut && converges) return { ...common, ...figures };
        if (!cut) {
          const reason = 'the guest changes more than the network carries just now';
          return { ...common, ...figures, reason, reasonCode: 'not-converging' };
        }
        const reason = `${this.place.name} cannot be reached just now`;
        return { ...common, ...figures, estimateMs: null, reason, reasonCode: 'peer-unreachable' };
      }
    }
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const obstacle = this.#obstacle();
      if (obstacle !== undefined) {
        this.#enter({ kind: 'waiting', obstacle });
        await this.#change(LOOK_AGAIN_MS);
        continue;
      }
      const armedBefore = this.#failures;
      try {
        this.#enter({ kind: 'filling', progress: undefined });
        await this.#standBy();
        // The wish has gone with the guest; one for this way only waits until the guest is here again.
        if (!this.wish.bothWays) continue;
        this.#parts.handedOver(this.wish);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (this.#obstacle() !== undefined) continue;
        this.#failures = this.#worked() ? 1 : armedBefore + 1;
        await this.#failed(error);
      }
    }
  }

  #worked(): boolean {
    return this.#state.kind === 'armed' && Date.now() - this.#since.getTime() >= WORKED_MS;
  }

  async #standBy(): Promise<void> {
    const { departures } = this.#parts;
    await departures.standBy(
      this.spec,
      this.place,
      {
        bothWays: this.wish.bothWays,
        budget: (linkBytesPerSecond) => this.#parts.budget(this.wish, linkBytesPerSecond),
        mayFill: () => !(this.wish.whenUnmetered && this.#parts.conditions().metered),
        onProgress: (progress) => this.#progress(progress),
        onFresh: (snapshot) => this.#enter({ kind: 'armed', snapshot }),
      },
      this.#stop.signal,
    );
  }

  #progress(progress: HandoffProgress): void {
    // The fill ends with the first burst that has sent all.
    if (this.#state.kind === 'filling' && progress.phase !== 'armed')
      this.#state = { kind: 'filling', progress };
  }

  async #failed(error: unknown): Promise<void> {
    const { code, message, remedy } = asSojournError(error);
    const obstacle = { code, text: asClause(message), ...(remedy === undefined ? {} : { remedy }) };
    this.#enter({ kind: 'unavailable', obstacle });
    // Once per cause: a place that stays full is not told of at every try.
    if (this.#told !== code) {
      const guest = this.spec.name;
      this.#parts.log.warn({ guest, code, reason: errorText(error) }, 'guest does not stand by');
    }
    this.#told = code;
    const { retryMs = retryDelay } = this.#parts;
    await delay(retryMs(this.#failures), undefined, { signal: this.#stop.signal }).catch(
      () => undefined,
    );
  }

  #obstacle(): Obstacle | undefined {
    const { journal, guests, departures, places, conditions } = this.#parts;
    const { id } = this.spec;
    return obstacleTo(
      {
        ownership: journal.ownership(id).kind,
        phase: guests.live(id)?.phase.kind,
        moving: departures.departing(id) !== undefined || departures.isBlocked(id),
        paired: places.find(this.wish.place) !== undefined,
        connected: places.session(this.wish.place)?.state === 'connected',
        metered: conditions().metered,
        whenUnmetered: this.wish.whenUnmetered,
      },
      this.place.name,
    );
  }

  /** `since` of a state that stays the same for another while is when it began. */
  #enter(state: State): void {
    const before = this.#state;
    this.#state = state;
    if (state.kind === 'armed') this.#told = undefined;
    const code = (of: State) => ('obstacle' in of ? of.obstacle.code : '');
    if (before.kind === state.kind && code(before) === code(state)) return;
    this.#since = new Date();
    this.#parts.changed();
  }

  async #change(limitMs: number): Promise<void> {
    const limit = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limitMs)]);
    await once(this.#parts.changes, 'change', { signal: limit }).catch(() => undefined);
  }
}

const NOTHING_KNOWN = {
  residueBytes: null,
  residueBytesOnLink: null,
  dirtyBytesPerSecond: null,
  freshMs: null,
  upkeepBytesPerSecond: null,
  estimateMs: null,
} as const;
