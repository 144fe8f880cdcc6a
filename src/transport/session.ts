/**
 * A standing session with one peer: channels and calls that outlive the TCP connections they run over.
 *
 *              attach                lost, dead
 *   (new) ----------------> connected ----------> resuming
 *                               ^                    |  |
 *                               +--------------------+  | resume window over; session unknown there
 *                                      attach           v
 *          GOODBYE either way, protocol broken ----> closed
 *
 * `suspect` is true while a connected peer owes an answer for longer than it should: it may be stopped,
 * or the network may stall. What is sent meanwhile waits; nothing is lost. A connection that stays
 * silent is given up (`resuming`), and one that comes back is told from one that ended for good
 * (`closed`), which is final.
 */

import { EventEmitter } from 'node:events';
import { asSojournError, fromWireError, type SojournError, wireError } from '../common/index.ts';
import type { Channel } from './channel.ts';
import { Channels } from './channels.ts';
import type { Connection } from './connection.ts';
import {
  type Frame,
  FrameError,
  FrameType,
  HEADER_BYTES,
  isNumbered,
  readU64,
  wholePayload,
} from './frame.ts';
import { Heartbeat } from './heartbeat.ts';
import type { PlaceInfo } from './hello.ts';
import { KEEPALIVE, type KeepalivePolicy } from './keepalive.ts';
import { laneOf } from './lane.ts';
import { type CallHandler, type CallOptions, type NotificationHandler, Rpc } from './rpc.ts';
import { expired, stopped } from './session-errors.ts';
import { type Received, Transmitter } from './transmitter.ts';
import { parsePeerJson, protocolViolation } from './violation.ts';

/**
 * A session that found no connection for this long is closed, ms. Long enough for a standby to outlive a train ride; a peer
 * that was restarted says so as soon as it is back, and nothing of it is waited for.
 */
export const RESUME_WINDOW_MS = 4 * 60 * 60 * 1000;
/** Bytes received after which an ACK goes out without being asked for. */
export const ACK_EVERY_BYTES = 64 * 1024;
/** An ACK that was not asked for waits this long, ms. */
const ACK_DELAY_MS = 25;

export type SessionState = 'connected' | 'resuming' | 'closed';

export interface SessionTimings {
  readonly keepalive: KeepalivePolicy;
  readonly resumeWindowMs: number;
}
export const TIMINGS: SessionTimings = { keepalive: KEEPALIVE, resumeWindowMs: RESUME_WINDOW_MS };

export interface SessionOptions {
  readonly peer: string;
  readonly place: PlaceInfo;
  readonly side: 'dialer' | 'listener';
  readonly id: string;
  readonly timings?: Partial<SessionTimings>;
  /** Steady clock, ms. */
  readonly clock?: () => number;
}

interface SessionEvents {
  state: [state: SessionState];
  /** The peer owes an answer for longer than it should, or has given it. */
  suspect: [suspect: boolean];
  /** A PING went out; `answered`, with the same number, when its answer comes. */
  asked: [ping: number];
  answered: [ping: number];
  /** The peer has so many bytes more; `waiting` are not acknowledged yet. */
  acknowledged: [bytes: number, waiting: number];
  closed: [reason: SojournError];
}

export class Session extends EventEmitter<SessionEvents> {
  /** Place id of the other side, proven by TLS. */
  readonly peer: string;
  readonly id: string;
  /** What the other side calls itself. */
  place: PlaceInfo;
  /** Resolves with the reason when the session is closed. Never rejects. */
  readonly closed: Promise<SojournError>;

  readonly #timings: SessionTimings;
  readonly #transmitter: Transmitter;
  readonly #channels: Channels;
  readonly #rpc: Rpc;
  readonly #heartbeat: Heartbeat;
  readonly #received: [number, number] = [0, 0];
  #state: SessionState = 'resuming';
  #connection: Connection | undefined;
  #attempt = 0;
  #unacked = 0;
  #ackTimer: NodeJS.Timeout | undefined;
  #resumeTimer: NodeJS.Timeout | undefined;
  #bytesReceived = 0;
  #reason: SojournError = stopped();
  #resolveClosed: (reason: SojournError) => void = () => undefined;

  constructor(options: SessionOptions) {
    super();
    this.peer = options.peer;
    this.id = options.id;
    this.place = options.place;
    this.#timings = { ...TIMINGS, ...options.timings };
    const clock = options.clock ?? (() => performance.now());
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#transmitter = new Transmitter(clock, () => this.#received);
    this.#channels = new Channels(options.side, this.#transmitter);
    this.#rpc = new Rpc(this.#channels.rpc, (error) => this.#fault(error));
    this.#heartbeat = new Heartbeat(this.#timings.keepalive, clock, {
      ping: (token, number) => {
        this.#transmitter.ping(token);
        this.emit('asked', number);
      },
      answered: (number) => this.emit('answered', number),
      busy: () => this.#busy,
      dead: () => this.lose(),
      suspect: (suspect) => this.emit('suspect', suspect),
      roundTrip: (ms) => this.#transmitter.roundTrip(ms),
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** The peer is connected and owes an answer for longer than it should. */
  get suspect(): boolean {
    return this.#heartbeat.suspect;
  }

  /** Since the last byte from the peer, ms. */
  get silentMs(): number {
    return this.#heartbeat.silentMs;
  }

  /** Smoothed, with what our own queues add; `undefined` until measured. */
  get rttMs(): number | undefined {
    return this.#heartbeat.rttMs;
  }

  /** Frames, repetitions included, TLS not. `kept` waits for acknowledgement. */
  get bytes(): { sent: number; received: number; kept: number } {
    const { bytes: sent, kept } = this.#transmitter;
    return { sent, received: this.#bytesReceived, kept };
  }

  /**
   * Opens a channel of a kind that the peer has a handler for; it may be written to at once. `meta` is
   * JSON of at most about 8 KB. `control` goes ahead of all bulk: for little data that somebody waits for.
   * Errors: `session-*`, `too-many-channels`, RangeError for too much `meta`.
   */
  openChannel(
    kind: string,
    meta: Record<string, unknown> = {},
    options: { priority?: 'control' | 'bulk' } = {},
  ): Channel {
    this.#requireOpen();
    const channel = this.#channels.open(kind, meta, options.priority ?? 'bulk');
    this.#heartbeat.hurry();
    return channel;
  }

  /** Channels of this kind that the peer opens. Validate `channel.meta`; it is the peer's. */
  onChannel(kind: string, handler: (channel: Channel) => void): void {
    this.#channels.handle(kind, handler);
  }

  /** See `Rpc.call` for the errors. */
  async call(method: string, params: unknown, options: CallOptions): Promise<unknown> {
    const answer = this.#rpc.call(method, params, options);
    this.#heartbeat.hurry();
    return answer;
  }

  notify(method: string, params: unknown): void {
    this.#rpc.notify(method, params);
  }

  handle(method: string, handler: CallHandler): void {
    this.#rpc.handle(method, handler);
  }

  onNotification(method: string, handler: NotificationHandler): void {
    this.#rpc.onNotification(method, handler);
  }

  /**
   * Ends the session for both sides, now: what is under way is dropped. Resolves when the peer has been
   * told, or cannot be told: before a process exits it should wait for that.
   */
  async close(reason: SojournError = stopped()): Promise<void> {
    if (this.#state === 'closed') return;
    // Calls made just before still get out ahead of the GOODBYE.
    this.#transmitter.flush();
    const told = this.#connection?.goodbye(reason);
    // It closes itself when the GOODBYE is out.
    this.#connection = undefined;
    this.#finish(reason);
    await told;
  }

  // What follows is for the dialer and the listener.

  /** Received so far of each lane, as HELLO says it. */
  get received(): Received {
    return [this.#received[0], this.#received[1]];
  }

  /** Number of the newest connection that was attached. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The newest authenticated connection takes over; an older one, dead or not, is dropped. */
  attach(connection: Connection, attempt: number, peerHas: Received): void {
    if (this.#state === 'closed') throw new Error('a closed session cannot be resumed');
    this.#detach();
    clearTimeout(this.#resumeTimer);
    this.#attempt = attempt;
    this.#connection = connection;
    connection.handlers = {
      frame: (frame) => this.#frame(frame),
      drain: () => this.#transmitter.flush(),
      fault: (error) => this.#fault(error),
      closed: () => this.lose(),
    };
    try {
      this.#transmitter.attach(connection, peerHas, this.#channels.live());
    } catch (error) {
      this.#fault(error);
      return;
    }
    this.#heartbeat.start();
    this.#setState('connected');
  }

  /** The connection is lost, or given up: waits for another, for a limited time. */
  lose(): void {
    if (this.#state !== 'connected') return;
    this.#detach();
    this.#resumeTimer = setTimeout(() => {
      this.#finish(expired(this.#timings.resumeWindowMs));
    }, this.#timings.resumeWindowMs);
    this.#setState('resuming');
  }

  #detach(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#transmitter.detach();
    this.#heartbeat.stop();
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#unacked = 0;
  }

  /** Closes without telling the peer, which knows, or cannot be told. */
  abandon(reason: SojournError): void {
    if (this.#state === 'closed') return;
    this.#connection?.destroy();
    this.#finish(reason);
  }

  get #busy(): boolean {
    return this.#transmitter.busy || this.#rpc.pending > 0;
  }

  #requireOpen(): void {
    if (this.#state === 'closed') throw this.#reason;
  }

  #fault(error: unknown): void {
    const reason = error instanceof FrameError ? protocolViolation(error.message, error) : error;
    void this.close(asSojournError(reason));
  }

  #finish(reason: SojournError): void {
    this.#detach();
    clearTimeout(this.#resumeTimer);
    this.#reason = reason;
    this.#state = 'closed';
    this.#rpc.close(reason);
    this.#channels.close(reason);
    this.#resolveClosed(reason);
    this.emit('state', 'closed');
    this.emit('closed', reason);
  }

  #setState(state: SessionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit('state', state);
  }

  #frame(frame: Frame): void {
    this.#heartbeat.heard();
    this.#bytesReceived += HEADER_BYTES + frame.length;
    if (isNumbered(frame.type)) {
      this.#numbered(frame);
      return;
    }
    switch (frame.type) {
      case FrameType.ack: {
        const bytes = wholePayload(frame);
        const { kept } = this.#transmitter;
        this.#transmitter.acknowledged([readU64(bytes, 0), readU64(bytes, 8)]);
        const waiting = this.#transmitter.kept;
        this.emit('acknowledged', Math.max(kept - waiting, 0), waiting);
        break;
      }
      case FrameType.window:
        this.#channels.get(frame.channel)?.allow(readU64(wholePayload(frame), 0));
        break;
      case FrameType.ping:
        this.#transmitter.pong(wholePayload(frame));
        break;
      case FrameType.pong:
        this.#heartbeat.pong(wholePayload(frame));
        break;
      case FrameType.goodbye:
        this.abandon(fromWireError(parsePeerJson(wireError, wholePayload(frame))));
        break;
      default:
        throw new FrameError('HELLO in the middle of a connection');
    }
  }

  #numbered(frame: Frame): void {
    const lane = laneOf(frame.channel);
    if (frame.offset !== this.#received[lane]) throw new FrameError('a gap in a lane');
    this.#received[lane] += HEADER_BYTES + frame.length;
    this.#unacked += HEADER_BYTES + frame.length;
    this.#channels.receive(frame);
    if (frame.ackNow || this.#unacked >= ACK_EVERY_BYTES) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ACK_DELAY_MS);
  }

  #acknowledge(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#unacked = 0;
    this.#transmitter.ack();
  }
}
