/**
 * How fast bulk is sent, and how much of it may be in flight. What the kernel and the routers have queued
 * goes out ahead of everything: on a 5 Mbit/s uplink a full socket buffer would make a control frame wait
 * for seconds, and a full router drops packets of the guest, whose tunnel shares the link. So bulk goes out
 * at the rate that the path was seen to deliver, after BBR (draft-cardwell-iccrg-bbr-congestion-control,
 * 4.1 - 4.3) with the rate samples of draft-cheng-iccrg-delivery-rate-estimation, 3; TCP below still does
 * the congestion control. Pure: time is an argument, in ms; rates are bytes per ms.
 *
 *   startup (rate grows each round) --- no faster, or a queue ---> drain --- queue gone ---> cruise
 */

/** Before anything is known, and never less; bytes. Queued at 1 Mbit/s: a quarter of a second. */
export const MIN_IN_FLIGHT = 32 * 1024;
/** Also the cap of the replay buffer, bytes. */
export const MAX_IN_FLIGHT = 8 * 1024 * 1024;
/** Acknowledgements come up to so late, in batches and from a busy event loop, ms. */
const SLACK_MS = 12;
/** So much goes out whatever the measured rate: after a stall it would take for ever to grow again; bytes. */
const LEAST_IN_FLIGHT = 16 * 1024;
/** A late timer may make up for so much, ms of sending. */
const BURST_MS = 5;
/** A rate counts for one to two such periods, ms: when a path gets slower the rate follows. */
const RATE_MEMORY_MS = 2_000;
/** The shortest round trip counts for this long, ms, then that of the time since. */
const RTT_MEMORY_MS = 10_000;
/** The shortest round trip became so many times longer: the packets go another way. */
const OTHER_PATH = 1.5;
const STARTUP_GAIN = 1.6;
const DRAIN_GAIN = 0.5;
/** Cruising, for a round trip at a time: more while nothing queues, less as soon as something does. */
const PROBE_GAIN = 1.08;
const YIELD_GAIN = 0.85;
/** The path became faster when nothing queued for so many phases. */
const CLEAN_PHASES = 6;
const FAST_PROBE_GAIN = 1.25;
/** A queue that is still there after so many round trips of yielding is somebody else's. */
const FOREIGN_QUEUE_PHASES = 16;
const SHORTEST_PHASE_MS = 10;
/** A rate sample after the startup takes at least this long. */
const WINDOW_MS = 50;
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
  /** When the frame was sent whose acknowledgement came last before. */
  readonly firstSentAt: number;
  /** There was nothing more to send: what is measured is the sender, not the path. */
  readonly starved: boolean;
}

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
  #state: 'startup' | 'drain' | 'cruise' = 'startup';
  #delivered = 0;
  #deliveredAt: number;
  #firstSentAt: number;
  /** Where the rate sample under way began. */
  #window: { at: number; delivered: number };
  /** What was in flight when the sender had nothing more; until it is delivered, samples are of the sender. */
  #starvedUntil = 0;
  #inFlight = 0;
  #roundEnd = 0;
  #bestRate = 0;
  #roundsWithoutGrowth = 0;
  #pathRtt = Number.POSITIVE_INFINITY;
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
    this.#firstSentAt = now;
    this.#window = { at: now, delivered: 0 };
    this.#creditAt = now;
    this.#emptyFrom = now + DRAIN_EVERY_MS;
  }

  /** `bytes` are sent now; the stamp comes back with their acknowledgement. */
  sent(bytes: number, now: number): SendStamp {
    if (this.#inFlight === 0) {
      this.#deliveredAt = now;
      this.#firstSentAt = now;
      this.#window = { at: now, delivered: this.#delivered };
    }
    this.#refill(now);
    this.#credit -= bytes;
    this.#inFlight += bytes;
    return {
      at: now,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      firstSentAt: this.#firstSentAt,
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
    this.#firstSentAt = newest.at;
    if (this.#delivered > this.#starvedUntil) this.#starvedUntil = 0;
    const roundTrip = Math.max(now - newest.at, 0.05);
    this.#rtt.add(roundTrip, now);
    const interval = Math.max(newest.at - newest.firstSentAt, now - newest.deliveredAt, 0.05);
    const rate = (this.#delivered - newest.delivered) / interval;
    if (this.#state === 'startup') this.#sample(rate, newest.starved, now);
    else this.#sampleWindow(newest.starved, now);
    this.#step(newest, roundTrip, now);
  }

  #sample(rate: number, starved: boolean, now: number): void {
    if (!starved || rate > (this.#rate.value ?? 0)) this.#rate.add(rate, now);
  }

  /** The best of many short samples would be mostly the jitter of their clocks. */
  #sampleWindow(starved: boolean, now: number): void {
    const since = now - this.#window.at;
    if (since < Math.max(this.#rtt.value ?? 0, WINDOW_MS)) return;
    this.#sample((this.#delivered - this.#window.delivered) / since, starved, now);
    this.#window = { at: now, delivered: this.#delivered };
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
    if (this.#emptying(now, rtt)) return Math.max(MIN_IN_FLIGHT / 2, rate * rtt * DRAINED);
    const gain = this.#state === 'startup' ? STARTUP_GAIN : QUEUE_PART;
    return Math.min(MAX_IN_FLIGHT, Math.max(MIN_IN_FLIGHT, rate * (gain * rtt + SLACK_MS)));
  }

  /** How long to wait until the next frame is due, ms; 0: now. What `limit` says counts as well. */
  waitMs(now: number): number {
    this.#refill(now);
    const rate = this.#rate.value;
    if (rate === undefined || this.#credit > 0 || this.#inFlight < LEAST_IN_FLIGHT) return 0;
    return -this.#credit / (rate * this.#gain());
  }

  #refill(now: number): void {
    const rate = (this.#rate.value ?? 0) * this.#gain();
    this.#credit = Math.min(this.#credit + rate * (now - this.#creditAt), rate * BURST_MS + 1);
    this.#creditAt = now;
  }

  #gain(): number {
    if (this.#state === 'startup') return STARTUP_GAIN;
    if (this.#state === 'drain') return DRAIN_GAIN;
    if (this.#cleanPhases > CLEAN_PHASES) return FAST_PROBE_GAIN;
    if (this.#cleanPhases > 0) return PROBE_GAIN;
    const foreign = this.#queuedPhases > FOREIGN_QUEUE_PHASES && this.#queuedPhases % 2 === 0;
    return foreign ? PROBE_GAIN : YIELD_GAIN;
  }

  #step(newest: SendStamp, roundTrip: number, now: number): void {
    const rate = this.#rate.value ?? 0;
    const rtt = this.#rtt.value ?? roundTrip;
    if (rtt > this.#pathRtt * OTHER_PATH) this.#restart();
    this.#pathRtt = rtt;
    this.#phaseRtt = Math.min(this.#phaseRtt, roundTrip);
    if (now - this.#phaseSince >= Math.max(rtt, SHORTEST_PHASE_MS)) {
      const queued = this.#phaseRtt > longestWithoutQueue(rtt, rate);
      this.#queuedPhases = queued ? this.#queuedPhases + 1 : 0;
      this.#cleanPhases = queued ? 0 : this.#cleanPhases + 1;
      this.#phaseSince = now;
      this.#phaseRtt = Number.POSITIVE_INFINITY;
    }
    if (this.#state === 'startup' && this.#full(newest, rate)) this.#state = 'drain';
    if (this.#state === 'drain' && this.#inFlight <= rate * rtt) this.#state = 'cruise';
  }

  /** What was taken for a queue is a longer path; nothing is known of it. */
  #restart(): void {
    this.#state = 'startup';
    this.#bestRate = 0;
    this.#roundsWithoutGrowth = 0;
  }

  /** Whether the path carries no more than is sent already. */
  #full(newest: SendStamp, rate: number): boolean {
    if (this.#queuedPhases >= 2) return true;
    if (newest.delivered < this.#roundEnd) return false;
    this.#roundEnd = this.#delivered;
    if (rate >= this.#bestRate * GROWTH) {
      this.#bestRate = rate;
      this.#roundsWithoutGrowth = 0;
    } else if (!newest.starved) this.#roundsWithoutGrowth += 1;
    return this.#roundsWithoutGrowth >= FULL_ROUNDS;
  }

  #emptying(now: number, rtt: number): boolean {
    if (now < this.#emptyFrom) return false;
    // The queue drains in the first half, and is measured empty in the second.
    if (now < this.#emptyFrom + 3 * rtt + 10) return true;
    this.#emptyFrom = now + DRAIN_EVERY_MS;
    return false;
  }
}

/** The shortest round trip may have been that of a PING; frames take time to send, which is no queue. */
function longestWithoutQueue(rtt: number, rate: number): number {
  return rtt * QUEUE_PART + QUEUE_MS + MIN_IN_FLIGHT / Math.max(rate, 0.001);
}
