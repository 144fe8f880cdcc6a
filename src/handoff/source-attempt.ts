/** The effects of the source that bring a handoff forward; `stop` ends whichever of them is under way. */

import { SojournError } from '../common/index.ts';
import { aborted } from './aborted.ts';
import { converge } from './converge.ts';
import { LinkRate } from './link-rate.ts';
import { type HandoffKey, STREAM_VERSION } from './messages.ts';
import type { QmpPort, SessionPort } from './ports.ts';
import type { HandoffProgress } from './progress.ts';
import { statusInfo } from './qemu-names.ts';
import { call } from './rpc.ts';
import { SourceDisks } from './source-disks.ts';
import type { SourceEffect, SourceEvent } from './source-machine.ts';
import { type MemoryLook, SourceMemory } from './source-memory.ts';
import type { SourceOptions } from './source-options.ts';
import { removeMirrors } from './source-qemu.ts';
import { StandbyUpkeep, type UpkeepMeasure } from './standby-upkeep.ts';
import { watchProgress } from './watchdog.ts';

const PREFLIGHT_TIMEOUT_MS = 15_000;
/** A QEMU start under TCG on a busy machine takes a few seconds, ms. */
const PREPARE_TIMEOUT_MS = 60_000;
/** Longer than any pause: the watch below ends a switchover that stands still much sooner, ms. */
const LOADED_TIMEOUT_MS = 120_000;
/**
 * Standing still this long, plus two round trips, ends a switchover, ms: the guest is paused meanwhile, and goes on within a
 * second of the link's end.
 */
export const PAUSE_PATIENCE_MS = 700;

/** Milliseconds since 1970 by this place's clock; `runningAt` by the destination's. */
export interface SwitchoverTimes {
  heldAt?: number | undefined;
  stoppedAt?: number | undefined;
  mirrorsDoneAt?: number | undefined;
  migratedAt?: number | undefined;
  loadedAt?: number | undefined;
  sealedAt?: number | undefined;
  runningAt?: number | undefined;
  answeredAt?: number | undefined;
}

type Report = Partial<Omit<HandoffProgress, 'handoffId' | 'guestId'>>;

export class SourceAttempt {
  readonly times: SwitchoverTimes = {};
  readonly #options: SourceOptions;
  readonly #key: HandoffKey;
  readonly #dispatch: (event: SourceEvent) => void;
  readonly #stop = new AbortController();
  readonly #rate = new LinkRate();
  #session: SessionPort | undefined;
  #disks: SourceDisks | undefined;
  #memory: SourceMemory | undefined;
  #progress: HandoffProgress;
  #bytesAtRelease: number | undefined;
  #bytesAtTrigger: number | undefined;
  /** All has been sent once, before anybody waited for it. */
  #armed = false;
  #measure: UpkeepMeasure | undefined;

  constructor(options: SourceOptions, key: HandoffKey, dispatch: (event: SourceEvent) => void) {
    this.#options = options;
    this.#key = key;
    this.#dispatch = dispatch;
    this.#progress = {
      handoffId: key.handoffId,
      guestId: key.guestId,
      phase: 'preflight',
      bytesDone: 0,
      bytesTotal: 0,
      bytesPerSecond: 0,
      etaMs: null,
      residueBytes: null,
      converging: true,
      notice: null,
    };
  }

  /** Where the attempt has reached the peer; undefined before, and in a recovery. */
  get session(): SessionPort | undefined {
    return this.#session;
  }

  get bytesOnLink(): number {
    return (this.#memory?.relay.bytesAcked ?? 0) + (this.#disks?.ackedBytes ?? 0);
  }

  /** The same from the trigger of a standby on. */
  get bytesAfterTrigger(): number {
    return this.#bytesAtTrigger === undefined ? 0 : this.bytesOnLink - this.#bytesAtTrigger;
  }

  /** Bytes that crossed the link from the release of the switchover on; what was queued then counts. */
  get bytesAfterRelease(): number {
    return this.#bytesAtRelease === undefined ? 0 : this.bytesOnLink - this.#bytesAtRelease;
  }

  /** Changes what is known of the progress and tells it. A new phase begins at zero. */
  report(change: Report): void {
    const fresh =
      change.phase !== undefined && change.phase !== this.#progress.phase
        ? { bytesDone: 0, bytesTotal: 0, etaMs: null, notice: null }
        : {};
    this.#progress = { ...this.#progress, ...fresh, ...change };
    this.#options.onProgress?.(this.#progress);
  }

  /** Rejects with what went wrong, also when `stop` was called. */
  async carryOut(effect: SourceEffect): Promise<void> {
    switch (effect.type) {
      case 'preflight':
        await this.#preflight();
        return this.#dispatch({ type: 'suitable' });
      case 'prepare':
        await this.#prepare();
        return this.#dispatch({ type: 'prepared' });
      case 'start-disks':
        await this.#copyDisks();
        return this.#dispatch({ type: 'disks-ready' });
      case 'start-memory':
        await this.#startMemory();
        await this.#fill();
        if (this.#standsBy) return this.#dispatch({ type: 'filled' });
        return this.#convergeAlone();
      case 'keep-up':
        await this.#keepUp();
        return this.#dispatch({ type: 'triggered' });
      case 'converge':
        return this.#convergeAlone();
      case 'switch-over':
        return this.switchOver();
      default:
        throw new Error(`${effect.type} is no attempt`);
    }
  }

  /** Ends what is under way, and the streams. The guest's QEMU then has no peer in this process. */
  async stop(error: Error): Promise<void> {
    if (!this.#stop.signal.aborted) this.#stop.abort(error);
    await this.close(error);
  }

  async close(error: Error = new Error('the handoff has ended')): Promise<void> {
    const memory = this.#memory;
    const disks = this.#disks;
    await Promise.all([memory?.relay.destroy(error), disks?.close(error)]);
  }

  get #qmp(): QmpPort {
    const { guest } = this.#options;
    if (guest === undefined) throw new Error('the guest is not there');
    return guest.qmp;
  }

  readonly #broken = (error: unknown): void => {
    if (!this.#stop.signal.aborted) this.#stop.abort(error);
  };

  async #preflight(): Promise<void> {
    const { signal } = this.#stop;
    const { running, status } = statusInfo.parse(await this.#qmp.execute('query-status'));
    if (!running) {
      throw new SojournError({
        kind: 'conflict',
        code: 'guest-not-running',
        message: `The guest is not running (QEMU says ${status})`,
        remedy: 'Start or continue the guest first',
      });
    }
    this.#session = await this.#options.connect(signal);
    const { problems } = await call(
      this.#session,
      'handoff.preflight',
      { spec: this.#options.spec },
      { timeoutMs: PREFLIGHT_TIMEOUT_MS, signal },
    );
    const all = [...problems, ...((await this.#options.wayBack?.()) ?? [])];
    if (all.length === 0) return;
    throw new SojournError({
      kind: 'requirement',
      code: problems[0]?.code ?? 'no-way-back',
      message: all.map(({ message }) => message).join('; '),
      remedy: all.map(({ remedy }) => remedy).join('; '),
    });
  }

  async #prepare(): Promise<void> {
    const session = this.#peer();
    const { spec, standby } = this.#options;
    const { signal } = this.#stop;
    const params = {
      ...this.#key,
      spec,
      streamVersion: STREAM_VERSION,
      standby: standby !== undefined,
      armBack: standby?.armBack === true,
    } as const;
    await call(session, 'handoff.prepare', params, { timeoutMs: PREPARE_TIMEOUT_MS, signal });
  }

  #peer(): SessionPort {
    if (this.#session === undefined) throw new Error('no session');
    return this.#session;
  }

  async #copyDisks(): Promise<void> {
    const { spec, directory, log, handoffId } = this.#options;
    const { signal } = this.#stop;
    // An earlier attempt may have left a mirror behind, if its clean-up was cut short.
    await removeMirrors(this.#qmp, log);
    this.#disks = new SourceDisks({
      qmp: this.#qmp,
      session: this.#peer(),
      handoffId,
      disks: spec.abi.disks,
      directory,
      log,
      onBroken: this.#broken,
    });
    await this.#disks.start();
    await this.#disks.caughtUp((progress) => {
      this.#rate.sample(performance.now(), progress.ackedBytes, progress.backlogBytes);
      const bytesPerSecond = this.#rate.bytesPerSecond ?? 0;
      this.report({
        bytesDone: progress.bytesDone,
        bytesTotal: progress.bytesTotal,
        bytesPerSecond,
        residueBytes: progress.backlogBytes,
      });
    }, signal);
  }

  get #standsBy(): boolean {
    const { standby } = this.#options;
    return standby !== undefined && !standby.trigger.aborted;
  }

  #parts(): { readonly memory: SourceMemory; readonly disks: SourceDisks } {
    const memory = this.#memory;
    const disks = this.#disks;
    if (memory === undefined || disks === undefined) throw new Error('nothing to switch over');
    return { memory, disks };
  }

  async #startMemory(): Promise<void> {
    const { directory, handoffId, manner } = this.#options;
    const memory = await SourceMemory.open(
      this.#qmp,
      this.#peer(),
      handoffId,
      directory,
      this.#rate,
      this.#broken,
    );
    this.#memory = memory;
    await memory.begin(directory, { slowGuest: manner?.().slowGuest === true });
  }

  async #fill(): Promise<void> {
    const { memory, disks } = this.#parts();
    const { standby } = this.#options;
    await memory.fill(
      disks,
      () => standby?.mayFill() !== false || standby.trigger.aborted,
      (look) => this.#reportMemory(look),
      this.#stop.signal,
    );
  }

  async #keepUp(): Promise<void> {
    const { standby, now } = this.#options;
    if (standby === undefined) throw new Error('no standby');
    const upkeep = new StandbyUpkeep({
      ...this.#parts(),
      rate: this.#rate,
      standby,
      rttMs: () => this.#session?.rttMs,
      now,
    });
    this.#armed = !standby.trigger.aborted;
    const measure = await upkeep.run(this.#stop.signal);
    if (this.#armed) this.#measure = measure;
    this.#bytesAtTrigger = this.bytesOnLink;
  }

  /** What else uses the disks ends meanwhile: to wait for it is no part of the pause. */
  async #convergeAlone(): Promise<void> {
    const released = this.#options.releaseDisks?.();
    await this.#converge();
    await Promise.race([released, aborted(this.#stop.signal)]);
    this.#dispatch({ type: 'converged' });
  }

  async #converge(): Promise<void> {
    const { insist, targetPauseMs, manner } = this.#options;
    const { memory, disks } = this.#parts();
    const { signal } = this.#stop;
    const options = () => ({
      insist: insist?.aborted === true,
      standby: this.#armed,
      urgent: manner?.().urgent === true,
      ...(targetPauseMs === undefined ? {} : { targetMs: targetPauseMs }),
    });
    const onLook = (look: MemoryLook) => this.#reportMemory(look);
    const parts = {
      ...{ memory, disks, options, onLook },
      rate: this.#rate,
      rttMs: () => this.#session?.rttMs,
      measure: this.#measure,
    };
    if (this.#armed) {
      await memory.sweepLoosely();
      await converge(parts, signal);
    } else {
      await converge(parts, signal);
      await memory.awaitRelease(disks, signal);
    }
  }

  #reportMemory({ bytesDone, bytesTotal, bytesPerSecond, ...look }: MemoryLook): void {
    const { verdict } = look;
    this.report({
      bytesDone,
      bytesTotal,
      bytesPerSecond: bytesPerSecond ?? 0,
      etaMs: verdict.converging ? (verdict.pauseMs ?? null) : null,
      residueBytes: verdict.residueBytes,
      converging: verdict.converging,
      notice: this.#noticeOf(look),
    });
  }

  #noticeOf({ verdict, slowedBy }: Pick<MemoryLook, 'verdict' | 'slowedBy'>): string | null {
    if (slowedBy > 0)
      return `The guest is slowed down by ${slowedBy} % so that the network can follow.`;
    if (verdict.converging) return null;
    const seconds = verdict.pauseMs === undefined ? '?' : (verdict.pauseMs / 1000).toFixed(1);
    const unslowed =
      this.#armed && this.#options.manner?.().slowGuest === true
        ? ' A guest that stands by cannot be slowed down: disarm it for that.'
        : '';
    return `The guest changes its memory faster than the network carries it; switching over now would pause it for ${seconds} s. It goes on until it fits, or you cancel it, or ask again with --urgent.${unslowed}`;
  }

  /** From here to the destination's `cont` every line costs the guest time. */
  async switchOver(): Promise<void> {
    const { datapath, spec, now, epoch } = this.#options;
    const { signal } = this.#stop;
    const { memory, disks } = this.#parts();
    await memory.armRelease();
    const loaded = call(this.#peer(), 'handoff.loaded', this.#key, {
      timeoutMs: LOADED_TIMEOUT_MS,
      signal,
    }).then(() => {
      this.times.loadedAt = now();
      this.#dispatch({ type: 'loaded' });
    });
    const patience = PAUSE_PATIENCE_MS + 2 * (this.#peer().rttMs ?? 0);
    let stage = 0;
    const watch = watchProgress(() => memory.relay.bytesAcked + disks.arrived + stage, patience);
    const ended = aborted(signal);
    const steps = async () => {
      await datapath.beginSwitchover({ guestId: spec.id, epoch });
      this.times.heldAt = now();
      stage += 1;
      signal.throwIfAborted();
      const stopped = this.#qmp.waitFor('STOP', undefined, {
        timeoutMs: LOADED_TIMEOUT_MS,
        signal,
      });
      this.#bytesAtRelease = this.bytesOnLink;
      memory.relay.hold.release();
      memory.relay.gate.open();
      await stopped;
      this.times.stoppedAt = now();
      stage += 1;
      await disks.finish(signal);
      this.times.mirrorsDoneAt = now();
      stage += 1;
      await memory.complete(signal);
      this.times.migratedAt = now();
      this.#dispatch({ type: 'migrated' });
    };
    const done = Promise.all([steps(), loaded]);
    // The first of the three decides; the others end with it and must not be reported a second time.
    done.catch(() => undefined);
    try {
      await Promise.race([done, watch.stalled, ended]);
    } finally {
      watch.stop();
    }
  }
}
