/** Brings overlays in memory to disk while their guests run; one copy of a guest is made at a time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { errorText } from '../../common/index.ts';
import { bytesWritten, type PersistOptions } from '../../guest/index.ts';
import type { GuestFiles } from './guest-files.ts';
import type { LiveGuest } from './live-guest.ts';

interface Copy {
  readonly abort: AbortController;
  /** Resolves when QEMU has nothing to do with it any more, which is before `done`. */
  readonly released: Promise<void>;
  /** Never rejects. */
  readonly done: Promise<void>;
}

type CopyOptions = Required<Pick<PersistOptions, 'signal' | 'onReleased'>>;

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
    this.#inBackground(live, async (options) => {
      await delay(delayMs, undefined, { signal: options.signal, ref: false });
      await this.#copy(live, options);
    });
  }

  /** As `begin`, at once, if the guest has written anything since its last copy. */
  refresh(live: Source): void {
    this.#inBackground(live, (options) => this.#copy(live, options, true));
  }

  /** Resolves when no copy is under way. */
  async interrupt(guestId: string): Promise<void> {
    const copy = this.#copies.get(guestId);
    copy?.abort.abort();
    await copy?.done;
  }

  /** As `interrupt`, as soon as a handoff can have the guest's disks for itself; it does not wait for this place's disk. */
  async release(guestId: string): Promise<void> {
    const copy = this.#copies.get(guestId);
    copy?.abort.abort();
    await copy?.released;
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

  #inBackground({ spec }: Source, copy: (options: CopyOptions) => Promise<void>): void {
    if (this.#copies.has(spec.id)) return;
    const abort = new AbortController();
    const released = Promise.withResolvers<void>();
    const done = copy({ signal: abort.signal, onReleased: released.resolve })
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        this.#log.warn(
          { guest: spec.name, reason: errorText(error) },
          'overlay not copied to disk',
        );
      })
      .finally(() => {
        released.resolve();
        this.#copies.delete(spec.id);
      });
    this.#copies.set(spec.id, { abort, released: released.promise, done });
  }

  async #copy(live: Source, options?: CopyOptions, onlyIfWritten = false): Promise<void> {
    if (live.spec.overlayStorage === 'disk') return;
    const written = await bytesWritten(live.process.qmp);
    options?.signal.throwIfAborted();
    if (onlyIfWritten && this.#copied.get(live) === written) return;
    await this.#files.persistRunning(live.spec, live.process.qmp, live.disks, options);
    this.#copied.set(live, written);
  }
}
