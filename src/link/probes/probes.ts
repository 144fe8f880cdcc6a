/**
 * RTT, loss, achievable rate and suspicion of a dead peer, for one place, from what others see of traffic that flows anyway: keepalives of
 * the tunnel, acknowledgements of a session. Pure: every observation brings its time, monotonic milliseconds.
 */

/** Smoothing of RFC 6298, 2. */
const RTT_GAIN = 1 / 8;
const VARIANCE_GAIN = 1 / 4;
/** Unanswered for the usual time and then some, but never later than this: suspicion. */
const SUSPECT_MS = 2000;
const SUSPECT_FLOOR_MS = 600;
/** An answer later than this is none. */
const LOST_MS = 4000;
const LOSS_WINDOW = 32;
/** Rates of shorter bursts say more about buffers than about the link. */
const BURST_MS = 100;
const RATE_SECONDS = 5;
/** A rate is forgotten after this time. */
const RATE_VALID_MS = 60_000;
const MAX_PENDING = 256;

export interface ProbeView {
  readonly rttMs: number | undefined;
  readonly rttDeviationMs: number | undefined;
  /** Share of the last questions without an answer, 0 to 1. */
  readonly loss: number;
  /** What got through while there was more to send than the link took. */
  readonly bytesPerSecond: number | undefined;
  /** Whether the peer has left something unanswered for longer than it ever should. */
  readonly suspect: boolean;
  /** When a probe of its own is due, because nothing has been asked for a while. */
  readonly probeInMs: number;
}

export interface ProbeOptions {
  /** Ask at least this often when nothing else does. Default 10 s. */
  readonly idleMs?: number;
}

export class PlaceProbes {
  readonly #idleMs: number;
  readonly #pending = new Map<number | string, number>();
  readonly #outcomes: boolean[] = [];
  #rtt: number | undefined;
  #deviation: number | undefined;
  #heardMs = Number.NEGATIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;
  #unansweredSinceMs: number | undefined;
  #rate: number | undefined;
  #rateMs = Number.NEGATIVE_INFINITY;
  #burst: { fromMs: number; bytes: number } | undefined;

  constructor(options: ProbeOptions = {}) {
    this.#idleMs = options.idleMs ?? 10_000;
  }

  /** Something was sent that will be answered. */
  asked(id: number | string, atMs: number): void {
    if (this.#pending.size >= MAX_PENDING) {
      const [oldest] = this.#pending.keys();
      if (oldest !== undefined) this.#settle(oldest, false);
    }
    this.#pending.set(id, atMs);
    this.#askedMs = atMs;
    this.#unansweredSinceMs ??= atMs;
  }

  answered(id: number | string, atMs: number): void {
    const askedMs = this.#pending.get(id);
    if (askedMs !== undefined) this.#settle(id, true);
    this.heard(atMs);
    if (askedMs === undefined) return;
    const rtt = Math.max(atMs - askedMs, 0);
    if (this.#rtt === undefined || this.#deviation === undefined) {
      this.#rtt = rtt;
      this.#deviation = rtt / 2;
    } else {
      this.#deviation += VARIANCE_GAIN * (Math.abs(this.#rtt - rtt) - this.#deviation);
      this.#rtt += RTT_GAIN * (rtt - this.#rtt);
    }
  }

  /** Anything at all came from the peer: it lives. */
  heard(atMs: number): void {
    this.#heardMs = Math.max(this.#heardMs, atMs);
    for (const [id, askedMs] of this.#pending)
      if (atMs - askedMs > LOST_MS) this.#settle(id, false);
    // What is still open begins to count anew.
    this.#unansweredSinceMs = this.#pending.size === 0 ? undefined : atMs;
  }

  /**
   * Bytes that the peer acknowledged. `limited`: more was waiting to be sent, so that the link set the rate; other traffic says only
   * that the link is at least as fast.
   */
  acknowledged(bytes: number, limited: boolean, atMs: number): void {
    this.heard(atMs);
    if (!limited) {
      this.#burst = undefined;
      return;
    }
    if (this.#burst === undefined) {
      this.#burst = { fromMs: atMs, bytes: 0 };
      return;
    }
    this.#burst.bytes += bytes;
    const ms = atMs - this.#burst.fromMs;
    if (ms < BURST_MS) return;
    const rate = (this.#burst.bytes * 1000) / ms;
    const share = 1 - Math.exp(-ms / 1000 / RATE_SECONDS);
    this.#rate = this.#rate === undefined ? rate : this.#rate + share * (rate - this.#rate);
    this.#rateMs = atMs;
    this.#burst = { fromMs: atMs, bytes: 0 };
  }

  /** The machine slept: what was unanswered then means nothing. */
  woke(): void {
    this.#pending.clear();
    this.#unansweredSinceMs = undefined;
    this.#burst = undefined;
  }

  view(atMs: number): ProbeView {
    const usual = this.#rtt === undefined ? SUSPECT_MS : this.#rtt + 4 * (this.#deviation ?? 0);
    const limit = Math.min(Math.max(usual, SUSPECT_FLOOR_MS), SUSPECT_MS);
    const waiting = this.#unansweredSinceMs === undefined ? 0 : atMs - this.#unansweredSinceMs;
    const lost = this.#outcomes.filter((ok) => !ok).length;
    return {
      rttMs: this.#rtt,
      rttDeviationMs: this.#deviation,
      loss: this.#outcomes.length === 0 ? 0 : lost / this.#outcomes.length,
      bytesPerSecond: atMs - this.#rateMs > RATE_VALID_MS ? undefined : this.#rate,
      suspect: waiting >= limit,
      probeInMs: Math.max(Math.max(this.#askedMs, this.#heardMs) + this.#idleMs - atMs, 0),
    };
  }

  #settle(id: number | string, ok: boolean): void {
    this.#pending.delete(id);
    this.#outcomes.push(ok);
    if (this.#outcomes.length > LOSS_WINDOW) this.#outcomes.shift();
  }
}
