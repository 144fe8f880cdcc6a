/**
 * The guests at this place: their QEMU processes, files and records. Who may run a guest is decided before
 * anything here is called (`ownership.ts`, `arrivals.ts`, `departures.ts`).
 */
import { EventEmitter } from 'node:events';
import { errorText, SojournError } from '../../common/index.ts';
import {
  canPersistMirrored,
  correctClock,
  endStrays,
  type GuestProcessRecord,
  guestPaths,
  type QmpLogEntry,
  raiseOverlayLimit,
  removePersistRemains,
} from '../../guest/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { StoredGuest } from '../state/guest-store.ts';
import { crashed, ended, endedWhileAway } from './guest-end.ts';
import type { OverlayContent } from './guest-files.ts';
import { type LaunchParts, launchGuest, notSettled } from './guest-launch.ts';
import {
  findUnrecorded,
  GuestSearches,
  guestUnresponsive,
  type Unresponsive,
} from './guest-search.ts';
import { GuestTurns } from './guest-turns.ts';
import { type Departing, keepUp } from './guest-upkeep.ts';
import { type GuestExit, watchGuest } from './guest-watch.ts';
import {
  isNetworkStuck,
  type LiveGuest,
  type LivePhase,
  phaseOf,
  wakeNetwork,
} from './live-guest.ts';
import { Persistence } from './persistence.ts';

/** A guest's OS may take this long to power down before QEMU is ended. */
const POWER_DOWN_MS = 60_000;
/** The clock of a guest that has just arrived is corrected after this, ms. */
const CLOCK_AFTER_MS = 1_000;
/** A guest that has just arrived is busy; its overlays are copied to disk after this, ms. */
const PERSIST_AFTER_ARRIVAL_MS = 5_000;
/** A forced stop gives QEMU only the time to write its images out. */
const FORCED_STOP_MS = 0;

export type { LiveGuest, LivePhase } from './live-guest.ts';

export interface GuestsDependencies extends LaunchParts {
  readonly departing: Departing;
  /** Every QMP line, for evidence; undefined: not wanted. */
  readonly qmpLog: ((spec: GuestSpec, entry: QmpLogEntry) => void) | undefined;
}

interface GuestEvents {
  /** Anything a view shows has changed. */
  changed: [guestId: string];
}

/** The newest QEMU of a guest here, also after its end. */
interface Stay {
  readonly live: LiveGuest;
  /** Its QEMU has ended and its files are settled; rejects when they could not be. */
  readonly settled: PromiseWithResolvers<void>;
}

export class Guests extends EventEmitter<GuestEvents> {
  readonly #parts: GuestsDependencies;
  readonly #live = new Map<string, LiveGuest>();
  readonly #stays = new Map<string, Stay>();
  /** QEMUs of an earlier agent that have not answered yet. */
  readonly #searches = new GuestSearches((guestId) => this.emit('changed', guestId));
  readonly #turns = new GuestTurns((guestId) => this.emit('changed', guestId));
  /** Ends of guests whose files are being settled. */
  readonly #settling = new Set<Promise<void>>();
  readonly #persistence: Persistence;
  readonly #endUpkeep: () => void;

  constructor(parts: GuestsDependencies) {
    super();
    this.#parts = parts;
    this.#persistence = new Persistence(parts.files, parts.log);
    this.#endUpkeep = keepUp({
      guests: () => this.allLive(),
      persistence: this.#persistence,
      ...parts,
    });
  }

  live(guestId: string): LiveGuest | undefined {
    return this.#live.get(guestId);
  }

  allLive(): LiveGuest[] {
    return [...this.#live.values()];
  }

  isBusy(guestId: string): boolean {
    return this.#turns.isTaken(guestId);
  }

  /** Its QEMU was left running by an earlier agent, and does not answer. */
  unresponsive(guestId: string): Unresponsive | undefined {
    return this.#searches.of(guestId)?.unresponsive;
  }

  /** A QEMU of the guest is here, whether it answers or not. */
  has(guestId: string): boolean {
    return this.#live.has(guestId) || this.#searches.of(guestId) !== undefined;
  }

  /** @throws SojournError `already-running`, `guest-unresponsive`, `guest-busy` */
  requireStartable(spec: GuestSpec): void {
    const search = this.#searches.of(spec.id);
    if (search !== undefined) throw guestUnresponsive(spec, search);
    if (this.#live.has(spec.id))
      throw new SojournError({
        kind: 'conflict',
        code: 'already-running',
        message: `${spec.name} is running already`,
        remedy: `See "sojourn guest show ${spec.name}" for its state`,
      });
    this.#turns.requireFree(spec);
  }

  /**
   * Boots the guest from its disks; with `fromCopy` from their last copy, if what was written since is gone.
   * @throws SojournError as `requireStartable` and `launchGuest`
   */
  async start(spec: GuestSpec, { fromCopy = false } = {}): Promise<LiveGuest> {
    const known = this.#parts.store.find(spec.id)?.disks.length ?? 0;
    const kept = fromCopy ? 'copy' : 'kept';
    const content = spec.abi.disks.length > 0 && known === 0 ? 'new' : kept;
    return this.#launch(spec, content, { kind: 'running' });
  }

  /** Starts an empty QEMU that waits for a handoff. */
  async startIncoming(spec: GuestSpec): Promise<LiveGuest> {
    return this.#launch(spec, 'empty', { kind: 'incoming' });
  }

  /**
   * The guest that waited for a handoff is ours: from now on its end is a crash, and its overlays are kept. Called in
   * the pause, so what else that means is for `activated`.
   */
  claimed(guestId: string): void {
    const live = this.#live.get(guestId);
    if (live?.phase.kind === 'incoming') this.#setPhase(live, { kind: 'running' });
  }

  /** The guest that was claimed runs now. */
  activated(guestId: string): void {
    const live = this.#live.get(guestId);
    if (live === undefined) return;
    this.#setPhase(live, { kind: 'running' });
    const stored = this.#parts.store.find(guestId);
    if (stored !== undefined)
      this.#parts.store.put({ ...stored, intent: 'running', since: live.since.toISOString() });
    // Not at once: what corrects a clock runs in the guest, whose first moments belong to those who wait for its answers.
    setTimeout(() => void this.#clock(live), CLOCK_AFTER_MS).unref();
    // Its work has crossed the network; a power cut here must not take it.
    this.#persistence.begin(live, PERSIST_AFTER_ARRIVAL_MS);
  }

  /**
   * Finds the guest's QEMU again after this agent was restarted: resolves when it answers, or to undefined when it is
   * gone and its overlays are on disk. One that runs and does not answer is `unresponsive` until then.
   * @throws SojournError `guest-unresponsive` when this agent ends before
   */
  async adopt(stored: StoredGuest, phase: LivePhase): Promise<LiveGuest | undefined> {
    const { spec } = stored;
    const { store, files, log } = this.#parts;
    return this.#turns.take(spec, async () => {
      const record = stored.process ?? (await this.#unrecorded(stored, phase));
      const options = this.#processOptions(spec);
      const found = record && (await this.#searches.find(spec, record, options));
      const { id, name: guest } = spec;
      const now = store.find(id) ?? stored;
      if (found) {
        await removePersistRemains(found.qmp).catch((error: unknown) =>
          log.warn({ guest, reason: errorText(error) }, 'copy of an earlier agent not ended'),
        );
        const copiedStandingBy = await canPersistMirrored(found.qmp, now.disks);
        const live = this.#register(spec, {
          process: found,
          disks: now.disks,
          since: new Date(now.since),
          copiedStandingBy,
        });
        live.phase = await phaseOf(live, phase);
        return live;
      }
      const strays = await endStrays(id, files.directory(spec));
      if (strays.length > 0) log.warn({ guest, pids: strays }, 'QEMU ended that nobody knew');
      store.put(endedWhileAway(now));
      await files.persistStopped(spec, now.disks);
      return undefined;
    });
  }

  /**
   * Powers the guest down, or ends it at once, and brings its overlays to disk.
   * @throws SojournError `guest-unresponsive` unless by force, `guest-busy`, or why the overlays are not on disk
   */
  async stop(guestId: string, force: boolean): Promise<void> {
    const search = this.#searches.of(guestId);
    const stored = this.#parts.store.find(guestId);
    if (search !== undefined && stored !== undefined) {
      if (!force) throw guestUnresponsive(stored.spec, search);
      this.#parts.store.put({ ...stored, intent: 'stopped', crash: null });
      await search.kill();
      return this.#turns.free(guestId);
    }
    const live = this.#live.get(guestId);
    if (live === undefined) return;
    await this.#turns.take(live.spec, async () => {
      if (stored !== undefined)
        this.#parts.store.put({ ...stored, intent: 'stopped', crash: null });
      this.#setPhase(live, { kind: 'stopping' });
      await this.#persistence.interrupt(guestId);
      await live.process.stop(force ? FORCED_STOP_MS : POWER_DOWN_MS);
      await this.#stays.get(guestId)?.settled.promise;
    });
  }

  /**
   * Ends the QEMU of a guest that is not ours to run, and removes its files here, when nothing else is under way with
   * it. `live`: only what that one is, or has left; nothing if the guest has come back since.
   */
  async discard(spec: GuestSpec, live?: LiveGuest): Promise<void> {
    const { id } = spec;
    if (live === undefined) await this.#searches.of(id)?.kill();
    await this.#turns.takeNext(spec, async () => {
      const { store, files } = this.#parts;
      const stay = this.#stays.get(id);
      if (live !== undefined && stay?.live !== live) return;
      const present = this.#live.get(id);
      const disks = present?.disks ?? store.find(id)?.disks ?? [];
      if (present !== undefined) {
        await this.#persistence.interrupt(id);
        this.#live.delete(id);
        await present.process.quit().catch(() => present.process.kill());
      }
      // Its end may have begun before, and then brings to disk what is void; an error is in the log.
      await stay?.settled.promise.catch(() => undefined);
      await files.remove(spec, disks);
      const stored = store.find(id);
      if (stored !== undefined)
        store.put({ ...stored, intent: 'stopped', process: null, disks: [] });
      this.#stays.delete(id);
    });
  }

  /** Brings its overlays in memory to disk as they are now, where they are not kept there anyway. */
  async copyDisks(guestId: string): Promise<void> {
    const live = this.#live.get(guestId);
    if (live !== undefined) await this.#persistence.copyNow(live);
  }

  /** Resolves when nothing of this place's own uses the guest's disks: a handoff is about to. Never rejects. */
  releaseDisks(guestId: string): Promise<void> {
    return this.#persistence.release(guestId);
  }

  /** Gives the overlays more room; a guest that the limit had paused goes on. */
  async raiseLimit(stored: StoredGuest, limitBytes: number): Promise<void> {
    const live = this.#live.get(stored.spec.id);
    if (live !== undefined) {
      for (const disk of live.disks) await raiseOverlayLimit(live.process.qmp, disk, limitBytes);
      if (live.phase.kind === 'paused') this.#setPhase(live, { kind: 'running' });
    }
    this.#parts.store.put({
      ...stored,
      spec: { ...stored.spec, overlayLimitBytes: limitBytes },
      disks: stored.disks.map((disk) => ({ ...disk, limitBytes })),
    });
    this.emit('changed', stored.spec.id);
  }

  /** After a switch that died or stalled: whether the guest cannot send any more. */
  async isNetworkStuck(guestId: string): Promise<boolean> {
    const live = this.#live.get(guestId);
    return live?.phase.kind === 'running' && (await isNetworkStuck(live));
  }

  /** The guest can send again. Not while it is handed over, or stands by. */
  async wakeNetwork(guestId: string): Promise<void> {
    const live = this.#live.get(guestId);
    if (live?.phase.kind === 'running') await wakeNetwork(live);
  }

  /**
   * Brings the overlays in memory of all running guests to disk; the guests go on. A guest that ends meanwhile,
   * as all do when the host shuts down, is waited for. All errors are joined.
   */
  async persistAll(): Promise<void> {
    const results = await Promise.allSettled(
      this.allLive()
        .filter(({ phase }) => phase.kind !== 'incoming')
        .map((live) => this.#persistence.copyNow(live)),
    );
    results.push(...(await Promise.allSettled(this.#settling)));
    const errors = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (errors.length > 0)
      throw new AggregateError(errors, errors.map((error) => errorText(error)).join('; '));
  }

  /** Lets go of all processes, which go on. */
  release(): void {
    this.#endUpkeep();
    this.#searches.giveUp();
    for (const live of this.#live.values()) live.process.release();
    this.#live.clear();
  }

  async #launch(spec: GuestSpec, content: OverlayContent, phase: LivePhase): Promise<LiveGuest> {
    this.requireStartable(spec);
    return this.#turns.take(spec, async () => {
      // One that has just crashed is being brought to disk; where that fails it is started from memory.
      await this.#stays.get(spec.id)?.settled.promise.catch(() => undefined);
      const how = { content, incoming: phase.kind === 'incoming' };
      const options = this.#processOptions(spec);
      const launched = await launchGuest(spec, how, this.#parts, options);
      const live = this.#register(spec, { ...launched, copiedStandingBy: true });
      live.phase = phase;
      return live;
    });
  }

  /** A QEMU whose start, or whose record, the end of an earlier agent cut short; only if the guest may run here. */
  async #unrecorded(stored: StoredGuest, phase: LivePhase): Promise<GuestProcessRecord | null> {
    const { spec, disks } = stored;
    if (stored.intent !== 'running' && phase.kind !== 'incoming') return null;
    const record = await findUnrecorded(spec, {
      directory: this.#parts.files.directory(spec),
      disks,
      netSocket: this.#parts.netSocket(spec),
      incoming: phase.kind === 'incoming',
    });
    if (record !== null) this.#parts.store.put({ ...stored, process: record });
    return record;
  }

  #register(spec: GuestSpec, found: Omit<LiveGuest, 'spec' | 'phase'>): LiveGuest {
    const { log } = this.#parts;
    const live: LiveGuest = { ...found, spec, phase: { kind: 'starting' } };
    const settled = Promise.withResolvers<void>();
    settled.promise.catch(notSettled(spec, log));
    this.#live.set(spec.id, live);
    this.#stays.set(spec.id, { live, settled });
    watchGuest(live, {
      log,
      paused: (phase) => this.#setPhase(live, phase),
      ended: (exit) => {
        // One that is discarded is not ours.
        const end = this.#live.get(spec.id) === live ? this.#ended(live, exit) : Promise.resolve();
        this.#settling.add(settled.promise);
        end
          .then(settled.resolve, settled.reject)
          .finally(() => this.#settling.delete(settled.promise));
      },
    });
    return live;
  }

  async #ended(live: LiveGuest, exit: GuestExit): Promise<void> {
    const { spec } = live;
    const { store, files, log } = this.#parts;
    const { code, signal, orderly } = exit;
    const asked = orderly || live.phase.kind === 'stopping' || live.phase.kind === 'incoming';
    log.info({ guest: spec.name, code, signal, asked }, 'QEMU ended');
    this.#live.delete(spec.id);
    const stored = store.find(spec.id);
    if (stored !== undefined) store.put(asked ? ended(stored) : crashed(stored, exit));
    try {
      if (live.phase.kind !== 'incoming') await files.persistStopped(spec, live.disks);
    } finally {
      this.emit('changed', spec.id);
    }
  }

  #processOptions(spec: GuestSpec): { qmpLog?: (entry: QmpLogEntry) => void } {
    const { qmpLog } = this.#parts;
    return qmpLog === undefined ? {} : { qmpLog: (entry) => qmpLog(spec, entry) };
  }

  #setPhase(live: LiveGuest, phase: LivePhase): void {
    live.phase = phase;
    live.since = new Date();
    this.emit('changed', live.spec.id);
  }

  async #clock(live: LiveGuest): Promise<void> {
    if (this.#live.get(live.spec.id) !== live) return;
    const paths = guestPaths(this.#parts.files.directory(live.spec));
    const result = await correctClock(paths.guestAgentSocket);
    this.#parts.log.debug({ guest: live.spec.name, ...result }, 'guest clock');
  }
}
