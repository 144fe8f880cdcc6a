/** The sessions with each place. Two devices that receive dial one another: then there are two, and either will do. */
import type { Session } from '../../transport/index.ts';

export class PeerSessions {
  readonly #sessions = new Map<string, readonly Session[]>();

  /** A connected one, if there is any. */
  of(peer: string): Session | undefined {
    const all = this.#sessions.get(peer);
    return all?.find(({ state }) => state === 'connected') ?? all?.[0];
  }

  add(session: Session): void {
    this.#sessions.set(session.peer, [session, ...(this.#sessions.get(session.peer) ?? [])]);
  }

  remove(session: Session): void {
    const { peer } = session;
    const others = (this.#sessions.get(peer) ?? []).filter((other) => other !== session);
    if (others.length === 0) this.#sessions.delete(peer);
    else this.#sessions.set(peer, others);
  }
}
