/** Guests that come to this place: the host's side of a handoff as the destination. */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { HandoffProgress, PlaceRef } from '../../api/index.ts';
import { asClause, SojournError } from '../../common/index.ts';
import { compatibilityProblems } from '../../guest/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import {
  type GuestHostPort,
  HandoffDestination,
  type IncomingGuest,
  type IncomingRequest,
  type PreflightProblem,
} from '../../handoff/index.ts';
import type { ImageStore } from '../../images/index.ts';
import { blobsOf } from '../../images/index.ts';
import type { Session } from '../../transport/index.ts';
import type { Guests } from '../guests/guests.ts';
import type { Machine } from '../guests/machine.ts';
import type { DatapathSupervisor } from '../network/datapath-supervisor.ts';
import { arrivingSettings, localSettings } from '../network/mapping.ts';
import type { RegistryService } from '../network/registry-service.ts';
import { unmapGuest } from '../network/unmap.ts';
import type { Journal } from '../ownership/journal.ts';
import { quotaProblem } from '../places/peer-quota.ts';
import type { Places } from '../places/places.ts';
import type { Receiving } from '../receiving/index.ts';
import type { GuestStore, StoredGuest } from '../state/guest-store.ts';
import type { StandbyStore } from '../state/standby-store.ts';
import { idleProgress } from './departure-report.ts';

/** How long a guest that comes back waits for the end of the handoff by which it left, ms. */
const SETTLE_MS = 5_000;

export interface Arrival {
  readonly handoffId: string;
  readonly from: PlaceRef;
  readonly since: Date;
  readonly epoch: number;
  /** It stands by here; nobody has said yet that it comes. */
  readonly standby: boolean;
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
  /** Whether guests of other places may come, and what they may take. */
  readonly receiving: Receiving;
  /** The end of the handoff of that guest from here, while one is under way. */
  readonly departed: (guestId: string) => Promise<void> | undefined;
  /** The guest has come from its standby here, and shall stand by where it was. Never throws. */
  readonly armBack: (spec: GuestSpec, place: string) => void;
  readonly wishes: StandbyStore;
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
      preflight: (spec, from) => this.#preflight(spec, from),
      admit: (request, signal) => this.#admit(request, signal),
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

  /** Guests of the place may not come here any more; `all`: not even those on their way back. */
  endFrom(place: string, all: boolean): void {
    const { receiving } = this.#options;
    this.#destination.endFrom(
      place,
      (guestId) => all || receiving.problem(guestId, place) !== undefined,
    );
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
    this.#arrivals.set(spec.id, this.#arrival({ handoffId, from, epoch, spec }));
    const guest = live && { qmp: live.process.qmp, directory: directory(spec) };
    const outcome = await this.#destination.recover({ handoffId, epoch, from, spec }, guest);
    this.#options.log.info({ guest: spec.name, handoffId, outcome }, 'arrival recovered');
    if (outcome !== 'waiting') this.#arrivals.delete(spec.id);
    this.#options.changed(spec.id);
    if (outcome === 'owner' || outcome === 'owner-without-guest')
      this.#armBack({ handoffId, from, spec });
  }

  async prepareIncoming(request: IncomingRequest, signal: AbortSignal): Promise<IncomingGuest> {
    const { guests, datapath, places, netSocket, directory } = this.#options;
    const { spec, epoch, from, handoffId } = request;
    this.#arrivals.set(spec.id, this.#arrival(request));
    this.#options.changed(spec.id);
    try {
      if (request.armBack) this.#options.wishes.expectWayBack(spec.id, handoffId);
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

  claimed({ spec }: IncomingRequest): void {
    this.#options.guests.claimed(spec.id);
  }

  async lost(request: IncomingRequest): Promise<void> {
    const { guests, datapath, registry, places } = this.#options;
    const { spec, from, epoch } = request;
    const self = places().self.id;
    this.#arrivals.delete(spec.id);
    if (from !== spec.home) registry.locate(spec.home, spec.id, self, epoch);
    // Nobody can say what it did; from its disks it can be started again.
    await guests.live(spec.id)?.process.kill();
    await unmapGuest(spec.id, { registry, datapath, self });
    this.#options.changed(spec.id);
    this.#armBack(request);
  }

  async activated(request: IncomingRequest): Promise<void> {
    const { guests, datapath, places, registry, netSocket } = this.#options;
    const { spec, epoch } = request;
    const at = { epoch, self: places().self.id, socket: netSocket(spec), held: true };
    guests.claimed(spec.id);
    await datapath.ensureGuest(localSettings(spec, at));
    await datapath.releasePort(spec.id);
    guests.activated(spec.id);
    this.#options.receiving.arrived(request);
    // A home that handed the guest over itself knows already.
    if (request.from !== spec.home) registry.locate(spec.home, spec.id, places().self.id, epoch);
    this.#arrivals.delete(spec.id);
    this.#options.changed(spec.id);
    this.#armBack(request);
  }

  async discard(handoffId: string, guestId: string): Promise<void> {
    const { guests, store, datapath, journal, registry, places, wishes } = this.#options;
    const arrival = this.#arrivals.get(guestId);
    // What is here may be another handoff's, or ours.
    if (arrival?.handoffId !== handoffId) return;
    const stored = store.find(guestId);
    if (stored !== undefined) await guests.discard(stored.spec);
    wishes.forgetWayBack(guestId);
    // Not before: what failed is tried again.
    this.#arrivals.delete(guestId);
    if (stored !== undefined)
      this.#options.receiving.failed({ from: arrival.from.id, spec: stored.spec });
    // Only ever seen as an arrival: nothing of it stays. A guest of ours that is elsewhere stays in the list.
    if (journal.ownership(guestId).kind === 'unknown') store.remove(guestId);
    await unmapGuest(guestId, { registry, datapath, self: places().self.id });
    this.#options.changed(guestId);
  }

  /** The guest is ours. Once a handoff, whether or not the agent was restarted meanwhile. */
  #armBack({ handoffId, from, spec }: Pick<IncomingRequest, 'handoffId' | 'from' | 'spec'>): void {
    const { wishes, armBack } = this.#options;
    if (!wishes.expectsWayBack(spec.id, handoffId)) return;
    armBack(spec, from);
    wishes.forgetWayBack(spec.id);
  }

  #arrival({ handoffId, from, epoch, standby = false }: IncomingRequest): Arrival {
    const ref = this.#options.places().ref(from);
    return { handoffId, from: ref, since: new Date(), epoch, standby };
  }

  /** Asked again when a handoff begins: the preflight is the other place's word, this is ours. */
  async #admit(request: IncomingRequest, signal: AbortSignal): Promise<void> {
    const { spec, epoch, from } = request;
    const { journal, guests, departed, places, registry, store, receiving } = this.#options;
    const here = places().self.name;
    // A guest may be on its way back before its copy here is gone.
    if (journal.ownership(spec.id).kind === 'elsewhere')
      await Promise.race([departed(spec.id), delay(SETTLE_MS, undefined, { ref: false })]);
    const ownership = journal.ownership(spec.id);
    const settling =
      ownership.kind === 'in-doubt' ||
      departed(spec.id) !== undefined ||
      (ownership.kind !== 'here' && !this.#arrivals.has(spec.id) && guests.live(spec.id));
    if (settling)
      throw refused(
        'not-settled',
        `An earlier handoff of ${spec.name} is not settled at ${here} yet`,
        'Try again in a moment',
      );
    if (ownership.kind === 'here')
      throw refused(
        'guest-here',
        `${spec.name} is at ${here} already`,
        `See "sojourn guest show ${spec.name}" there`,
      );
    if (ownership.kind === 'elsewhere' && epoch <= ownership.epoch)
      throw refused(
        'epoch-stale',
        `${here} knows a newer state of ${spec.name} than the one offered`,
        `See "sojourn guest show ${spec.name}" at both places`,
      );
    if (spec.home === places().self.id) {
      const home = registry.list().find(({ guestId }) => guestId === spec.id);
      const same =
        home !== undefined &&
        home.place === from &&
        home.mac === spec.abi.mac &&
        isDeepStrictEqual(home.network, spec.network);
      if (!same)
        throw refused(
          'guest-not-yours',
          `${here} gave ${spec.name} other addresses, or to another place`,
          'Only the place that has a guest can hand it over',
        );
    }
    const { hoa4, hoa6Prefix } = spec.network;
    const twin = store
      .list()
      .find(
        ({ spec: other }) =>
          other.id !== spec.id &&
          (other.network.hoa4 === hoa4 || other.network.hoa6Prefix === hoa6Prefix),
      );
    if (twin !== undefined)
      throw refused(
        'address-in-use',
        `${here} knows ${twin.spec.name} by the addresses of ${spec.name}`,
        `Look with "sojourn guest show ${twin.spec.name}" at ${here} which of the two is right`,
      );
    const [problem] = await this.#preflight(spec, from);
    if (problem !== undefined) throw refused(problem.code, problem.message, problem.remedy);
    // Last, so that nobody is asked in vain.
    await receiving.admit(request, signal);
  }

  /** Other guests with a QEMU here that the place has brought, or lets stand by. */
  #guestsOf(from: string, except: string): GuestSpec[] {
    const { guests, journal } = this.#options;
    return guests
      .allLive()
      .map(({ spec }) => spec)
      .filter(({ id }) => id !== except)
      .filter(({ id }) => {
        const came = journal.of(id).findLast(({ type }) => type === 'incoming-started');
        return came !== undefined && 'peer' in came && came.peer === from;
      });
  }

  /** Everything that would keep the guest from running here, at once. */
  async #preflight(spec: GuestSpec, from: string): Promise<PreflightProblem[]> {
    const { machine, images, places, store, receiving } = this.#options;
    const here = places().self.name;
    const problems: { code: string; message: string; remedy: string }[] = [];
    const collect = (error: unknown) => {
      if (!(error instanceof SojournError)) throw error;
      const { code, message, remedy = `See "sojourn doctor" at ${here}` } = error;
      problems.push({ code, message: `${message} (at ${here})`, remedy });
    };
    const closed = receiving.problem(spec.id, from);
    if (closed !== undefined) {
      const { code, message, remedy = '' } = closed;
      return [{ code, message, remedy, where: 'there' }];
    }
    try {
      const able = await machine.capabilities(spec.abi.accelerator);
      problems.push(...compatibilityProblems(spec, able, { placeName: here }));
    } catch (error) {
      collect(error);
    }
    const quota = quotaProblem(spec, this.#guestsOf(from, spec.id), receiving.limits(from), {
      here,
      peer: places().ref(from).name,
    });
    if (quota !== undefined) problems.push(quota);
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

function refused(code: string, message: string, remedy: string): SojournError {
  return new SojournError({ kind: 'refused', code, message, remedy });
}
