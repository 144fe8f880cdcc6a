/** Brings overlays in memory to disk while their guests run; one copy of a guest is made at a time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { errorText } from '../common/index.ts';
import { bytesWritten } from '../guest/index.ts';
import type { GuestFiles } from './guest-files.ts';
import type { LiveGuest } from './live-guest.ts';

interface Copy {
  readonly abort: AbortController;
  /** Never rejects. */
  readonly done: Promise<void>;
}

/** What of a guest is needed to copy its disks. */
type Source = Pick<LiveGuest, 'spec' | 'process' | 'disks'>;

export class Persistence {
  readonly #files: Pick<GuestFiles, 'persistRunning'>;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #copies = new Map<string, Copy>();
  /** Bytes that a guest had written when its last copy was begun. */
  readonly #copied = new WeakMap<Source, number>();

  constructor(files: Pick<GuestFiles, 'persistRunning'>, log: Pick<Logger, 'warn'>) {
    this.#files = files;
    this.#log = log;
  }

  /** Makes a copy after a while, in the background; one that fails is reported in the log only. */
  begin(live: Source, delayMs: number): void {
    this.#inBackground(live, async (signal) => {
      await delay(delayMs, undefined, { signal, ref: false });
      await this.#copy(live, signal);
    });
  }

  /** As `begin`, at once, if the guest has written anything since its last copy. */
  refresh(live: Source): void {
    this.#inBackground(live, (signal) => this.#copy(live, signal, true));
  }

  /** Resolves when no copy is under way: a handoff, and QEMU's end, want the guest's disks for themselves. */
  async interrupt(guestId: string): Promise<void> {
    const copy = this.#copies.get(guestId);
    copy?.abort.abort();
    await copy?.done;
  }

  /** A copy as of now. A guest that ends meanwhile has its files settled by its end. */
  async copyNow(live: Source): Promise<void> {
    await this.interrupt(live.spec.id);
    try {
      await this.#copy(live);
    } catch (error) {
      if (!live.process.qmp.isClosed) throw error;
      await live.process.exited;
    }
  }

  #inBackground({ spec }: Source, copy: (signal: AbortSignal) => Promise<void>): void {
    if (this.#copies.has(spec.id)) return;
    const abort = new AbortController();
    const done = copy(abort.signal)
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        this.#log.warn(
          { guest: spec.name, reason: errorText(error) },
          'overlay not copied to disk',
        );
      })
      .finally(() => this.#copies.delete(spec.id));
    this.#copies.set(spec.id, { abort, done });
  }

  async #copy(live: Source, signal?: AbortSignal, onlyIfWritten = false): Promise<void> {
    if (live.spec.overlayStorage === 'disk') return;
    const written = await bytesWritten(live.process.qmp);
    signal?.throwIfAborted();
    if (onlyIfWritten && this.#copied.get(live) === written) return;
    await this.#files.persistRunning(live.spec, live.process.qmp, live.disks, signal);
    this.#copied.set(live, written);
  }
}
