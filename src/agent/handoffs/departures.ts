/** Guests that leave this place: one handoff at a time for each, as the source. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { HandoffProgress as ApiProgress, PlaceRef } from '../../api/index.ts';
import { errorText, SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import {
  type HandoffResult,
  type Manner,
  recoverSourceHandoff,
  runSource,
  type StandbyOptions,
} from '../../handoff/index.ts';
import type { GuestFiles } from '../guests/guest-files.ts';
import type { Guests, LiveGuest } from '../guests/guests.ts';
import type { Machine } from '../guests/machine.ts';
import { guestPaused } from '../guests/paused.ts';
import type { DatapathSupervisor } from '../network/datapath-supervisor.ts';
import type { RegistryService } from '../network/registry-service.ts';
import type { Journal } from '../ownership/journal.ts';
import type { HandoffSummary } from '../places/peer-messages.ts';
import type { Places } from '../places/places.ts';
import type { Screens } from '../screen/index.ts';
import {
  CALM,
  CALMLY,
  type Departure,
  isMoving,
  newDeparture,
  type StandbyRequest,
  type Standing,
  underWay,
} from './departure.ts';
import { notHere, notRunning, stayed, summarize } from './departure-report.ts';
import { settleDeparture, sourceOptions, withDirectory } from './departure-source.ts';
import { Untold } from './untold.ts';

export interface DeparturesOptions {
  readonly guests: Guests;
  readonly files: GuestFiles;
  readonly machine: Machine;
  readonly journal: Journal;
  readonly places: Places;
  readonly registry: RegistryService;
  readonly datapath: DatapathSupervisor;
  readonly log: Logger;
  readonly netSocket: (spec: GuestSpec) => string;
  readonly changed: (guestId: string) => void;
  /** Whoever looks at its screen. */
  readonly screens: Pick<Screens, 'hold' | 'goOn' | 'moved' | 'settled'>;
}

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #departures = new Map<string, Departure>();
  /** Guests of which no standby may begin now, and by how many that is wanted. */
  readonly #blocked = new Map<string, number>();
  readonly #untold = new Untold();

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  /** The guest is on its way; not while it only stands by. */
  find(guestId: string): Departure | undefined {
    const departure = this.#departures.get(guestId);
    return departure !== undefined && isMoving(departure) ? departure : undefined;
  }

  /** What a handoff, if there is one, does with the guest at present. */
  departing(guestId: string): 'moving' | 'standing-by' | undefined {
    const departure = this.#departures.get(guestId);
    if (departure === undefined) return undefined;
    return isMoving(departure) ? 'moving' : 'standing-by';
  }

  /** The end of what is under way with the guest, if anything is. */
  settled(guestId: string): Promise<void> | undefined {
    return this.#departures.get(guestId)?.settled.promise;
  }

  /**
   * Hands a running guest over and returns when it runs there; from its standby there, if it has one. @throws SojournError why
   * it stayed: `not-running`, `handoff-under-way`, `not-paired`, `peer-unreachable`, `handoff-*`, or all problems of the preflight
   */
  async start(
    spec: GuestSpec,
    to: PlaceRef,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (progress: ApiProgress) => void;
      readonly manner?: Manner;
    },
  ): Promise<HandoffSummary> {
    const trigger = Date.now();
    const moving = this.find(spec.id);
    if (moving?.to.id === to.id && options.manner?.urgent && moving.outcome !== undefined) {
      // It takes too long for somebody: the one under way has to come to an end now.
      moving.manner = options.manner;
      return summarize(await moving.outcome, { trigger, armed: moving.standby?.armed === true });
    }
    this.#requireMovable(spec, to);
    const standing = this.#departures.get(spec.id);
    if (standing?.standby !== undefined && standing.to.id === to.id)
      return this.#trigger(spec, standing, standing.standby, trigger, options);
    const departure = await this.withoutStandby(spec.id, async () => {
      this.#requireMovable(spec, to);
      return this.#begin(spec, randomUUID(), to);
    });
    departure.onProgress = options.onProgress;
    departure.manner = options.manner ?? CALMLY;
    const stop = () => departure.cancel.abort();
    options.signal.addEventListener('abort', stop, { once: true });
    try {
      const result = await this.#leave(spec, departure, undefined);
      return summarize(result, { trigger, armed: false });
    } finally {
      options.signal.removeEventListener('abort', stop);
    }
  }

  /**
   * Lets the guest stand by at the place until it is handed over there, which is what it resolves to. `signal` ends it, in
   * good order. @throws SojournError why it does not stand by any more; the guest goes on here
   */
  async standBy(
    spec: GuestSpec,
    to: PlaceRef,
    request: StandbyRequest,
    signal: AbortSignal,
  ): Promise<HandoffResult> {
    this.#requireMovable(spec, to);
    if (this.#departures.has(spec.id) || this.#blocked.has(spec.id)) throw underWay(spec);
    const standby: Standing = {
      trigger: new AbortController(),
      triggeredAt: undefined,
      armed: false,
    };
    const departure = this.#begin(spec, randomUUID(), to, standby);
    departure.onProgress = request.onProgress;
    const stop = () => {
      if (!isMoving(departure)) departure.cancel.abort();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await this.#leave(spec, departure, {
        trigger: standby.trigger.signal,
        budget: request.budget,
        mayFill: request.mayFill,
        armBack: request.bothWays,
        onFresh: request.onFresh,
      });
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** No standby of the guest may begin now. */
  isBlocked(guestId: string): boolean {
    return this.#blocked.has(guestId);
  }

  /** Does what a standby would be in the way of: it ends before, and none begins meanwhile. */
  async withoutStandby<Result>(guestId: string, action: () => Promise<Result>): Promise<Result> {
    this.#blocked.set(guestId, (this.#blocked.get(guestId) ?? 0) + 1);
    try {
      const standing = this.#departures.get(guestId);
      if (standing !== undefined && !isMoving(standing)) await this.#end(standing);
      return await action();
    } finally {
      const left = (this.#blocked.get(guestId) ?? 1) - 1;
      if (left === 0) this.#blocked.delete(guestId);
      else this.#blocked.set(guestId, left);
      this.#options.changed(guestId);
    }
  }

  /** Ends everything that may still be ended, and waits for that; what is past its seal goes on in the background. */
  async cancelAll(): Promise<void> {
    const all = [...this.#departures.values()];
    const calm = all.filter(({ progress }) => CALM.has(progress.phase));
    for (const { cancel } of all) cancel.abort();
    await Promise.all(calm.map(({ settled }) => settled.promise));
  }

  async #trigger(
    spec: GuestSpec,
    departure: Departure,
    standby: Standing,
    at: number,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (progress: ApiProgress) => void;
      readonly manner?: Manner;
    },
  ): Promise<HandoffSummary> {
    const tell = departure.onProgress;
    departure.onProgress = (progress) => {
      tell(progress);
      options.onProgress(progress);
    };
    departure.manner = options.manner ?? CALMLY;
    standby.triggeredAt = at;
    standby.armed = departure.progress.phase === 'armed';
    standby.trigger.abort();
    const stop = () => departure.cancel.abort();
    options.signal.addEventListener('abort', stop, { once: true });
    if (options.signal.aborted) stop();
    this.#options.changed(departure.guestId);
    try {
      const result = await departure.outcome;
      if (result === undefined) throw underWay(spec);
      return summarize(result, { trigger: at, armed: standby.armed });
    } finally {
      options.signal.removeEventListener('abort', stop);
    }
  }

  async #end(departure: Departure): Promise<void> {
    departure.cancel.abort();
    await departure.settled.promise;
  }

  /** @throws SojournError why the guest stayed */
  async #leave(
    spec: GuestSpec,
    departure: Departure,
    standby: StandbyOptions | undefined,
  ): Promise<HandoffResult> {
    const outcome = this.#attempt(spec, departure, standby);
    departure.outcome = outcome;
    return outcome;
  }

  async #attempt(
    spec: GuestSpec,
    departure: Departure,
    standby: StandbyOptions | undefined,
  ): Promise<HandoffResult> {
    const { guests, journal, places } = this.#options;
    const { to } = departure;
    try {
      const ownership = journal.ownership(spec.id);
      if (ownership.kind !== 'here') throw notHere(spec);
      await places.connected(to.id, departure.cancel.signal);
      const live = guests.live(spec.id);
      if (live === undefined) throw notRunning(spec);
      if (standby === undefined) await guests.releaseDisks(spec.id);
      else if (!live.copiedStandingBy) await this.#copyBefore(spec);
      void this.#announce(spec, departure, ownership.epoch);
      const result = await withDirectory(this.#options.files, spec, (directory) =>
        runSource({
          ...sourceOptions(this.#options, spec, departure, ownership.epoch, directory),
          guest: { qmp: live.process.qmp, destroyCopy: () => this.#destroyCopy(live, to) },
          ...(standby === undefined ? {} : { standby }),
        }),
      );
      await this.#settle(spec, to, result, ownership.epoch);
      if (result.outcome === 'stayed') throw stayed(spec, to, result);
      return result;
    } finally {
      this.#over(departure);
    }
  }

  /** A standby may last for days, in which no copy can be made of this guest's disks. */
  async #copyBefore({ id, name }: GuestSpec): Promise<void> {
    const { guests, log } = this.#options;
    await guests.copyDisks(id).catch((error: unknown) => {
      log.warn({ guest: name, reason: errorText(error) }, 'overlay not copied to disk');
    });
  }

  /**
   * Does what must not happen while QEMU sends the guest's memory, such as to stop and continue it: a handoff is waited for, a
   * standby ends before.
   */
  async atRest(guestId: string, action: () => Promise<void>): Promise<void> {
    const departure = this.#departures.get(guestId);
    if (departure !== undefined && isMoving(departure)) await departure.settled.promise;
    await this.withoutStandby(guestId, action);
  }

  /** Ends what goes to the place and may still be ended: it is not trusted any more. */
  endTo(place: string): void {
    for (const { to, cancel } of this.#departures.values()) if (to.id === place) cancel.abort();
  }

  /** The guest's home shall believe the new place at once. */
  async #announce({ id, home }: GuestSpec, { to }: Departure, epoch: number): Promise<void> {
    await this.#options.registry.expect(home, id, to.id, epoch + 1);
  }

  /** A session with the place is up: what was decided without it is told, and what it may have forgotten. */
  async tell(peer: string): Promise<void> {
    const { guests, journal, places, log } = this.#options;
    for (const departure of this.#departures.values()) {
      const spec = guests.live(departure.guestId)?.spec;
      const ownership = journal.ownership(departure.guestId);
      if (spec?.home === peer && ownership.kind === 'here')
        void this.#announce(spec, departure, ownership.epoch);
    }
    const session = places.session(peer);
    if (session?.state === 'connected')
      await this.#untold.tell(session, (handoffId, err) =>
        log.warn({ handoffId, err }, 'the other place was not told'),
      );
  }

  /** Cancels the handoff under way; without effect from the seal on. @throws SojournError `no-handoff` */
  cancel(spec: GuestSpec): void {
    const departure = this.find(spec.id);
    if (departure === undefined)
      throw new SojournError({
        kind: 'conflict',
        code: 'no-handoff',
        message: `No handoff of ${spec.name} is under way`,
        remedy: 'See "sojourn status"',
      });
    departure.cancel.abort();
  }

  /** Goes on with a handoff that a restart of the agent interrupted. Returns when it is settled. */
  async recover(spec: GuestSpec, handoffId: string, peer: string, epoch: number): Promise<void> {
    const { guests, places, log } = this.#options;
    const to = places.ref(peer);
    const departure = this.#begin(spec, handoffId, to);
    try {
      const live = guests.live(spec.id);
      const result = await withDirectory(this.#options.files, spec, (directory) =>
        recoverSourceHandoff({
          ...sourceOptions(this.#options, spec, departure, epoch, directory),
          guest:
            live === undefined
              ? undefined
              : { qmp: live.process.qmp, destroyCopy: () => this.#destroyCopy(live, to) },
        }),
      );
      log.info({ guest: spec.name, handoffId, outcome: result?.outcome }, 'handoff recovered');
      if (result !== undefined) await this.#settle(spec, to, result, epoch);
    } finally {
      this.#over(departure);
    }
  }

  /** The other place has it: whoever looks at its screen looks there before the copy ends. */
  #destroyCopy(live: LiveGuest, to: PlaceRef): Promise<void> {
    this.#options.screens.moved(live.spec.id, to);
    return this.#options.guests.discard(live.spec, live);
  }

  #requireMovable(spec: GuestSpec, to: PlaceRef): void {
    const { guests, places } = this.#options;
    if (to.id === places.self.id)
      throw new SojournError({
        kind: 'conflict',
        code: 'already-there',
        message: `${spec.name} is at ${to.name} already`,
        remedy: 'Name another place; see "sojourn places"',
      });
    if (this.find(spec.id) !== undefined) throw underWay(spec);
    const phase = guests.live(spec.id)?.phase.kind;
    if (phase === 'paused')
      throw guestPaused(spec, 'only a running guest can be handed over', 'then try again');
    if (phase !== 'running') throw notRunning(spec);
  }

  #begin(spec: GuestSpec, handoffId: string, to: PlaceRef, standby?: Standing): Departure {
    const departure = newDeparture(spec, handoffId, to, standby);
    this.#departures.set(spec.id, departure);
    this.#options.changed(spec.id);
    return departure;
  }

  #over({ guestId, settled }: Departure): void {
    this.#departures.delete(guestId);
    this.#options.screens.settled(guestId);
    settled.resolve();
    this.#options.changed(guestId);
  }

  /** `epoch`: the one under which the guest was here before. */
  async #settle(
    spec: GuestSpec,
    to: PlaceRef,
    result: HandoffResult,
    epoch: number,
  ): Promise<void> {
    if (result.outcome === 'stayed') {
      const { handoffId } = result;
      this.#untold.add(to.id, { handoffId, guestId: spec.id, epoch: epoch + 1 });
      void this.tell(to.id);
    }
    await settleDeparture(this.#options, spec, to, result);
  }
}
