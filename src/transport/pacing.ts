/**
 * How many bytes of bulk may be in flight. What the kernel and the routers have queued goes out ahead
 * of everything: on a 5 Mbit/s uplink a full socket buffer would make a control frame wait for
 * seconds. So bulk is kept at what the path carries in one and a half round trips plus a little, from the measured
 * rate of acknowledgement and the shortest round trip (after BBR, draft-cardwell-iccrg-bbr-congestion-
 * control, 4.1; TCP below still does the congestion control). Pure: time is an argument, in ms.
 */

/** Before anything is known, and never less; bytes. Queued at 1 Mbit/s: a quarter of a second. */
export const MIN_IN_FLIGHT = 32 * 1024;
/** Also the cap of the replay buffer, bytes. */
export const MAX_IN_FLIGHT = 8 * 1024 * 1024;
/**
 * In flight, in round trips of what the path carries. BBR has two; that fills a router that holds one round trip's worth,
 * and then it drops packets of the guest, whose tunnel shares the link. Less starves where round trips vary, on a busy machine.
 */
const ROUND_TRIPS = 1.5;
/** Slack for acknowledgements that come in batches from a busy event loop, ms. */
const SLACK_MS = 8;
/** A rate counts for this long, ms: when a path gets slower the limit follows. */
const RATE_MEMORY_MS = 2_000;
/** The shortest round trip counts for this long, ms, then that of the time since. */
const RTT_MEMORY_MS = 10_000;
/**
 * Every so often the limit falls for a moment below what the path itself carries, so that the queue we
 * made ourselves drains and the shortest round trip is measured without it; ms, and part of rate * RTT.
 */
const DRAIN_EVERY_MS = 5_000;
const DRAINED = 0.75;

/** Extreme value of the last one to two periods. */
class Extreme {
  #current: number | undefined;
  #previous: number | undefined;
  #since = 0;
  readonly #periodMs: number;
  readonly #pick: (a: number, b: number) => number;

  constructor(periodMs: number, pick: (a: number, b: number) => number) {
    this.#periodMs = periodMs;
    this.#pick = pick;
  }

  add(value: number, now: number): void {
    if (now - this.#since > this.#periodMs) {
      this.#previous = this.#current;
      this.#current = undefined;
      this.#since = now;
    }
    this.#current = this.#current === undefined ? value : this.#pick(this.#current, value);
  }

  get value(): number | undefined {
    if (this.#current === undefined) return this.#previous;
    if (this.#previous === undefined) return this.#current;
    return this.#pick(this.#current, this.#previous);
  }
}

export class Pacing {
  readonly #rate = new Extreme(RATE_MEMORY_MS, Math.max);
  readonly #rtt = new Extreme(RTT_MEMORY_MS, Math.min);
  #drainFrom = 0;

  constructor(now: number) {
    this.#drainFrom = now + DRAIN_EVERY_MS;
  }

  /**
   * `bytes` were acknowledged since the newest frame of this acknowledgement was sent, `elapsedMs` ago;
   * the time also is a sample of the round trip.
   */
  acknowledged(bytes: number, elapsedMs: number, now: number): void {
    const elapsed = Math.max(elapsedMs, 0.05);
    this.#rtt.add(elapsed, now);
    this.#rate.add(bytes / elapsed, now);
  }

  /** A PING was answered. */
  roundTrip(elapsedMs: number, now: number): void {
    this.#rtt.add(Math.max(elapsedMs, 0.05), now);
  }

  /** Bytes per ms, and ms; `undefined` until measured. */
  get rate(): number | undefined {
    return this.#rate.value;
  }

  get shortestRttMs(): number | undefined {
    return this.#rtt.value;
  }

  /** Bytes of bulk that may be in flight now. */
  limit(now: number): number {
    const rate = this.#rate.value;
    const rtt = this.#rtt.value;
    if (rate === undefined || rtt === undefined) return MIN_IN_FLIGHT;
    if (this.#draining(now, rtt)) return Math.max(MIN_IN_FLIGHT / 2, rate * rtt * DRAINED);
    return Math.min(MAX_IN_FLIGHT, Math.max(MIN_IN_FLIGHT, rate * (ROUND_TRIPS * rtt + SLACK_MS)));
  }

  #draining(now: number, rtt: number): boolean {
    if (now < this.#drainFrom) return false;
    // The queue drains in the first half, and is measured empty in the second.
    if (now < this.#drainFrom + 3 * rtt + SLACK_MS) return true;
    this.#drainFrom = now + DRAIN_EVERY_MS;
    return false;
  }
}
