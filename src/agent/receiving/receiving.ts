/** Which guests of other places may come here, and what they may take: rights, limits, and asking. */
import type {
  IncomingView,
  PlaceRef,
  ReceivingChange,
  ReceivingView,
  RightsView,
} from '../../api/index.ts';
import type { JournalRecord } from '../ownership/ownership.ts';
import type { RightsStore } from '../state/rights-store.ts';
import { type Answer, Consent, type IncomingRequest, type Question } from './consent.ts';
import { comesBack, defaultMode, type Limits, type ReceiveMode } from './rights.ts';

export interface ReceivingOptions {
  readonly store: RightsStore;
  readonly profile: 'device' | 'site';
  readonly self: () => PlaceRef;
  readonly place: (id: string) => PlaceRef;
  /** Place ids of all paired places. */
  readonly paired: () => readonly string[];
  /** What the agent was started with: for places of which nothing else was said. */
  readonly limits: Limits;
  /** Records of a guest in the journal of this place. */
  readonly records: (guestId: string) => readonly JournalRecord[];
  /** Somebody asks, or does no more; or a mode has changed. */
  readonly changed: () => void;
  /** Guests of the place may not come any more: those that stand by here have to go; `all`: also those on their way back. */
  readonly closed: (place: string, all: boolean) => void;
  /** How long a person is asked, ms. */
  readonly answerMs: number;
}

export class Receiving {
  readonly #options: ReceivingOptions;
  readonly #consent: Consent;
  /** Guests that somebody here has asked for, and how many times: nobody is asked about them again. */
  readonly #wanted = new Map<string, number>();

  constructor(options: ReceivingOptions) {
    this.#options = options;
    const { self, place, changed, answerMs } = options;
    this.#consent = new Consent({
      here: () => self().name,
      ...{ place, changed, answerMs },
      mode: (id) => this.mode(id),
      setAlways: (id) => this.change({ place: id, receive: 'always' }),
    });
  }

  mode(place: string): ReceiveMode {
    return this.#options.store.of(place).receive ?? this.defaultMode;
  }

  /** Of places of which nothing else was said. */
  get defaultMode(): ReceiveMode {
    const { store, profile } = this.#options;
    return store.receive ?? defaultMode(profile);
  }

  /** The place may ask for guests that it has had before. */
  mayFetch(place: string): boolean {
    return this.#options.store.of(place).fetch ?? true;
  }

  limits(place: string): Limits {
    const { guests, memoryMiB, diskBytes } = this.#options.store.of(place);
    const { limits } = this.#options;
    return {
      guests: guests ?? limits.guests,
      memoryMiB: memoryMiB ?? limits.memoryMiB,
      diskBytes: diskBytes ?? limits.diskBytes,
    };
  }

  /** Why a guest of the place may not come whatever anybody says; undefined if it may, or somebody is asked. */
  problem(guestId: string, from: string) {
    return this.#isOurs(guestId, from) ? undefined : this.#consent.problem(from);
  }

  /** Resolves when the guest may come. @throws SojournError as `Consent.obtain` */
  async admit(request: IncomingRequest, signal: AbortSignal): Promise<void> {
    if (this.#isOurs(request.spec.id, request.from)) return;
    await this.#consent.obtain(request, signal);
  }

  /** While `action` lasts, which brings a guest here on behalf of somebody here, nobody is asked about it. */
  async whileWanted<Result>(guestId: string, action: () => Promise<Result>): Promise<Result> {
    this.#wanted.set(guestId, (this.#wanted.get(guestId) ?? 0) + 1);
    try {
      return await action();
    } finally {
      const left = (this.#wanted.get(guestId) ?? 1) - 1;
      if (left === 0) this.#wanted.delete(guestId);
      else this.#wanted.set(guestId, left);
    }
  }

  /** The guest runs here now. */
  arrived(request: Pick<IncomingRequest, 'from' | 'spec'>): void {
    this.#consent.arrived(request);
  }

  /** An arrival that somebody had let in has ended without its guest. */
  failed(request: Pick<IncomingRequest, 'from' | 'spec'>): void {
    if (this.#consent.isWelcome(request)) this.#consent.welcome(request);
  }

  /** @throws SojournError `incoming-unknown` */
  answer(incoming: string, answer: Answer): IncomingView {
    return incomingView(this.#consent.answer(incoming, answer), this.#options.place);
  }

  /** `place` undefined: for all places of which nothing else is said. */
  change({ place, receive, fetch, limits }: ReceivingChange): void {
    const { store, paired, closed, changed } = this.#options;
    if (place === undefined) {
      if (receive !== undefined && receive !== 'default') store.receive = receive;
    } else {
      const before = store.of(place);
      const { guests, memoryMiB, diskBytes } = limits ?? {};
      store.put(place, {
        receive: receive === 'default' ? undefined : (receive ?? before.receive),
        fetch: fetch ?? before.fetch,
        guests: changedLimit(before.guests, guests),
        memoryMiB: changedLimit(before.memoryMiB, memoryMiB),
        diskBytes: changedLimit(before.diskBytes, diskBytes),
      });
    }
    for (const id of paired()) if (this.mode(id) === 'off') closed(id, false);
    this.#consent.reconsider();
    changed();
  }

  /** The place is paired no more. */
  forget(place: string): void {
    this.#options.store.forget(place);
    this.#consent.forget(place);
    this.#options.closed(place, true);
  }

  close(): void {
    this.#consent.close();
  }

  rights(place: string): RightsView {
    const { guests, memoryMiB, diskBytes } = this.limits(place);
    return {
      receive: this.mode(place),
      own: this.#options.store.of(place).receive !== undefined,
      fetch: this.mayFetch(place),
      limits: {
        guests: guests ?? null,
        memoryMiB: memoryMiB ?? null,
        diskBytes: diskBytes ?? null,
      },
    };
  }

  /** @param listens where other devices reach this one, `host:port`; empty where they do not */
  view(listens: readonly string[]): ReceivingView {
    const { paired, place } = this.#options;
    return {
      receive: this.defaultMode,
      listens: [...listens],
      places: paired().map((id) => ({ place: place(id), rights: this.rights(id) })),
    };
  }

  incoming(): IncomingView[] {
    return this.#consent.questions.map((question) => incomingView(question, this.#options.place));
  }

  #isOurs(guestId: string, from: string): boolean {
    return this.#wanted.has(guestId) || comesBack(this.#options.records(guestId), from);
  }
}

/** Null takes a limit of its own away. */
function changedLimit(before: number | undefined, to: number | null | undefined) {
  return to === undefined ? before : (to ?? undefined);
}

function incomingView(question: Question, place: (id: string) => PlaceRef): IncomingView {
  const { handoffId, spec, from, standby, since, expiresAt } = question;
  const { abi, overlayLimitBytes } = spec;
  return {
    id: handoffId,
    guest: { id: spec.id, name: spec.name },
    from: place(from),
    standby: standby ?? false,
    since: since.toISOString(),
    expiresAt: expiresAt.toISOString(),
    memoryMiB: abi.memoryMiB,
    vcpus: abi.vcpus,
    diskBytes: overlayLimitBytes * abi.disks.length,
  };
}
