/** Runs the keepalive of one connection: timers and PING tokens around the decisions of keepalive.ts. */
import { encodeU64s } from './frame.ts';
import {
  type KeepalivePolicy,
  type KeepaliveState,
  keepaliveHeard,
  keepaliveStart,
  keepaliveStep,
} from './keepalive.ts';

/** Weight of a new round trip in the smoothed one (RFC 6298, 2: alpha = 1/8). */
const RTT_GAIN = 1 / 8;

export interface HeartbeatHost {
  ping(token: Buffer, number: number): void;
  /** The answer to the PING of this number has come. */
  answered(number: number): void;
  /** Something is under way: an answer is awaited, or bytes are. */
  busy(): boolean;
  dead(): void;
  suspect(suspect: boolean): void;
  roundTrip(ms: number): void;
}

export class Heartbeat {
  readonly #policy: KeepalivePolicy;
  readonly #clock: () => number;
  readonly #host: HeartbeatHost;
  #state: KeepaliveState;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #wasBusy = false;
  #suspect = false;
  #pings = 0;
  #pingedAt: number | undefined;
  #rtt: number | undefined;

  constructor(policy: KeepalivePolicy, clock: () => number, host: HeartbeatHost) {
    this.#policy = policy;
    this.#clock = clock;
    this.#host = host;
    this.#state = keepaliveStart(clock());
  }

  get suspect(): boolean {
    return this.#suspect;
  }

  get silentMs(): number {
    return this.#clock() - this.#state.heardAt;
  }

  get rttMs(): number | undefined {
    return this.#rtt;
  }

  /** A new connection; the first PING goes out at once, to measure it. */
  start(): void {
    this.#state = keepaliveStart(this.#clock());
    this.#running = true;
    this.#rtt = undefined;
    this.#ping();
    this.#step();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#setSuspect(false);
  }

  /** Any bytes from the peer. */
  heard(): void {
    this.#state = keepaliveHeard(this.#state, this.#clock());
    if (this.#suspect) this.#setSuspect(false);
  }

  pong(token: Buffer): void {
    if (this.#pingedAt === undefined || !token.equals(encodeU64s(this.#pings))) return;
    const ms = this.#clock() - this.#pingedAt;
    this.#pingedAt = undefined;
    this.#rtt = this.#rtt === undefined ? ms : this.#rtt + RTT_GAIN * (ms - this.#rtt);
    this.#host.roundTrip(ms);
    this.#host.answered(this.#pings);
  }

  /** Somebody begins to wait for the peer: do not sleep through the idle interval. */
  hurry(): void {
    if (this.#running && !this.#wasBusy) this.#step();
  }

  #step(): void {
    clearTimeout(this.#timer);
    const now = this.#clock();
    this.#wasBusy = this.#host.busy();
    const { state, action, suspect, nextAt } = keepaliveStep(
      this.#policy,
      this.#state,
      now,
      this.#wasBusy,
    );
    this.#state = state;
    if (action === 'dead') {
      this.#host.dead();
      return;
    }
    if (action === 'ping') this.#ping();
    this.#setSuspect(suspect);
    this.#timer = setTimeout(() => this.#step(), Math.max(1, nextAt - now));
  }

  #ping(): void {
    this.#pings += 1;
    this.#pingedAt = this.#clock();
    this.#host.ping(encodeU64s(this.#pings), this.#pings);
  }

  #setSuspect(suspect: boolean): void {
    if (this.#suspect === suspect) return;
    this.#suspect = suspect;
    this.#host.suspect(suspect);
  }
}
