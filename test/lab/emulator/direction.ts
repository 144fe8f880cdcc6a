/**
 * One direction of the link as a pure scheduler: frames and times go in, frames and times come out, no
 * clock is read. All times are milliseconds (fractions allowed) of any one clock.
 *
 *   offer -> [queue, drop-tail] -> transmitter (bits / rate) -> loss? -> propagation (delay + jitter) -> out
 *
 * A frame under transmission when the rate changes ends at its old rate. Without `reorder` a frame never
 * leaves before an earlier one. Where several things fall on one instant, a change of parameters comes
 * first, then deliveries, then the transmitter. Every transmitted frame draws exactly four random
 * numbers, whatever the parameters, so that changing one of them does not shift the others' luck.
 */
import type { DirectionParameters, DirectionPatch } from './parameters.ts';
import { Random } from './random.ts';

/** Bytes in propagation; only a link without a rate can reach it. */
export const MAX_FLYING_BYTES = 64 * 1024 * 1024;

export interface DropCounters {
  /** No room in the queue. */
  queue: number;
  /** Random loss of single frames. */
  loss: number;
  /** Lost in a burst. */
  burst: number;
  /** The link was cut. */
  cut: number;
  blackhole: number;
  /** More than MAX_FLYING_BYTES in propagation. */
  overflow: number;
}

export interface DirectionCounters {
  framesIn: number;
  bytesIn: number;
  framesOut: number;
  bytesOut: number;
  framesDropped: DropCounters;
}

export interface Delivery<F> {
  readonly frame: F;
  readonly atMs: number;
}

export class Direction<F extends { readonly length: number }> {
  #parameters: DirectionParameters;
  readonly #random: Random;
  readonly #changes: { atMs: number; set: DirectionPatch }[] = [];
  readonly #queue: F[] = [];
  #queuedBytes = 0;
  #sending: { frame: F; endsAt: number } | undefined;
  /** Ordered by `atMs`. */
  readonly #flying: Delivery<F>[] = [];
  #flyingBytes = 0;
  #lastArrival = Number.NEGATIVE_INFINITY;
  #bad = false;
  #now = Number.NEGATIVE_INFINITY;
  readonly counters: DirectionCounters = {
    framesIn: 0,
    bytesIn: 0,
    framesOut: 0,
    bytesOut: 0,
    framesDropped: { queue: 0, loss: 0, burst: 0, cut: 0, blackhole: 0, overflow: 0 },
  };

  constructor(parameters: DirectionParameters, seed: number) {
    this.#parameters = parameters;
    this.#random = new Random(seed);
  }

  get parameters(): DirectionParameters {
    return this.#parameters;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Changes parameters at `atMs`, which must not lie before the last `advance`. */
  changeAt(atMs: number, set: DirectionPatch): void {
    let index = this.#changes.length;
    while (index > 0 && (this.#changes[index - 1]?.atMs ?? 0) > atMs) index -= 1;
    this.#changes.splice(index, 0, { atMs, set });
  }

  /** Forgets changes that have not come yet. */
  clearChanges(): void {
    this.#changes.length = 0;
  }

  /** Takes a frame that arrives at `nowMs`; call `advance(nowMs)` first to have earlier deliveries. */
  offer(nowMs: number, frame: F): void {
    this.counters.framesIn += 1;
    this.counters.bytesIn += frame.length;
    const { state, queueBytes } = this.#parameters;
    const dropped = this.counters.framesDropped;
    if (state === 'cut') dropped.cut += 1;
    else if (state === 'blackhole') dropped.blackhole += 1;
    else if (this.#sending === undefined && this.#queue.length === 0 && state === 'up')
      this.#send(nowMs, frame);
    else if (this.#queuedBytes + frame.length > queueBytes) dropped.queue += 1;
    else {
      this.#queue.push(frame);
      this.#queuedBytes += frame.length;
    }
  }

  /** When something happens next by itself; undefined while nothing is under way. */
  get nextAt(): number | undefined {
    const moving = this.#parameters.state !== 'stalled';
    const times = [
      this.#changes[0]?.atMs,
      this.#sending?.endsAt,
      moving ? this.#flying[0]?.atMs : undefined,
    ].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Lets time pass until `nowMs` and returns what has left the link by then, in order of leaving. */
  advance(nowMs: number): Delivery<F>[] {
    const out: Delivery<F>[] = [];
    for (let at = this.nextAt; at !== undefined && at <= nowMs; at = this.nextAt) {
      // Frames kept by a stall are overdue when it ends: they leave then, not in the past.
      const time = Math.max(at, this.#now);
      this.#now = time;
      if ((this.#changes[0]?.atMs ?? Number.POSITIVE_INFINITY) <= time) this.#change(time);
      else if (this.#parameters.state !== 'stalled' && (this.#flying[0]?.atMs ?? time + 1) <= time)
        this.#deliver(time, out);
      else this.#endSending(time);
    }
    this.#now = Math.max(this.#now, nowMs);
    return out;
  }

  #deliver(time: number, out: Delivery<F>[]): void {
    const next = this.#flying.shift();
    if (next === undefined) return;
    this.#flyingBytes -= next.frame.length;
    this.counters.framesOut += 1;
    this.counters.bytesOut += next.frame.length;
    out.push({ frame: next.frame, atMs: time });
  }

  #change(time: number): void {
    const change = this.#changes.shift();
    if (change === undefined) return;
    this.#parameters = { ...this.#parameters, ...change.set };
    if (this.#parameters.state === 'cut') {
      const lost = this.#queue.length + this.#flying.length + (this.#sending === undefined ? 0 : 1);
      this.counters.framesDropped.cut += lost;
      this.#queue.length = 0;
      this.#flying.length = 0;
      this.#queuedBytes = 0;
      this.#flyingBytes = 0;
      this.#sending = undefined;
    } else if (this.#sending === undefined) this.#sendNext(time);
  }

  #send(time: number, frame: F): void {
    const { rateBitsPerSecond } = this.#parameters;
    const duration = rateBitsPerSecond === null ? 0 : (frame.length * 8000) / rateBitsPerSecond;
    this.#sending = { frame, endsAt: time + duration };
  }

  #sendNext(time: number): void {
    this.#sending = undefined;
    const { state } = this.#parameters;
    if (state === 'stalled' || state === 'cut') return;
    const frame = this.#queue.shift();
    if (frame === undefined) return;
    this.#queuedBytes -= frame.length;
    this.#send(time, frame);
  }

  #endSending(time: number): void {
    const frame = this.#sending?.frame;
    this.#sendNext(time);
    if (frame === undefined) return;
    const { burst, loss, delayMs, jitterMs, reorder } = this.#parameters;
    const [switchDraw, burstDraw, lossDraw, jitterDraw] = [
      this.#random.next(),
      this.#random.next(),
      this.#random.next(),
      this.#random.next(),
    ];
    this.#bad =
      burst !== null && (this.#bad ? switchDraw >= burst.leave : switchDraw < burst.enter);
    const dropped = this.counters.framesDropped;
    if (this.#bad && burst !== null && burstDraw < burst.loss) dropped.burst += 1;
    else if (lossDraw < loss) dropped.loss += 1;
    else if (this.#flyingBytes + frame.length > MAX_FLYING_BYTES) dropped.overflow += 1;
    else {
      const drawn = time + delayMs + jitterDraw * jitterMs;
      const atMs = reorder ? drawn : Math.max(drawn, this.#lastArrival);
      this.#lastArrival = Math.max(atMs, this.#lastArrival);
      let index = this.#flying.length;
      while (index > 0 && (this.#flying[index - 1]?.atMs ?? 0) > atMs) index -= 1;
      this.#flying.splice(index, 0, { frame, atMs });
      this.#flyingBytes += frame.length;
    }
  }
}
