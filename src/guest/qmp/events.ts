/** Who wants to hear of which of QEMU's events. */
import { QmpTimeoutError } from './errors.ts';
import type { QmpEvent } from './messages.ts';
import { DEFAULT_TIMEOUT_MS, type QmpWaitOptions, startTimer } from './waiting.ts';

export type EventListener = (event: QmpEvent) => void;

export class EventHub {
  readonly #listeners = new Map<string, Set<EventListener>>();
  readonly #waits = new Set<(error: Error) => void>();
  #closedError: Error | undefined;

  on(event: string, listener: EventListener): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  waitFor(
    event: string,
    predicate: (event: QmpEvent) => boolean = () => true,
    options: QmpWaitOptions = {},
  ): Promise<QmpEvent> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>();
    // The caller often awaits this only after the command that causes the event, which may throw first.
    promise.catch(() => undefined);
    if (this.#closedError !== undefined) reject(this.#closedError);
    if (signal?.aborted === true) reject(signal.reason);
    const aborted = () => reject(signal?.reason);
    const stop = this.on(event, (seen) => {
      if (predicate(seen)) resolve(seen);
    });
    const timer = startTimer(timeoutMs, () => reject(new QmpTimeoutError(event, timeoutMs)));
    this.#waits.add(reject);
    signal?.addEventListener('abort', aborted, { once: true });
    const release = () => {
      stop();
      clearTimeout(timer);
      this.#waits.delete(reject);
      signal?.removeEventListener('abort', aborted);
    };
    promise.then(release, release);
    return promise;
  }

  emit(event: QmpEvent): void {
    for (const name of [event.event, '*']) {
      for (const listener of [...(this.#listeners.get(name) ?? [])]) {
        // A listener that throws must neither lose the other listeners' event nor stop the draining.
        try {
          listener(event);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }

  /** Fails all waits, and those to come. */
  close(error: Error): void {
    this.#closedError = error;
    for (const reject of [...this.#waits]) reject(error);
  }
}
