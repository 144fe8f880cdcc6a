/** Handoffs that ended here, and that the other place may still wait for: it was away, or this agent had died. */
import { tellAborted } from '../../handoff/index.ts';
import type { Session } from '../../transport/index.ts';

/** A place that is told of no older ones forgets them by itself (`LOADED_WAIT_MS`). */
const MAX_UNTOLD = 64;

export interface UntoldHandoff {
  readonly handoffId: string;
  readonly guestId: string;
  /** Under which the guest would have run there. */
  readonly epoch: number;
}

export class Untold {
  /** The latest last. */
  readonly #handoffs = new Map<string, UntoldHandoff & { readonly peer: string }>();

  add(peer: string, handoff: UntoldHandoff): void {
    this.#handoffs.set(handoff.handoffId, { ...handoff, peer });
    for (const old of [...this.#handoffs.keys()].slice(0, -MAX_UNTOLD)) this.#handoffs.delete(old);
  }

  /** What the place cannot be told now is kept. */
  async tell(session: Session, failed: (handoffId: string, error: unknown) => void): Promise<void> {
    for (const { peer, ...handoff } of [...this.#handoffs.values()]) {
      if (peer !== session.peer) continue;
      try {
        await tellAborted(session, handoff);
        this.#handoffs.delete(handoff.handoffId);
      } catch (error) {
        failed(handoff.handoffId, error);
      }
    }
  }
}
