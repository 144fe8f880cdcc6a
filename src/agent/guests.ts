/**
 * The guests at this place: their QEMU processes, files and records. Who may run a guest is decided before
 * anything here is called (`ownership.ts`, `handoffs.ts`).
 */
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { z } from 'zod';
import { errorText, SojournError } from '../common/index.ts';
import {
  correctClock,
  endStrays,
  GuestProcess,
  guestPaths,
  onOverlayFull,
  type QmpLogEntry,
  raiseOverlayLimit,
  trimConsoleLog,
} from '../guest/index.ts';
import type { DiskRuntime } from '../guest/runtime.ts';
import type { GuestSpec } from '../guest/spec.ts';
import type { ImageStore } from '../images/index.ts';
import { bootFiles } from './boot-files.ts';
import type { GuestFiles, OverlayContent } from './guest-files.ts';
import type { Machine } from './machine.ts';
import { Persistence } from './persistence.ts';
import type { GuestStore, StoredGuest } from './state/guest-store.ts';

/** A guest's OS may take this long to power down before QEMU is ended. */
const POWER_DOWN_MS = 60_000;
/** A guest that has just arrived is busy; its overlays are copied to disk after this, ms. */
const PERSIST_AFTER_ARRIVAL_MS = 5_000;
/** Console logs are kept in bounds this often. */
const UPKEEP_MS = 60_000;
/** A forced stop gives QEMU only the time to write its images out. */
const FORCED_STOP_MS = 0;

export type LivePhase =
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | {
      readonly kind: 'paused';
      readonly reason: 'overlay-limit' | 'disk-error';
      readonly detail: string;
    }
  /** Waits for a handoff to complete; only that may start it. */
  | { readonly kind: 'incoming' }
  | { readonly kind: 'stopping' };

export interface LiveGuest {
  readonly spec: GuestSpec;
  readonly process: GuestProcess;
  readonly disks: readonly DiskRuntime[];
  phase: LivePhase;
  since: Date;
}

export interface GuestsDependencies {
  readonly store: GuestStore;
  readonly files: GuestFiles;
  readonly images: ImageStore;
  readonly machine: Machine;
  readonly log: Logger;
  /** Path of the switch port that the guest is plugged into. */
  readonly netSocket: (spec: GuestSpec) => string;
  /** Every QMP line, for evidence; undefined: not wanted. */
  readonly qmpLog: ((spec: GuestSpec, entry: QmpLogEntry) => void) | undefined;
}

interface GuestEvents {
  /** Anything a view shows has changed. */
  changed: [guestId: string];
  /** Its QEMU has ended and its files are settled. */
  ended: [guestId: string];
}

export class Guests extends EventEmitter<GuestEvents> {
  readonly #parts: GuestsDependencies;
  readonly #live = new Map<string, LiveGuest>();
  /** Guests whose start or end is under way: no second one may begin. */
  readonly #busy = new Set<string>();
  /** Ends of guests whose files are being settled. */
  readonly #settling = new Set<Promise<void>>();

  readonly #persistence: Persistence;
  readonly #upkeep: NodeJS.Timeout;

  constructor(parts: GuestsDependencies) {
    super();
    this.#parts = parts;
    this.#persistence = new Persistence(parts.files, parts.log);
    this.#upkeep = setInterval(() => void this.#trimConsoleLogs(), UPKEEP_MS).unref();
  }

  live(guestId: string): LiveGuest | undefined {
    return this.#live.get(guestId);
  }

  allLive(): LiveGuest[] {
    return [...this.#live.values()];
  }

  isBusy(guestId: string): boolean {
    return this.#busy.has(guestId);
  }

  /** Boots the guest from its disks. @throws SojournError as GuestProcess.start and GuestFiles.prepare */
  async start(spec: GuestSpec): Promise<LiveGuest> {
    return this.#exclusively(spec, async () => {
      const known = this.#parts.store.find(spec.id)?.disks.length ?? 0;
      const content = spec.abi.disks.length > 0 && known === 0 ? 'new' : 'kept';
      const live = await this.#launch(spec, content, false);
      live.phase = { kind: 'running' };
      this.emit('changed', spec.id);
      return live;
    });
  }

  /** Starts an empty QEMU that waits for a handoff. */
  async startIncoming(spec: GuestSpec): Promise<LiveGuest> {
    return this.#exclusively(spec, async () => {
      const live = await this.#launch(spec, 'empty', true);
      live.phase = { kind: 'incoming' };
      this.emit('changed', spec.id);
      return live;
    });
  }

  /** The guest that waited for a handoff runs from now on; what else that means is for `activated`, after the pause. */
  runs(guestId: string): void {
    const live = this.#live.get(guestId);
    if (live?.phase.kind === 'incoming') this.#setPhase(live, { kind: 'running' });
  }

  /** The guest that waited for a handoff runs now. */
  activated(guestId: string): void {
    const live = this.#live.get(guestId);
    if (live === undefined) return;
    this.#setPhase(live, { kind: 'running' });
    const stored = this.#parts.store.find(guestId);
    if (stored !== undefined)
      this.#parts.store.put({ ...stored, intent: 'running', since: live.since.toISOString() });
    void this.#clock(live);
    // Its work has crossed the network; a power cut here must not take it.
    this.#persistence.begin(live, PERSIST_AFTER_ARRIVAL_MS);
  }

  /**
   * Finds the guest's QEMU again after this agent was restarted. Undefined when it is gone; its overlays are
   * then brought to disk.
   */
  async adopt(stored: StoredGuest, phase: LivePhase): Promise<LiveGuest | undefined> {
    const { spec } = stored;
    const found =
      stored.process === null
        ? undefined
        : await GuestProcess.adopt(stored.process, this.#processOptions(spec));
    if (found !== undefined) {
      const live = this.#register(spec, found, stored.disks, new Date(stored.since));
      live.phase = await this.#phaseOf(live, phase);
      return live;
    }
    const strays = await endStrays(spec.id, this.#parts.files.directory(spec));
    if (strays.length > 0)
      this.#parts.log.warn({ guest: spec.name, pids: strays }, 'QEMU ended that nobody knew');
    const crashed = stored.process !== null && stored.intent === 'running';
    this.#parts.store.put({
      ...stored,
      process: null,
      crash: crashed
        ? {
            at: new Date().toISOString(),
            code: null,
            signal: null,
            reason: 'its QEMU ended while the agent was not running',
          }
        : stored.crash,
    });
    await this.#parts.files.persistStopped(spec, stored.disks);
    return undefined;
  }

  /** Powers the guest down, or ends it at once, and brings its overlays to disk. */
  async stop(guestId: string, force: boolean): Promise<void> {
    const live = this.#live.get(guestId);
    if (live === undefined) return;
    await this.#exclusively(live.spec, async () => {
      const stored = this.#parts.store.find(guestId);
      if (stored !== undefined)
        this.#parts.store.put({ ...stored, intent: 'stopped', crash: null });
      this.#setPhase(live, { kind: 'stopping' });
      await this.#persistence.interrupt(guestId);
      const ended = this.#settled(guestId);
      await live.process.stop(force ? FORCED_STOP_MS : POWER_DOWN_MS);
      await ended;
    });
  }

  /** Ends the QEMU of a guest that is not ours to run, and removes its files here. */
  async discard(spec: GuestSpec): Promise<void> {
    const live = this.#live.get(spec.id);
    const disks = live?.disks ?? this.#parts.store.find(spec.id)?.disks ?? [];
    if (live !== undefined) {
      this.#live.delete(spec.id);
      await live.process.quit().catch(() => live.process.kill());
    }
    await this.#parts.files.remove(spec, disks);
    const stored = this.#parts.store.find(spec.id);
    if (stored !== undefined)
      this.#parts.store.put({ ...stored, intent: 'stopped', process: null, disks: [] });
    this.emit('ended', spec.id);
    this.emit('changed', spec.id);
  }

  /** Resolves when nothing of this place's own uses the guest's disks: a handoff is about to. */
  releaseDisks(guestId: string): Promise<void> {
    return this.#persistence.interrupt(guestId);
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

  /** After a switch that died or stalled, `stop` and `cont` wake the guest's transmit queue again. */
  async wakeNetwork(guestId: string): Promise<void> {
    const live = this.#live.get(guestId);
    if (live === undefined || live.phase.kind !== 'running') return;
    if ((await this.#statusOf(live)) !== 'running') return;
    await live.process.qmp.execute('stop');
    await live.process.qmp.execute('cont');
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
    clearInterval(this.#upkeep);
    for (const live of this.#live.values()) live.process.release();
    this.#live.clear();
  }

  async #launch(spec: GuestSpec, content: OverlayContent, incoming: boolean): Promise<LiveGuest> {
    const { store, files, machine } = this.#parts;
    const { binary } = await machine.qemu();
    const boot = await bootFiles(spec, content, this.#parts);
    const disks = await files.prepare(spec, content);
    const stored = store.find(spec.id);
    const since = new Date();
    const record = {
      spec,
      intent: incoming ? ('stopped' as const) : ('running' as const),
      process: null,
      disks,
      crash: null,
      since: since.toISOString(),
    };
    store.put({ ...stored, ...record });
    const runtime = {
      binary,
      directory: files.directory(spec),
      disks,
      ...boot,
      netSocket: this.#parts.netSocket(spec),
      incoming,
    };
    const process = await GuestProcess.start(spec, runtime, this.#processOptions(spec));
    store.put({ ...record, process: process.record });
    return this.#register(spec, process, disks, since);
  }

  #register(
    spec: GuestSpec,
    process: GuestProcess,
    disks: readonly DiskRuntime[],
    since: Date,
  ): LiveGuest {
    const live: LiveGuest = { spec, process, disks, phase: { kind: 'starting' }, since };
    this.#live.set(spec.id, live);
    let orderly = false;
    process.qmp.on('SHUTDOWN', ({ data }) => {
      // By its own power-down, or because the host ends its programs before it shuts down itself.
      orderly = data.guest === true || data.reason === 'host-signal';
    });
    onOverlayFull(
      process.qmp,
      disks,
      ({ disk, hostFull }) =>
        this.#setPhase(live, {
          kind: 'paused',
          reason: hostFull ? 'disk-error' : 'overlay-limit',
          detail: hostFull
            ? `the host has no room left for ${disk}`
            : `the overlay of ${disk} has reached its limit`,
        }),
      (error) => this.#parts.log.warn({ err: error, guest: spec.name }, 'overlay not examined'),
    );
    void process.exited.then(({ code, signal }) => {
      if (this.#live.get(spec.id) !== live) return;
      const settled = this.#ended(live, orderly, { code: code ?? null, signal: signal ?? null });
      this.#settling.add(settled);
      settled
        .catch((error: unknown) =>
          this.#parts.log.error(
            { err: error, guest: spec.name },
            'files of an ended guest not settled',
          ),
        )
        .finally(() => this.#settling.delete(settled));
    });
    return live;
  }

  async #ended(
    live: LiveGuest,
    orderly: boolean,
    exit: { code: number | null; signal: string | null },
  ): Promise<void> {
    const { spec } = live;
    const asked = orderly || live.phase.kind === 'stopping' || live.phase.kind === 'incoming';
    this.#parts.log.info({ guest: spec.name, ...exit, asked }, 'QEMU ended');
    this.#live.delete(spec.id);
    const stored = this.#parts.store.find(spec.id);
    const at = new Date().toISOString();
    if (stored !== undefined)
      this.#parts.store.put({
        ...stored,
        intent: asked ? 'stopped' : stored.intent,
        process: null,
        since: at,
        crash: asked
          ? null
          : { at, ...exit, reason: `QEMU ended unexpectedly${describeExit(exit)}` },
      });
    if (live.phase.kind !== 'incoming') await this.#parts.files.persistStopped(spec, live.disks);
    this.emit('ended', spec.id);
    this.emit('changed', spec.id);
  }

  /** Resolves when the guest's process has ended and its overlays are on disk. */
  #settled(guestId: string): Promise<void> {
    return new Promise((resolve) => {
      const listener = (ended: string) => {
        if (ended !== guestId) return;
        this.off('ended', listener);
        resolve();
      };
      this.on('ended', listener);
    });
  }

  async #phaseOf(live: LiveGuest, expected: LivePhase): Promise<LivePhase> {
    if (expected.kind === 'incoming') return expected;
    if ((await this.#statusOf(live)) === 'io-error')
      return {
        kind: 'paused',
        reason: 'overlay-limit',
        detail: 'a disk could not be written; its overlay may have reached its limit',
      };
    return expected;
  }

  async #statusOf(live: LiveGuest): Promise<string> {
    const query = z.object({ status: z.string() });
    return (await live.process.qmp.query(query, 'query-status')).status;
  }

  #processOptions(spec: GuestSpec): { qmpLog?: (entry: QmpLogEntry) => void } {
    const { qmpLog } = this.#parts;
    return qmpLog === undefined ? {} : { qmpLog: (entry) => qmpLog(spec, entry) };
  }

  /** Never rejects: a log that cannot be trimmed only grows. */
  async #trimConsoleLogs(): Promise<void> {
    for (const { spec } of this.allLive()) {
      try {
        await trimConsoleLog(guestPaths(this.#parts.files.directory(spec)).consoleLog);
      } catch (error) {
        this.#parts.log.warn({ err: error, guest: spec.name }, 'console log not trimmed');
      }
    }
  }

  #setPhase(live: LiveGuest, phase: LivePhase): void {
    live.phase = phase;
    live.since = new Date();
    this.emit('changed', live.spec.id);
  }

  async #clock(live: LiveGuest): Promise<void> {
    const paths = guestPaths(this.#parts.files.directory(live.spec));
    const result = await correctClock(paths.guestAgentSocket);
    this.#parts.log.debug({ guest: live.spec.name, ...result }, 'guest clock');
  }

  async #exclusively<Result>(spec: GuestSpec, action: () => Promise<Result>): Promise<Result> {
    if (this.#busy.has(spec.id))
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-busy',
        message: `Guest ${spec.name} is just being started or stopped`,
        remedy: 'Try again when that is done',
      });
    this.#busy.add(spec.id);
    this.emit('changed', spec.id);
    try {
      return await action();
    } finally {
      this.#busy.delete(spec.id);
    }
  }
}

function describeExit(exit: { code: number | null; signal: string | null }): string {
  if (exit.signal !== null) return ` (${exit.signal})`;
  return exit.code === null ? '' : ` (exit code ${exit.code})`;
}
