/** Guests that leave this place: one handoff at a time for each, as the source. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { HandoffProgress as ApiProgress, PlaceRef } from '../api/index.ts';
import { asClause, SojournError } from '../common/index.ts';
import { compatibilityProblems } from '../guest/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import {
  type HandoffResult,
  recoverSourceHandoff,
  runSource,
  type SourceOptions,
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
const CALM: ReadonlySet<ApiProgress['phase']> = new Set(['preflight', 'prepare', 'disk', 'memory']);

export interface Departure {
  readonly handoffId: string;
  readonly to: PlaceRef;
  readonly since: Date;
  progress: ApiProgress;
  readonly cancel: AbortController;
  /** What a person decides when the other place does not answer. */
  readonly decision: PromiseWithResolvers<'keep-here' | 'give-up-here'>;
  /** Resolves when it is settled where the guest is. */
  readonly settled: PromiseWithResolvers<void>;
}

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
  /** Handoffs that a person ended here while the other place was away; it may still wait for their seals. */
  readonly #untold = new Map<string, { peer: string; guestId: string; epoch: number }>();

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  find(guestId: string): Departure | undefined {
    return this.#departures.get(guestId);
  }

  /**
   * Hands a running guest over and returns when it runs there. @throws SojournError why it stayed: `not-running`,
   * `handoff-under-way`, `not-paired`, `peer-unreachable`, `handoff-*`, or all problems of the preflight
   */
  async start(
    spec: GuestSpec,
    to: PlaceRef,
    options: { readonly signal: AbortSignal; readonly onProgress: (progress: ApiProgress) => void },
  ): Promise<HandoffSummary> {
    const { guests, journal, places } = this.#options;
    const trigger = Date.now();
    this.#requireMovable(spec, to);
    const ownership = journal.ownership(spec.id);
    if (ownership.kind !== 'here') throw notHere(spec);
    const departure = this.#begin(spec, randomUUID(), to);
    const stop = () => departure.cancel.abort();
    options.signal.addEventListener('abort', stop, { once: true });
    try {
      await places.connected(to.id, departure.cancel.signal);
      const live = guests.live(spec.id);
      if (live === undefined) throw notRunning(spec);
      await guests.releaseDisks(spec.id);
      const result = await this.#withDirectory(spec, (directory) =>
        runSource({
          ...this.#sourceOptions(spec, departure, ownership.epoch, directory, options.onProgress),
          guest: { qmp: live.process.qmp, destroyCopy: () => guests.discard(spec, live) },
        }),
      );
      await this.#settle(spec, to, result);
      if (result.outcome === 'stayed') throw stayed(spec, to, result);
      return summarize(result, trigger);
    } finally {
      options.signal.removeEventListener('abort', stop);
      this.#end(spec, departure);
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
    const departure = this.#departures.get(spec.id);
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
          ...this.#sourceOptions(spec, departure, epoch, directory, () => undefined),
          guest:
            live === undefined
              ? undefined
              : { qmp: live.process.qmp, destroyCopy: () => guests.discard(spec, live) },
        }),
      );
      log.info({ guest: spec.name, handoffId, outcome: result?.outcome }, 'handoff recovered');
      if (result !== undefined) await this.#settle(spec, to, result);
    } finally {
      this.#end(spec, departure);
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
    if (this.#departures.has(spec.id))
      throw new SojournError({
        kind: 'conflict',
        code: 'handoff-under-way',
        message: `A handoff of ${spec.name} is under way already`,
        remedy: `Wait until it has ended, or cancel it with "sojourn handoff ${spec.name} --cancel"`,
      });
    const phase = guests.live(spec.id)?.phase.kind;
    if (phase === 'paused')
      throw guestPaused(spec, 'only a running guest can be handed over', 'then try again');
    if (phase !== 'running') throw notRunning(spec);
  }

  #begin(spec: GuestSpec, handoffId: string, to: PlaceRef): Departure {
    const since = new Date();
    const departure: Departure = {
      handoffId,
      to,
      since,
      progress: idleProgress(since.getTime()),
      cancel: new AbortController(),
      decision: Promise.withResolvers(),
      settled: Promise.withResolvers(),
    };
    this.#departures.set(spec.id, departure);
    this.#options.changed(spec.id);
    return departure;
  }

  #end(spec: GuestSpec, departure: Departure): void {
    this.#departures.delete(spec.id);
    departure.settled.resolve();
    this.#options.changed(spec.id);
  }

  #sourceOptions(
    spec: GuestSpec,
    departure: Departure,
    epoch: number,
    directory: string,
    onProgress: (progress: ApiProgress) => void,
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
        onProgress(departure.progress);
        this.#options.changed(spec.id);
      },
      signal: cancel.signal,
      decision: departure.decision.promise,
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
