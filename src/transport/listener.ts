/**
 * The side that is dialed. Whoever connects proves an identity by TLS; a paired one may open or resume
 * its session, anybody else may do nothing but redeem an invite. Nothing a stranger sends takes the
 * listener down or costs more than admission.ts allows.
 */

import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { errorText, SojournError } from '../common/index.ts';
import { ADMISSION, Admission, type AdmissionLimits, keyOf } from './admission.ts';
import { Connection } from './connection.ts';
import { type Frame, FrameError, FrameType, wholePayload } from './frame.ts';
import { agreeOnVersion, type DialerHello, dialerHello, type PlaceInfo, SPOKEN } from './hello.ts';
import type { Identity } from './identity.ts';
import { type InviteStore, type PairedPlace, redeemInvite } from './invite.ts';
import { Session, type SessionTimings } from './session.ts';
import { lost, notPaired, replaced, stale } from './session-errors.ts';
import { ALPN_SESSION, peerIdOf, tlsServerOptions } from './tls.ts';
import { parsePeerJson, protocolViolation } from './violation.ts';

export interface ListenerOptions {
  readonly identity: Identity;
  /** What this place calls itself. */
  readonly place: PlaceInfo;
  /** Asked for every connection; see also `revoke`. */
  readonly isPinned: (id: string) => boolean;
  /**
   * A paired place opened a new session: add channel and call handlers now, before this returns; what
   * the peer has sent already is dispatched right after.
   */
  readonly onSession: (session: Session) => void;
  /** Without it nobody can pair here. */
  readonly invites?: InviteStore;
  /** A device has redeemed an invite and is pinned. */
  readonly onPaired?: (device: PairedPlace) => void;
  /** A connection was refused: for the log. */
  readonly onRefused?: (address: string, reason: string) => void;
  readonly timings?: Partial<SessionTimings>;
  readonly admission?: Partial<AdmissionLimits>;
  /** Ms since 1970; for the expiry of invites. */
  readonly now?: () => number;
}

export class PeerListener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #sessions = new Map<string, Session>();

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#admission = new Admission({ ...ADMISSION, ...options.admission });
    this.#server = createServer(tlsServerOptions(options.identity, ALPN_SESSION));
    this.#server.on('connection', (socket: Socket) => this.#admission.arrived(socket));
    this.#server.on('tlsClientError', (error, socket) => {
      this.#refused(socket, error);
      socket.destroy();
    });
    this.#server.on('secureConnection', (socket) => this.#secured(socket));
  }

  /** Port 0 picks one. Errors: `listen-failed`. */
  async listen(address: { host?: string; port: number }): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenFailed(address, error)));
      this.#server.listen(address, () => {
        this.#server.removeAllListeners('error');
        // accept(2) can fail later (no file descriptors left); the next one may succeed.
        this.#server.on('error', (error) => this.#options.onRefused?.('-', errorText(error)));
        resolve();
      });
    });
    return this.#server.address() as AddressInfo;
  }

  /** One per peer, by place id. */
  get sessions(): ReadonlyMap<string, Session> {
    return this.#sessions;
  }

  /** Connections that have not shown yet who they are. */
  get strangers(): number {
    return this.#admission.strangers;
  }

  /** The place is paired no more (`isPinned` says so already): its session ends at once. */
  revoke(id: string): void {
    void this.#sessions.get(id)?.close(this.#notPaired());
  }

  /** Ends all sessions, for both sides, and stops listening. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of [...this.#sessions.values()]) void session.close();
    this.#admission.close();
    await closed;
  }

  #secured(socket: TLSSocket): void {
    // Until a Connection takes over; its error is what closes it.
    socket.on('error', () => undefined);
    let peer: string;
    try {
      peer = peerIdOf(socket);
    } catch (error) {
      this.#refused(socket, error);
      socket.destroy();
      return;
    }
    const connection: Connection = new Connection(socket, {
      frame: (frame) => this.#hello(connection, peer, frame),
      drain: () => undefined,
      fault: (error) => {
        const reason = error instanceof FrameError ? protocolViolation(error.message) : error;
        this.#refused(socket, reason);
        void connection.goodbye(reason);
      },
      closed: () => undefined,
    });
  }

  #hello(connection: Connection, peer: string, frame: Frame): void {
    if (frame.type !== FrameType.hello) throw new FrameError('no HELLO');
    const hello = parsePeerJson(dialerHello, wholePayload(frame));
    connection.version = agreeOnVersion(SPOKEN, hello.versions);
    if (hello.intent === 'pair') void this.#pair(connection, peer, hello);
    else this.#session(connection, peer, hello);
  }

  #session(connection: Connection, peer: string, hello: DialerHello & { intent: 'session' }): void {
    if (!this.#options.isPinned(peer)) throw this.#notPaired();
    let session = this.#sessions.get(peer);
    if (session?.id === hello.session) {
      if (hello.attempt <= session.attempt) throw stale();
    } else {
      if (hello.resume) throw lost();
      session?.abandon(replaced());
      session = this.#newSession(peer, hello);
    }
    this.#admission.known(keyOf(connection.socket));
    session.place = hello.place;
    this.#answer(connection, session.received);
    session.attach(connection, hello.attempt, hello.received);
  }

  #newSession(peer: string, hello: DialerHello & { intent: 'session' }): Session {
    const session = new Session({
      peer,
      place: hello.place,
      side: 'listener',
      id: hello.session,
      timings: this.#options.timings,
    });
    this.#sessions.set(peer, session);
    session.once('closed', () => {
      if (this.#sessions.get(peer) === session) this.#sessions.delete(peer);
    });
    this.#options.onSession(session);
    return session;
  }

  /** Never rejects. */
  async #pair(
    connection: Connection,
    peer: string,
    hello: DialerHello & { intent: 'pair' },
  ): Promise<void> {
    // One HELLO is all a stranger may say.
    connection.handlers = {
      frame: () => connection.destroy(),
      drain: () => undefined,
      fault: () => connection.destroy(),
      closed: () => undefined,
    };
    try {
      const { invites, identity, isPinned, now = Date.now } = this.#options;
      if (invites === undefined) throw this.#notPaired();
      const device: PairedPlace = { id: peer, ...hello.place };
      await redeemInvite({
        store: invites,
        socket: connection.socket,
        siteId: identity.id,
        device,
        claim: hello,
        isPinned,
        now: now(),
      });
      this.#options.onPaired?.(device);
      this.#answer(connection, [0, 0]);
    } catch (error) {
      this.#refused(connection.socket, error);
      void connection.goodbye(error);
    }
  }

  #answer(connection: Connection, received: readonly [number, number]): void {
    const { place } = this.#options;
    connection.sendJson(FrameType.hello, { version: connection.version, place, received });
  }

  #notPaired(): SojournError {
    return notPaired({ name: this.#options.place.name, id: this.#options.identity.id });
  }

  #refused(socket: Socket, error: unknown): void {
    this.#options.onRefused?.(socket.remoteAddress ?? '-', errorText(error));
  }
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not use it',
};

function listenFailed(
  address: { host?: string; port: number },
  cause: NodeJS.ErrnoException,
): SojournError {
  const where = address.host === undefined ? '' : ` of ${address.host}`;
  const why = LISTEN_FAILURES[cause.code ?? ''] ?? cause.message;
  return new SojournError({
    kind: 'requirement',
    code: 'listen-failed',
    message: `Port ${address.port}${where} cannot be listened on: ${why}`,
    remedy: 'Choose another with --listen, or stop what uses this one',
    cause,
  });
}
