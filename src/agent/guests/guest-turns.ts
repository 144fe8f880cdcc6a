/** One start, end or removal of a guest at a time. */
import { SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';

export class GuestTurns {
  readonly #changed: (guestId: string) => void;
  /** Never reject. */
  readonly #taken = new Map<string, Promise<void>>();

  /** `changed`: a turn of the guest has begun or ended. */
  constructor(changed: (guestId: string) => void) {
    this.#changed = changed;
  }

  isTaken(guestId: string): boolean {
    return this.#taken.has(guestId);
  }

  /** @throws SojournError `guest-busy` */
  requireFree(spec: GuestSpec): void {
    if (!this.#taken.has(spec.id)) return;
    throw new SojournError({
      kind: 'conflict',
      code: 'guest-busy',
      message: `Guest ${spec.name} is just being started or stopped`,
      remedy: 'Try again when that is done',
    });
  }

  /** Resolves when nothing is under way. */
  async free(guestId: string): Promise<void> {
    while (this.#taken.has(guestId)) await this.#taken.get(guestId);
  }

  /** As `take`, when nothing is under way any more. */
  async takeNext<Result>(spec: GuestSpec, action: () => Promise<Result>): Promise<Result> {
    // Others wait as well, and only one of them is the next.
    while (this.#taken.has(spec.id)) await this.#taken.get(spec.id);
    return this.take(spec, action);
  }

  /** @throws SojournError `guest-busy` instead of waiting; what `action` throws */
  async take<Result>(spec: GuestSpec, action: () => Promise<Result>): Promise<Result> {
    this.requireFree(spec);
    const done = Promise.withResolvers<void>();
    this.#taken.set(spec.id, done.promise);
    this.#changed(spec.id);
    try {
      return await action();
    } finally {
      this.#taken.delete(spec.id);
      done.resolve();
      this.#changed(spec.id);
    }
  }
}
