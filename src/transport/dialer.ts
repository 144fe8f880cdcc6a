/**
 * The side that dials: keeps one session with one place up, for as long as it is told to. A NATed device
 * opens every connection, also those over which it will receive.
 */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { asSojournError, SojournError } from '../common/index.ts';
import { backoffMs, IDLE_BACKOFF, RESUME_BACKOFF } from './backoff.ts';
import type { Connection } from './connection.ts';
import { dialCancelled, dialPlace } from './dial.ts';
import { greet } from './greet.ts';
import { type ListenerHello, type PlaceInfo, SPOKEN } from './hello.ts';
import type { Identity } from './identity.ts';
import { Session, type SessionTimings } from './session.ts';
import { ALPN_SESSION } from './tls.ts';

/** A connection that carried nothing and lasted for less counts as a failed attempt, ms. */
const STABLE_MS = 5_000;
/** After an answer that will not change soon, ms. */
const REFUSED_WAIT_MS = 30_000;

export interface DialerOptions {
  readonly identity: Identity;
  /** What this place calls itself. */
  readonly place: PlaceInfo;
  /** Place id of the other side. */
  readonly peer: string;
  readonly hosts: readonly string[];
  readonly port: number;
  /**
   * A new session is there: add channel and call handlers now, before this returns; what the peer
   * has sent already is dispatched right after.
   */
  readonly onSession: (session: Session) => void;
  readonly timings?: Partial<SessionTimings>;
  /** For one attempt, ms. */
  readonly dialTimeoutMs?: number;
}

export type DialerStatus =
  | { readonly state: 'dialing'; readonly lastError?: SojournError }
  | { readonly state: 'connected' }
  | { readonly state: 'waiting'; readonly lastError: SojournError; readonly waitMs: number }
  | { readonly state: 'closed' };

export class PeerDialer extends EventEmitter<{ status: [status: DialerStatus] }> {
  readonly #options: DialerOptions;
  readonly #stop = new AbortController();
  #hosts: readonly string[];
  #port: number;
  #status: DialerStatus = { state: 'dialing' };
  #session: Session | undefined;
  #attempt = 0;
  #failures = 0;
  #hurry = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: DialerOptions) {
    super();
    this.#options = options;
    this.#hosts = options.hosts;
    this.#port = options.port;
  }

  get status(): DialerStatus {
    return this.#status;
  }

  /** The session, connected or resuming. */
  get session(): Session | undefined {
    return this.#session;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** From the next attempt on. */
  setAddresses(hosts: readonly string[], port: number): void {
    this.#hosts = hosts;
    this.#port = port;
  }

  /** The network has changed: drop the connection, which may be dead, and dial now. */
  redial(): void {
    this.#hurry.abort();
    this.#session?.lose();
  }

  /**
   * A connected session; whoever asks does not wait for the back-off. Errors: why there is none when the time is
   * over, or at once when the other side says no; `dial-cancelled`.
   */
  async connected(options: { timeoutMs: number; signal?: AbortSignal }): Promise<Session> {
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const stop = AbortSignal.any(
      options.signal
        ? [deadline, options.signal, this.#stop.signal]
        : [deadline, this.#stop.signal],
    );
    if (this.#status.state === 'waiting') this.#hurry.abort();
    for (;;) {
      if (this.#session?.state === 'connected') return this.#session;
      if (options.signal?.aborted || this.#stop.signal.aborted) throw dialCancelled();
      if (deadline.aborted) throw this.#lastError() ?? noAnswer();
      await new Promise<void>((resolve) => {
        const done = () => {
          this.off('status', done);
          stop.removeEventListener('abort', done);
          resolve();
        };
        this.once('status', done);
        stop.addEventListener('abort', done, { once: true });
      });
      if (this.#status.state === 'waiting' && isFinal(this.#status.lastError))
        throw this.#status.lastError;
    }
  }

  /** Ends the session for both sides and dials no more. */
  async close(reason?: SojournError): Promise<void> {
    this.#stop.abort();
    const told = this.#session?.close(reason);
    this.#hurry.abort();
    await Promise.all([told, this.#running]);
    this.#setStatus({ state: 'closed' });
  }

  #lastError(): SojournError | undefined {
    return 'lastError' in this.#status ? this.#status.lastError : undefined;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#hurry = new AbortController();
      const { signal: hurry } = this.#hurry;
      let error: SojournError | undefined;
      try {
        this.#setStatus({ state: 'dialing', lastError: this.#lastError() });
        const session = await this.#connect(AbortSignal.any([this.#stop.signal, hurry]));
        const since = performance.now();
        const before = session.bytes.received;
        this.#setStatus({ state: 'connected' });
        await disconnected(session);
        if (session.state === 'closed') error = await session.closed;
        const progress = error === undefined && session.bytes.received > before;
        const stable = performance.now() - since >= STABLE_MS;
        this.#failures = progress || stable ? 0 : this.#failures + 1;
      } catch (caught) {
        error = asSojournError(caught);
        this.#failures += 1;
        this.#judge(error);
      }
      if (hurry.aborted) this.#failures = 0;
      else if (!this.#stop.signal.aborted) await this.#wait(error, hurry);
    }
  }

  async #connect(signal: AbortSignal): Promise<Session> {
    const { identity, peer, place, dialTimeoutMs: timeoutMs } = this.#options;
    const socket = await dialPlace({
      ...{ identity, peer, hosts: this.#hosts, port: this.#port, timeoutMs },
      alpn: ALPN_SESSION,
      signal,
    });
    // Any connection before this one is gone: what has been received does not change any more.
    const before = this.#session;
    const id = before?.id ?? randomBytes(16).toString('hex');
    this.#attempt = before === undefined ? 1 : this.#attempt + 1;
    const attempt = this.#attempt;
    const received = before?.received ?? ([0, 0] as const);
    let session: Session | undefined;
    const drop = () => {
      if (session === undefined) socket.destroy();
    };
    signal.addEventListener('abort', drop, { once: true });
    await greet(
      socket,
      {
        intent: 'session',
        versions: SPOKEN,
        place,
        ...{ session: id, attempt, resume: before !== undefined },
        received: [received[0], received[1]],
      },
      (connection, answer) => {
        session = this.#accepted(before, id, attempt, connection, answer);
      },
    );
    return session as unknown as Session;
  }

  #accepted(
    before: Session | undefined,
    id: string,
    attempt: number,
    connection: Connection,
    answer: ListenerHello,
  ): Session {
    // The session was closed while we dialed for it.
    if (this.#session !== before) {
      connection.destroy();
      throw dialCancelled();
    }
    const session = before ?? this.#newSession(id, answer.place);
    session.place = answer.place;
    session.attach(connection, attempt, answer.received);
    return session;
  }

  #newSession(id: string, place: PlaceInfo): Session {
    const { peer, timings } = this.#options;
    const session = new Session({ peer, place, side: 'dialer', id, timings });
    this.#session = session;
    session.once('closed', () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#options.onSession(session);
    return session;
  }

  /** An answer that ends the session we wanted to resume. */
  #judge(error: SojournError): void {
    if (error.code !== 'session-lost' && error.code !== 'not-paired') return;
    if (error.code === 'session-lost') this.#failures = 0;
    this.#session?.abandon(error);
  }

  async #wait(error: SojournError | undefined, hurry: AbortSignal): Promise<void> {
    const policy = this.#session === undefined ? IDLE_BACKOFF : RESUME_BACKOFF;
    const final = error !== undefined && isFinal(error);
    const backoff = backoffMs(policy, this.#failures, Math.random());
    const waitMs = final && this.#session === undefined ? REFUSED_WAIT_MS : backoff;
    if (error !== undefined) this.#setStatus({ state: 'waiting', lastError: error, waitMs });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      const wake = () => {
        clearTimeout(timer);
        resolve();
      };
      hurry.addEventListener('abort', wake, { once: true });
    });
  }

  #setStatus(status: DialerStatus): void {
    this.#status = status;
    this.emit('status', status);
  }
}

/** To ask again soon would give the same answer. */
function isFinal({ kind }: SojournError): boolean {
  return kind === 'refused' || kind === 'requirement';
}

async function disconnected(session: Session): Promise<void> {
  if (session.state !== 'connected') return;
  await new Promise<void>((resolve) => {
    const listener = () => {
      if (session.state === 'connected') return;
      session.off('state', listener);
      resolve();
    };
    session.on('state', listener);
  });
}

function noAnswer(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'peer-unreachable',
    message: 'The other place has not answered yet',
    remedy: 'Check the network here, and that the agent there is running',
  });
}
