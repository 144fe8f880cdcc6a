/**
 * The OpenFlow side of a switch: connections to controllers and from tools, their roles, the events they are told, and
 * what happens when no controller is there.
 */
import type { Socket } from 'node:net';
import { SojournError } from '../../common/index.ts';
import {
  type Clock,
  type Envelope,
  formatMessage,
  KEEPALIVE,
  type KeepalivePolicy,
  type RoleClaim,
  steadyClock,
} from '../../openflow/index.ts';
import type { OpenFlowDatapath } from '../openflow-api.ts';
import { Dialer, type TlsFiles } from './dialer.ts';
import { LearningSwitch } from './learning.ts';
import { Listener } from './listener.ts';
import { claimRole, type Election } from './roles.ts';
import { Session, type SessionHost } from './session.ts';
import { type ControllerTarget, formatTarget, type ListenTarget } from './target.ts';

/** Without any controller for so long, a switch in standalone mode goes on by itself. */
const STANDALONE_AFTER_MS = 15_000;
const LONGEST_TIMER_MS = 60_000;

export type FailMode = 'secure' | 'standalone';

export type EndpointEvent =
  | { readonly type: 'connected' | 'connecting'; readonly peer: string }
  | { readonly type: 'lost'; readonly peer: string; readonly reason: SojournError }
  | {
      readonly type: 'unreachable';
      readonly peer: string;
      readonly reason: SojournError;
      readonly retryInMs: number;
    }
  | { readonly type: 'refused'; readonly peer: string; readonly text: string }
  | { readonly type: 'standalone'; readonly active: boolean };

export interface EndpointOptions {
  readonly datapath: OpenFlowDatapath;
  readonly controllers?: readonly ControllerTarget[];
  /** Secure when left out: flows stay as they are. */
  readonly failMode?: FailMode;
  /** Needed for `ssl` and `pssl`. */
  readonly tls?: TlsFiles;
  readonly clock?: Clock;
  readonly keepalive?: KeepalivePolicy;
  readonly standaloneAfterMs?: number;
  readonly onEvent?: (event: EndpointEvent) => void;
}

export class OpenFlowEndpoint {
  readonly #options: EndpointOptions;
  readonly #clock: Clock;
  readonly #host: SessionHost;
  readonly #sessions = new Set<Session>();
  /** Sessions with controllers that were dialled. */
  readonly #controllers = new Map<Session, Dialer>();
  readonly #dialers: Dialer[];
  readonly #listeners: Listener[] = [];
  readonly #learning: LearningSwitch;
  readonly #stopListening: () => void;
  #election: Election = {};
  #stopExpiry = () => {};
  #stopWaiting = () => {};
  #closed = false;

  constructor(options: EndpointOptions) {
    const { datapath, clock = steadyClock, keepalive = KEEPALIVE, controllers = [] } = options;
    this.#options = options;
    this.#clock = clock;
    this.#learning = new LearningSwitch(datapath, () => this.#expire());
    this.#host = {
      datapath,
      clock,
      keepalive,
      claim: (session, claim) => this.#claim(session, claim),
      flowsChanged: () => this.#expire(),
      ready: (session) => this.#ready(session),
      closed: (session, reason) => this.#lost(session, reason),
      refused: (session, envelope) => this.#refused(session, envelope),
    };
    this.#stopListening = datapath.listen({
      packetIn: (event) => {
        for (const session of this.#sessions) session.packetIn(event);
        this.#learning.packetIn(event);
      },
      portStatus: (message) => {
        for (const session of this.#sessions) session.portStatus(message);
      },
      flowRemoved: (message) => {
        for (const session of this.#sessions) session.flowRemoved(message);
      },
    });
    this.#dialers = controllers.map((target) => this.#dialer(target));
    this.#alone();
    this.#expire();
  }

  /** @throws SojournError `openflow-listen`, `openflow-tls`. */
  async listen(target: ListenTarget): Promise<void> {
    if (target.type === 'pssl') requireTls(this.#options.tls);
    const peer = formatTarget(target);
    const connected = (socket: Socket) => this.#attach(socket, peer, true);
    this.#listeners.push(await Listener.open(target, this.#options.tls, connected));
  }

  /** Ends connections and listeners; the flows stay. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopExpiry();
    this.#stopWaiting();
    this.#stopListening();
    for (const dialer of this.#dialers) dialer.close();
    for (const session of [...this.#sessions]) session.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  #dialer(target: ControllerTarget): Dialer {
    if (target.type === 'ssl') requireTls(this.#options.tls);
    const peer = formatTarget(target);
    const dialer: Dialer = new Dialer({
      target,
      ...(this.#options.tls !== undefined && { tls: this.#options.tls }),
      clock: this.#clock,
      connected: (socket) => {
        this.#tell({ type: 'connecting', peer });
        this.#controllers.set(this.#attach(socket, peer, false), dialer);
      },
      failed: (reason, retryInMs) => this.#tell({ type: 'unreachable', peer, reason, retryInMs }),
    });
    return dialer;
  }

  #attach(socket: Socket, peer: string, tool: boolean): Session {
    const session = new Session(this.#host, socket, peer, tool);
    this.#sessions.add(session);
    return session;
  }

  #ready(session: Session): void {
    this.#tell({ type: 'connected', peer: session.peer });
    const dialer = this.#controllers.get(session);
    if (dialer === undefined) return;
    dialer.succeeded();
    this.#stopWaiting();
    if (!this.#learning.active) return;
    this.#learning.stop();
    this.#tell({ type: 'standalone', active: false });
  }

  #lost(session: Session, reason: SojournError): void {
    this.#sessions.delete(session);
    this.#tell({ type: 'lost', peer: session.peer, reason });
    const dialer = this.#controllers.get(session);
    if (dialer === undefined) return;
    this.#controllers.delete(session);
    dialer.lost(reason);
    this.#alone();
  }

  /** Waits for a controller; at once alone when none is configured. */
  #alone(): void {
    const { failMode = 'secure', standaloneAfterMs = STANDALONE_AFTER_MS } = this.#options;
    if (failMode !== 'standalone' || this.#closed || this.#learning.active) return;
    if ([...this.#controllers.keys()].some(({ isReady }) => isReady)) return;
    const begin = () => {
      this.#learning.start();
      this.#tell({ type: 'standalone', active: true });
    };
    this.#stopWaiting();
    if (this.#dialers.length === 0) begin();
    else this.#stopWaiting = this.#clock.after(standaloneAfterMs, begin);
  }

  #claim(session: Session, claim: RoleClaim): Election {
    const { election, role, deposes } = claimRole(this.#election, session.role, claim);
    if (deposes)
      for (const other of this.#sessions) if (other.role === 'master') other.role = 'slave';
    session.role = role;
    this.#election = election;
    return election;
  }

  #expire(): void {
    this.#stopExpiry();
    if (this.#closed) return;
    const now = this.#clock.now();
    const next = this.#host.datapath.expire(now);
    if (next === undefined) return;
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(1, next - now));
    this.#stopExpiry = this.#clock.after(wait, () => this.#expire());
  }

  #refused(session: Session, envelope: Envelope): void {
    this.#tell({ type: 'refused', peer: session.peer, text: formatMessage(envelope) });
  }

  #tell(event: EndpointEvent): void {
    this.#options.onEvent?.(event);
  }
}

function requireTls(tls: TlsFiles | undefined): void {
  if (tls !== undefined) return;
  throw new SojournError({
    kind: 'usage',
    code: 'openflow-tls',
    message: 'TLS needs a private key, a certificate and the certificate of the authority',
    remedy: 'Give --private-key, --certificate and --ca-cert, or use tcp',
  });
}
