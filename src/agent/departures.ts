/** Guests that leave this place: one handoff at a time for each, as the source. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { HandoffProgress as ApiProgress, PlaceRef } from '../api/index.ts';
import { asClause, errorText, SojournError } from '../common/index.ts';
import { compatibilityProblems } from '../guest/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import {
  type HandoffResult,
  type Manner,
  recoverSourceHandoff,
  runSource,
  type SourceOptions,
  type StandbyOptions,
  type StandbySnapshot,
  tellAborted,
} from '../handoff/index.ts';
import type { DatapathSupervisor } from './datapath-supervisor.ts';
import {
  idleProgress,
  notHere,
  notRunning,
  stayed,
  summarize,
  toApiProgress,
} from './departure-report.ts';
import type { GuestFiles } from './guest-files.ts';
import type { Guests } from './guests.ts';
import type { Journal } from './journal.ts';
import type { Machine } from './machine.ts';
import { departedSettings, localSettings } from './mapping.ts';
import { guestPaused } from './paused.ts';
import type { HandoffSummary } from './peer-messages.ts';
import type { Places } from './places.ts';
import type { RegistryService } from './registry-service.ts';
import { unmapGuest } from './unmap.ts';

/** While in doubt the other place is asked again and again; a look for a session takes this long at most, ms. */
const CONNECT_LIMIT_MS = 30_000;

/** Phases of a handoff in which its guest runs here whatever happens. */
const CALM: ReadonlySet<ApiProgress['phase']> = new Set([
  'preflight',
  'prepare',
  'disk',
  'memory',
  'armed',
]);

export interface Departure {
  readonly guestId: string;
  readonly handoffId: string;
  readonly to: PlaceRef;
  readonly since: Date;
  progress: ApiProgress;
  readonly cancel: AbortController;
  /** What a person decides when the other place does not answer. */
  readonly decision: PromiseWithResolvers<'keep-here' | 'give-up-here'>;
  /** Resolves when it is settled where the guest is. */
  readonly settled: PromiseWithResolvers<void>;
  /** Present while it stands by, and when it has stood by before it was triggered. */
  readonly standby: Standing | undefined;
  /** Rejects with why the guest stayed; undefined in a recovery. */
  outcome: Promise<HandoffResult> | undefined;
  onProgress: (progress: ApiProgress) => void;
  manner: Manner;
}

/** A departure that waits for its trigger. */
interface Standing {
  readonly trigger: AbortController;
  triggeredAt: number | undefined;
  /** It was armed when it was triggered. */
  armed: boolean;
}

export interface StandbyRequest {
  readonly bothWays: boolean;
  readonly budget: StandbyOptions['budget'];
  readonly mayFill: () => boolean;
  readonly onFresh: (snapshot: StandbySnapshot) => void;
  readonly onProgress: (progress: ApiProgress) => void;
}

const CALMLY: Manner = { urgent: false, slowGuest: false };

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
}

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #departures = new Map<string, Departure>();
  /** Guests of which no standby may begin now, and by how many that is wanted. */
  readonly #blocked = new Map<string, number>();
  /** Handoffs that a person ended here while the other place was away; it may still wait for their seals. */
  readonly #untold = new Map<string, { peer: string; guestId: string; epoch: number }>();

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  /** The guest is on its way; not while it only stands by. */
  find(guestId: string): Departure | undefined {
    const departure = this.#departures.get(guestId);
    return departure !== undefined && isMoving(departure) ? departure : undefined;
  }

  /** A handoff has the guest's disks, whether it moves or stands by. */
  occupies(guestId: string): boolean {
    return this.#departures.has(guestId);
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
      // A standby may last for days, in which no other job can read the disks.
      if (standby !== undefined)
        await guests.copyDisks(spec.id).catch((error: unknown) => {
          const reason = errorText(error);
          this.#options.log.warn({ guest: spec.name, reason }, 'overlay not copied to disk');
        });
      await guests.releaseDisks(spec.id);
      const result = await this.#withDirectory(spec, (directory) =>
        runSource({
          ...this.#sourceOptions(spec, departure, ownership.epoch, directory),
          guest: { qmp: live.process.qmp, destroyCopy: () => guests.discard(spec, live) },
          ...(standby === undefined ? {} : { standby }),
        }),
      );
      await this.#settle(spec, to, result);
      if (result.outcome === 'stayed') throw stayed(spec, to, result);
      return result;
    } finally {
      this.#departures.delete(spec.id);
      departure.settled.resolve();
      this.#options.changed(spec.id);
    }
  }

  /**
   * Resolves when the guest may be stopped and continued at will: in a switchover that would stop the wrong guest, and
   * after a seal a `cont` would run it twice.
   */
  async calm(guestId: string): Promise<void> {
    const departure = this.#departures.get(guestId);
    if (departure === undefined || CALM.has(departure.progress.phase)) return;
    await departure.settled.promise;
  }

  /** A session with the place is up: what was decided without it is told. */
  async tell(peer: string): Promise<void> {
    const session = this.#options.places.session(peer);
    if (session?.state !== 'connected') return;
    for (const [handoffId, { guestId, epoch, ...waiting }] of this.#untold) {
      if (waiting.peer !== peer) continue;
      try {
        await tellAborted(session, { handoffId, guestId, epoch });
        this.#untold.delete(handoffId);
      } catch (error) {
        this.#options.log.warn({ handoffId, err: error }, 'the other place was not told');
      }
    }
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
      const result = await this.#withDirectory(spec, (directory) =>
        recoverSourceHandoff({
          ...this.#sourceOptions(spec, departure, epoch, directory),
          guest:
            live === undefined
              ? undefined
              : { qmp: live.process.qmp, destroyCopy: () => guests.discard(spec, live) },
        }),
      );
      log.info({ guest: spec.name, handoffId, outcome: result?.outcome }, 'handoff recovered');
      if (result !== undefined) await this.#settle(spec, to, result);
    } finally {
      this.#departures.delete(spec.id);
      departure.settled.resolve();
      this.#options.changed(spec.id);
    }
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
    const since = new Date();
    const departure: Departure = {
      guestId: spec.id,
      handoffId,
      to,
      since,
      progress: idleProgress(since.getTime()),
      cancel: new AbortController(),
      decision: Promise.withResolvers(),
      settled: Promise.withResolvers(),
      standby,
      outcome: undefined,
      onProgress: () => undefined,
      manner: CALMLY,
    };
    this.#departures.set(spec.id, departure);
    this.#options.changed(spec.id);
    return departure;
  }

  #sourceOptions(
    spec: GuestSpec,
    departure: Departure,
    epoch: number,
    directory: string,
  ): Omit<SourceOptions, 'guest'> {
    const { places, journal, machine, datapath, log } = this.#options;
    const { to, handoffId, cancel } = departure;
    return {
      handoffId,
      spec,
      epoch,
      peer: to.id,
      connect: (signal) => untilConnected(places, to.id, signal),
      datapath: {
        beginSwitchover: async (request) => {
          await datapath.client.call('beginSwitchover', request);
        },
        abortSwitchover: async (request) => {
          await datapath.client.call('abortSwitchover', request);
        },
        commitSwitchover: async (request) => {
          await datapath.client.call('commitSwitchover', request);
        },
        reclaim: async (request) => {
          await datapath.client.call('reclaim', request);
        },
      },
      journal,
      directory,
      wayBack: async () =>
        compatibilityProblems(spec, await machine.capabilities(spec.abi.accelerator), {
          placeName: places.self.name,
          // What it takes here it may take again.
          memoryReserved: true,
          overlayBytes: 0,
        }).map(({ message, ...problem }) => ({
          ...problem,
          message: asClause(`It could not come back, because ${asClause(message)}`),
        })),
      onProgress: (progress) => {
        departure.progress = toApiProgress(progress, departure.progress);
        departure.onProgress(departure.progress);
        this.#options.changed(spec.id);
      },
      signal: cancel.signal,
      decision: departure.decision.promise,
      manner: () => departure.manner,
      now: Date.now,
      log,
    };
  }

  /** Mapping and registry follow what the two journals have decided. */
  async #settle(spec: GuestSpec, to: PlaceRef, result: HandoffResult): Promise<void> {
    const { registry, datapath, places, guests, netSocket } = this.#options;
    const self = places.self.id;
    if (result.outcome === 'handed-over') {
      const { epoch } = result;
      await datapath.ensureGuest(departedSettings(spec, { epoch, self, place: to.id }));
      registry.locate(spec.home, spec.id, to.id, epoch);
      return;
    }
    if (result.reason?.code === 'kept-here') {
      const { handoffId, epoch } = result;
      this.#untold.set(handoffId, { peer: to.id, guestId: spec.id, epoch: epoch - 1 });
      void this.tell(to.id);
    }
    registry.locate(spec.home, spec.id, self, result.epoch);
    if (result.guest === 'gone') {
      await unmapGuest(spec.id, { registry, datapath, self });
    } else {
      const at = { epoch: result.epoch, self, socket: netSocket(spec), held: false };
      await datapath.ensureGuest(localSettings(spec, at));
    }
    guests.emit('changed', spec.id);
  }

  async #withDirectory<Result>(
    spec: GuestSpec,
    action: (directory: string) => Promise<Result>,
  ): Promise<Result> {
    const directory = join(this.#options.files.directory(spec), 'out');
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    try {
      return await action(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** Keeps looking for a session until the signal says that it is not needed any more. */
async function untilConnected(places: Places, peer: string, signal: AbortSignal) {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_LIMIT_MS)]);
  return places.connected(peer, limit);
}

function isMoving({ standby }: Departure): boolean {
  return standby === undefined || standby.triggeredAt !== undefined;
}

function underWay(spec: GuestSpec): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'handoff-under-way',
    message: `A handoff of ${spec.name} is under way already`,
    remedy: `Wait until it has ended, or cancel it with "sojourn handoff ${spec.name} --cancel"`,
  });
}
