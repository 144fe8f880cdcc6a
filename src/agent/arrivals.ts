/** Guests that come to this place: the host's side of a handoff as the destination. */
import type { Logger } from 'pino';
import type { HandoffProgress, PlaceRef } from '../api/index.ts';
import { asClause, SojournError } from '../common/index.ts';
import { compatibilityProblems } from '../guest/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import {
  type GuestHostPort,
  HandoffDestination,
  type IncomingGuest,
  type IncomingRequest,
  type PreflightProblem,
} from '../handoff/index.ts';
import type { ImageStore } from '../images/index.ts';
import { blobsOf } from '../images/index.ts';
import type { Session } from '../transport/index.ts';
import type { DatapathSupervisor } from './datapath-supervisor.ts';
import { idleProgress } from './departure-report.ts';
import type { Guests } from './guests.ts';
import type { Journal } from './journal.ts';
import type { Machine } from './machine.ts';
import { anchoredSettings, arrivingSettings, localSettings } from './mapping.ts';
import type { Places } from './places.ts';
import type { RegistryService } from './registry-service.ts';
import type { GuestStore, StoredGuest } from './state/guest-store.ts';

export interface Arrival {
  readonly handoffId: string;
  readonly from: PlaceRef;
  readonly since: Date;
  readonly epoch: number;
}

export interface ArrivalsOptions {
  readonly guests: Guests;
  readonly store: GuestStore;
  readonly images: ImageStore;
  readonly machine: Machine;
  readonly journal: Journal;
  readonly places: () => Places;
  readonly registry: RegistryService;
  readonly datapath: DatapathSupervisor;
  readonly log: Logger;
  readonly netSocket: (spec: GuestSpec) => string;
  readonly directory: (spec: GuestSpec) => string;
  readonly changed: (guestId: string) => void;
}

export class Arrivals implements GuestHostPort {
  readonly #options: ArrivalsOptions;
  readonly #destination: HandoffDestination;
  readonly #arrivals = new Map<string, Arrival>();

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#destination = new HandoffDestination({
      host: this,
      journal: options.journal,
      preflight: (spec) => this.#preflight(spec),
      now: Date.now,
      log: options.log,
    });
  }

  find(guestId: string): Arrival | undefined {
    return this.#arrivals.get(guestId);
  }

  progressOf(arrival: Arrival): HandoffProgress {
    return { ...idleProgress(arrival.since.getTime()), phase: 'prepare' };
  }

  register(session: Session): void {
    this.#destination.serve(session);
  }

  /** Goes on with an arrival that a restart of the agent interrupted. */
  async recover(
    stored: StoredGuest,
    handoffId: string,
    from: string,
    epoch: number,
  ): Promise<void> {
    const { guests, directory } = this.#options;
    const { spec } = stored;
    const live = guests.live(spec.id);
    this.#arrivals.set(spec.id, this.#arrival(handoffId, from, epoch));
    const guest = live && { qmp: live.process.qmp, directory: directory(spec) };
    const outcome = await this.#destination.recover({ handoffId, epoch, from, spec }, guest);
    this.#options.log.info({ guest: spec.name, handoffId, outcome }, 'arrival recovered');
    if (outcome !== 'waiting') this.#arrivals.delete(spec.id);
    this.#options.changed(spec.id);
  }

  async prepareIncoming(request: IncomingRequest, signal: AbortSignal): Promise<IncomingGuest> {
    const { guests, datapath, places, netSocket, directory } = this.#options;
    const { spec, epoch, from, handoffId } = request;
    this.#arrivals.set(spec.id, this.#arrival(handoffId, from, epoch));
    this.#options.changed(spec.id);
    try {
      const at = { epoch: epoch - 1, self: places().self.id, socket: netSocket(spec), from };
      await datapath.setGuest(arrivingSettings(spec, at));
      signal.throwIfAborted();
      const { process } = await guests.startIncoming(spec);
      return { qmp: process.qmp, directory: directory(spec) };
    } catch (error) {
      await this.discard(handoffId, spec.id);
      throw error;
    }
  }

  async activated(request: IncomingRequest): Promise<void> {
    const { guests, datapath, places, registry, netSocket } = this.#options;
    const { spec, epoch } = request;
    const at = { epoch, self: places().self.id, socket: netSocket(spec), held: true };
    guests.runs(spec.id);
    await datapath.ensureGuest(localSettings(spec, at));
    await datapath.releasePort(spec.id);
    guests.activated(spec.id);
    // A home that handed the guest over itself knows already.
    if (request.from !== spec.home) registry.locate(spec.home, spec.id, places().self.id, epoch);
    this.#arrivals.delete(spec.id);
    this.#options.changed(spec.id);
  }

  async discard(_handoffId: string, guestId: string): Promise<void> {
    const { guests, store, datapath, journal, registry, places } = this.#options;
    const arrival = this.#arrivals.get(guestId);
    this.#arrivals.delete(guestId);
    const stored = store.find(guestId);
    if (stored !== undefined) await guests.discard(stored.spec);
    // Only ever seen as an arrival: nothing of it stays. A guest of ours that is elsewhere stays in the list.
    if (journal.ownership(guestId).kind === 'unknown') store.remove(guestId);
    const record = registry.list().find((candidate) => candidate.guestId === guestId);
    if (record !== undefined)
      await datapath.ensureGuest(anchoredSettings(record, places().self.id));
    else if (arrival !== undefined) await datapath.removeGuest(guestId);
    this.#options.changed(guestId);
  }

  #arrival(handoffId: string, from: string, epoch: number): Arrival {
    return { handoffId, from: this.#options.places().ref(from), since: new Date(), epoch };
  }

  /** Everything that would keep the guest from running here, at once. */
  async #preflight(spec: GuestSpec): Promise<PreflightProblem[]> {
    const { machine, images, places, store } = this.#options;
    const here = places().self.name;
    const problems: { code: string; message: string; remedy: string }[] = [];
    const collect = (error: unknown) => {
      if (!(error instanceof SojournError)) throw error;
      const { code, message, remedy = `See "sojourn doctor" at ${here}` } = error;
      problems.push({ code, message: `${message} (at ${here})`, remedy });
    };
    try {
      const able = await machine.capabilities(spec.abi.accelerator);
      problems.push(...compatibilityProblems(spec, able, { placeName: here }));
    } catch (error) {
      collect(error);
    }
    for (const { digest } of blobsOf(spec.abi)) await images.verify(digest).catch(collect);
    if (spec.home !== places().self.id && places().find(spec.home) === undefined)
      problems.push({
        code: 'home-not-paired',
        message: `${here} is not paired with the site that anchors the guest's address`,
        remedy: `Pair ${here} with that site`,
      });
    if (store.list().some((other) => other.spec.name === spec.name && other.spec.id !== spec.id))
      problems.push({
        code: 'guest-exists',
        message: `${here} has another guest named ${spec.name}`,
        remedy: 'Delete one of the two, or create the guest anew under another name',
      });
    return problems.map(({ message, ...problem }) => ({
      ...problem,
      message: asClause(message),
      where: 'there' as const,
    }));
  }
}
