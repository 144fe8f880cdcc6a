/** Probes of each place, fed by what its session does anyway: keepalives and acknowledgements. */
import { PlaceProbes, type ProbeView } from '../../link/index.ts';
import type { Session } from '../../transport/index.ts';

/** With more than this unacknowledged the link sets the rate, not who sends; bytes. */
const LIMITED_BYTES = 64 * 1024;

type ProbedSession = Pick<Session, 'on' | 'off' | 'state' | 'suspect'>;

interface Probed {
  readonly session: ProbedSession;
  readonly probes: PlaceProbes;
  readonly end: () => void;
}

export class ProbedPlaces {
  readonly #probed = new Map<string, Probed>();
  readonly #now: () => number;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Undefined session: never connected, which nobody can suspect of anything. */
  view(place: string, session: ProbedSession | undefined): ProbeView | undefined {
    if (session === undefined) {
      this.#end(place);
      return undefined;
    }
    if (this.#probed.get(place)?.session !== session) {
      this.#end(place);
      this.#probed.set(place, this.#follow(session));
    }
    const view = this.#probed.get(place)?.probes.view(this.#now());
    const lost = session.suspect || session.state !== 'connected';
    return view && { ...view, suspect: view.suspect || lost };
  }

  close(): void {
    for (const place of [...this.#probed.keys()]) this.#end(place);
  }

  #follow(session: ProbedSession): Probed {
    const probes = new PlaceProbes();
    const asked = (ping: number) => probes.asked(ping, this.#now());
    const answered = (ping: number) => probes.answered(ping, this.#now());
    const acknowledged = (bytes: number, waiting: number) =>
      probes.acknowledged(bytes, waiting >= LIMITED_BYTES, this.#now());
    // What was asked of a connection that is gone is not answered by the next one.
    const state = () => probes.woke();
    session.on('asked', asked);
    session.on('answered', answered);
    session.on('acknowledged', acknowledged);
    session.on('state', state);
    const end = () => {
      session.off('asked', asked);
      session.off('answered', answered);
      session.off('acknowledged', acknowledged);
      session.off('state', state);
    };
    return { session, probes, end };
  }

  #end(place: string): void {
    this.#probed.get(place)?.end();
    this.#probed.delete(place);
  }
}
