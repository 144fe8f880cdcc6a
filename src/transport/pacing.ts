/**
 * How fast bulk is sent, and how much of it may be in flight. What the kernel and the routers have queued
 * goes out ahead of everything: on a 5 Mbit/s uplink a full socket buffer would make a control frame wait
 * for seconds, and a full router drops packets of the guest, whose tunnel shares the link. So bulk goes out
 * at the rate that the path was seen to deliver, a little more while nothing queues and less as soon as
 * something does: rate samples after draft-cheng-iccrg-delivery-rate-estimation, 3, queues seen by round
 * trips as in RFC 6817. TCP below still does the congestion control. Pure: time is an argument, in ms;
 * rates are bytes per ms.
 *
 *   startup (window grows each round) --- no faster, or a queue ---> drain --- queue gone ---> cruise
 */

/** Before anything is known, and never less; bytes. Queued at 1 Mbit/s: a quarter of a second. */
export const MIN_IN_FLIGHT = 32 * 1024;
/** Also the cap of the replay buffer, bytes. */
export const MAX_IN_FLIGHT = 8 * 1024 * 1024;
/** In flight beyond a round trip's worth, as acknowledgements come in batches: part of it, and ms. */
const SLACK_PART = 1.15;
const SLACK_MS = 15;
/** So much goes out whatever the measured rate: after a stall it would take for ever to grow again; bytes. */
const LEAST_IN_FLIGHT = 16 * 1024;
/** A late timer may make up for so much, ms of sending. */
const BURST_MS = 5;
/** The shortest round trip counts for this long, ms, then that of the time since. */
const RTT_MEMORY_MS = 10_000;
/** The shortest round trip became so many times longer: the packets go another way. */
const OTHER_PATH = 1.5;
/** Part of the window that goes on top of it in each round of the startup. */
const STARTUP_GAIN = 1.6;
const DRAIN_GAIN = 0.5;
/** Cruising, for a round trip at a time: more while nothing queues, less as soon as something does. */
const PROBE_GAIN = 1.06;
const YIELD_GAIN = 0.85;
/** The path became faster when nothing queued for so many phases. */
const CLEAN_PHASES = 6;
const FAST_PROBE_GAIN = 1.25;
/** A queue that is still there after so many round trips of yielding is somebody else's. */
const FOREIGN_QUEUE_PHASES = 16;
const SHORTEST_PHASE_MS = 10;
/** A rate sample of the cruise takes at least so many round trips, and ms. */
const SAMPLE_ROUNDS = 2;
const SAMPLE_MS = 100;
/** New samples count so much. */
const SAMPLE_WEIGHT = 0.5;
/** The path is full when it did not get this much faster in so many rounds. */
const GROWTH = 1.25;
const FULL_ROUNDS = 3;
/** Something queues when all round trips of a phase are so much longer than the shortest: a part of it, and ms. */
const QUEUE_PART = 1.1;
const QUEUE_MS = 5;
/**
 * Every so often the limit falls for a moment below what the path itself carries, so that the queue we
 * made ourselves drains and the shortest round trip is measured without it; ms, and part of rate * RTT.
 */
const DRAIN_EVERY_MS = 5_000;
const DRAINED = 0.75;

/** What a frame remembers of the moment it was sent. */
export interface SendStamp {
  readonly at: number;
  /** Bytes delivered until then, and since when it was so many. */
  readonly delivered: number;
  readonly deliveredAt: number;
  /** There was nothing more to send: what is measured is the sender, not the path. */
  readonly starved: boolean;
}

/** Least value of the last one to two periods. */
class Least {
  #current = Number.POSITIVE_INFINITY;
  #previous = Number.POSITIVE_INFINITY;
  #since = 0;
  readonly #periodMs: number;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  add(value: number, now: number): void {
    if (now - this.#since > this.#periodMs) {
      this.#previous = this.#current;
      this.#current = Number.POSITIVE_INFINITY;
      this.#since = now;
    }
    this.#current = Math.min(this.#current, value);
  }

  get value(): number | undefined {
    const least = Math.min(this.#current, this.#previous);
    return least === Number.POSITIVE_INFINITY ? undefined : least;
  }
}

export class Pacing {
  readonly #rtt = new Least(RTT_MEMORY_MS);
  #rate: number | undefined;
  #state: 'startup' | 'drain' | 'cruise' = 'startup';
  #delivered = 0;
  #deliveredAt: number;
  #inFlight = 0;
  /** What was in flight when the sender had nothing more; until it is delivered, samples are of the sender. */
  #starvedUntil = 0;
  /** The sample under way: where it began, and what happened in it. */
  #sample: { at: number; delivered: number; starved: boolean; queued: boolean };
  #pathRtt = Number.POSITIVE_INFINITY;
  #roundEnd = 0;
  #bestRate = 0;
  #roundsWithoutGrowth = 0;
  #phaseSince = 0;
  /** Shortest round trip of this phase. */
  #phaseRtt = Number.POSITIVE_INFINITY;
  /** Phases one after the other in which something queued, or in which nothing did. */
  #queuedPhases = 0;
  #cleanPhases = 0;
  #credit = 0;
  #creditAt: number;
  #emptyFrom: number;

  constructor(now: number) {
    this.#deliveredAt = now;
    this.#sample = { at: now, delivered: 0, starved: false, queued: false };
    this.#creditAt = now;
    this.#emptyFrom = now + DRAIN_EVERY_MS;
  }

  /** `bytes` are sent now; the stamp comes back with their acknowledgement. */
  sent(bytes: number, now: number): SendStamp {
    if (this.#inFlight === 0) {
      this.#deliveredAt = now;
      this.#startSample(now);
    }
    this.#refill(now);
    this.#credit -= bytes;
    this.#inFlight += bytes;
    return {
      at: now,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      starved: this.#starvedUntil > 0,
    };
  }

  /** There is nothing more to send, though more could be. */
  starved(): void {
    this.#starvedUntil = this.#delivered + this.#inFlight;
  }

  /** `bytes` were acknowledged, `newest` is the stamp of the last frame of them. */
  acknowledged(bytes: number, newest: SendStamp, now: number): void {
    this.#refill(now);
    this.#delivered += bytes;
    this.#inFlight = Math.max(0, this.#inFlight - bytes);
    this.#deliveredAt = now;
    if (this.#delivered > this.#starvedUntil) this.#starvedUntil = 0;
    this.#rtt.add(Math.max(now - newest.at, 0.05), now);
    this.#step(newest, bytes, now);
  }

  /** A PING was answered. */
  roundTrip(elapsedMs: number, now: number): void {
    this.#rtt.add(Math.max(elapsedMs, 0.05), now);
  }

  /** Bytes per ms, and ms; `undefined` until measured. */
  get rate(): number | undefined {
    return this.#rate;
  }

  get shortestRttMs(): number | undefined {
    return this.#rtt.value;
  }

  /** Bytes of bulk that may be in flight now. */
  limit(now: number): number {
    const rate = this.#rate;
    const rtt = this.#rtt.value;
    if (rate === undefined || rtt === undefined) return MIN_IN_FLIGHT;
    if (this.#emptying(now, rtt)) return Math.max(MIN_IN_FLIGHT / 2, rate * rtt * DRAINED);
    const gain = this.#state === 'startup' ? STARTUP_GAIN : SLACK_PART;
    return Math.min(MAX_IN_FLIGHT, Math.max(MIN_IN_FLIGHT, rate * (gain * rtt + SLACK_MS)));
  }

  /** How long to wait until the next frame is due, ms; 0: now. What `limit` says counts as well. */
  waitMs(now: number): number {
    this.#refill(now);
    // In the startup the window alone decides, and acknowledgements set the pace.
    if (this.#rate === undefined || this.#state === 'startup') return 0;
    if (this.#credit > 0 || this.#inFlight < LEAST_IN_FLIGHT) return 0;
    return Math.max(-this.#credit / (this.#rate * this.#gain()), 0.1);
  }

  #refill(now: number): void {
    const rate = (this.#rate ?? 0) * this.#gain();
    const passed = Math.max(0, now - this.#creditAt);
    this.#credit = Math.min(this.#credit + rate * passed, rate * BURST_MS + 1);
    this.#creditAt = now;
  }

  #gain(): number {
    if (this.#state === 'startup') return STARTUP_GAIN;
    if (this.#state === 'drain') return DRAIN_GAIN;
    if (this.#cleanPhases > CLEAN_PHASES) return FAST_PROBE_GAIN;
    if (this.#cleanPhases > 0 || this.#queuedPhases > FOREIGN_QUEUE_PHASES) return PROBE_GAIN;
    return YIELD_GAIN;
  }

  #step(newest: SendStamp, bytes: number, now: number): void {
    const roundTrip = Math.max(now - newest.at, 0.05);
    const rtt = this.#rtt.value ?? roundTrip;
    if (rtt > this.#pathRtt * OTHER_PATH) this.#restart();
    this.#pathRtt = rtt;
    this.#phaseRtt = Math.min(this.#phaseRtt, roundTrip);
    if (now - this.#phaseSince >= Math.max(rtt, SHORTEST_PHASE_MS)) this.#endPhase(rtt, now);
    if (this.#state === 'startup') this.#grow(newest, bytes, now);
    else this.#follow(newest, rtt, now);
    if (this.#state === 'drain' && this.#inFlight <= (this.#rate ?? 0) * rtt) {
      this.#state = 'cruise';
      this.#startSample(now);
    }
  }

  #endPhase(rtt: number, now: number): void {
    // The shortest round trip may have been that of a PING; frames take time to send, which is no queue.
    const alone = MIN_IN_FLIGHT / Math.max(this.#rate ?? 0, 0.001);
    const queued = this.#phaseRtt > rtt * QUEUE_PART + QUEUE_MS + alone;
    this.#queuedPhases = queued ? this.#queuedPhases + 1 : 0;
    this.#cleanPhases = queued ? 0 : this.#cleanPhases + 1;
    if (queued) this.#sample.queued = true;
    this.#phaseSince = now;
    this.#phaseRtt = Number.POSITIVE_INFINITY;
  }

  /** Startup: the best of all samples, until it grows no more. */
  #grow(newest: SendStamp, bytes: number, now: number): void {
    const interval = Math.max(now - newest.deliveredAt, 0.05);
    this.#rate = Math.max(this.#rate ?? 0, (this.#delivered - newest.delivered) / interval);
    if (this.#queuedPhases < 2) {
      if (newest.delivered < this.#roundEnd) return;
      this.#roundEnd = this.#delivered;
      if (this.#rate >= this.#bestRate * GROWTH) {
        this.#bestRate = this.#rate;
        this.#roundsWithoutGrowth = 0;
      } else if (!newest.starved) this.#roundsWithoutGrowth += 1;
      if (this.#roundsWithoutGrowth < FULL_ROUNDS) return;
    }
    this.#state = 'drain';
    // Little's law; the best sample may have been a hole that TCP had just filled.
    this.#rate = Math.min(this.#rate, (this.#inFlight + bytes) / Math.max(now - newest.at, 0.05));
  }

  /**
   * Drain and cruise: what was delivered while something queued is what the path carries; while nothing
   * queues it is only what we sent, and the path may carry more.
   */
  #follow(newest: SendStamp, rtt: number, now: number): void {
    const sample = this.#sample;
    if (newest.starved) sample.starved = true;
    const elapsed = now - sample.at;
    if (elapsed < Math.max(rtt * SAMPLE_ROUNDS, SAMPLE_MS)) return;
    const before = this.#rate ?? 0;
    const seen = Math.min((this.#delivered - sample.delivered) / elapsed, before * GROWTH);
    const counts = seen > before || (sample.queued && !sample.starved);
    if (counts) this.#rate = before + SAMPLE_WEIGHT * (seen - before);
    this.#startSample(now);
  }

  #startSample(now: number): void {
    this.#sample = { at: now, delivered: this.#delivered, starved: false, queued: false };
  }

  /** What was taken for a queue is a longer path; nothing is known of it. */
  #restart(): void {
    this.#state = 'startup';
    this.#rate = undefined;
    this.#bestRate = 0;
    this.#roundsWithoutGrowth = 0;
    this.#queuedPhases = 0;
  }

  #emptying(now: number, rtt: number): boolean {
    if (now < this.#emptyFrom) return false;
    // The queue drains in the first half, and is measured empty in the second.
    if (now < this.#emptyFrom + 3 * rtt + 10) return true;
    this.#emptyFrom = now + DRAIN_EVERY_MS;
    return false;
  }
}
