/** Brings overlays in memory to disk while their guests run; one copy of a guest is made at a time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { errorText } from '../common/index.ts';
import type { GuestFiles } from './guest-files.ts';
import type { LiveGuest } from './guests.ts';

interface Copy {
  readonly abort: AbortController;
  /** Never rejects. */
  readonly done: Promise<void>;
}

export class Persistence {
  readonly #files: GuestFiles;
  readonly #log: Logger;
  readonly #copies = new Map<string, Copy>();

  constructor(files: GuestFiles, log: Logger) {
    this.#files = files;
    this.#log = log;
  }

  /** Makes a copy after a while, in the background; one that fails is reported in the log only. */
  begin(live: LiveGuest, delayMs: number): void {
    const { spec } = live;
    if (this.#copies.has(spec.id)) return;
    const abort = new AbortController();
    const { signal } = abort;
    const done = delay(delayMs, undefined, { signal, ref: false })
      .then(() => this.#copy(live, signal))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.#log.warn(
          { guest: spec.name, reason: errorText(error) },
          'overlay not copied to disk',
        );
      })
      .finally(() => this.#copies.delete(spec.id));
    this.#copies.set(spec.id, { abort, done });
  }

  /** Resolves when no copy is under way: a handoff, and QEMU's end, want the guest's disks for themselves. */
  async interrupt(guestId: string): Promise<void> {
    const copy = this.#copies.get(guestId);
    copy?.abort.abort();
    await copy?.done;
  }

  /** A copy as of now. A guest that ends meanwhile has its files settled by its end. */
  async copyNow(live: LiveGuest): Promise<void> {
    await this.interrupt(live.spec.id);
    try {
      await this.#copy(live);
    } catch (error) {
      if (!live.process.qmp.isClosed) throw error;
      await live.process.exited;
    }
  }

  #copy(live: LiveGuest, signal?: AbortSignal): Promise<void> {
    return this.#files.persistRunning(live.spec, live.process.qmp, live.disks, signal);
  }
}
