/**
 * The cable in real time: two ends, each a byte stream with QEMU's framing, and a `Direction` each way.
 * Timers of Node are 1 ms wide: a frame leaves up to about 1 ms later than calculated, never earlier, and
 * the lateness does not add up, because every time is calculated from the frame's arrival.
 */
import type { Duplex } from 'node:stream';
import { Direction } from './direction.ts';
import { FrameReader, frameHeader } from './framing.ts';
import type { DirectionParameters, DirectionPatch, LinkTrace } from './parameters.ts';
import { linkTrace } from './parameters.ts';

/** Bytes that may wait in an end that does not read; frames beyond are dropped and counted. */
export const MAX_EGRESS_BYTES = 4 * 1024 * 1024;

export type DirectionName = 'a-to-b' | 'b-to-a';
export type DirectionChoice = DirectionName | 'both';

interface Way {
  readonly direction: Direction<Buffer>;
  output: Duplex | undefined;
  /** Frames that had no open, reading end to go to. */
  egressDropped: number;
}

export interface WayStatistics {
  readonly parameters: DirectionParameters;
  readonly framesIn: number;
  readonly bytesIn: number;
  readonly framesOut: number;
  readonly bytesOut: number;
  readonly queuedBytes: number;
  readonly framesDropped: Readonly<Record<string, number>>;
}

export interface LinkOptions {
  readonly seed: number;
  readonly aToB: DirectionParameters;
  readonly bToA: DirectionParameters;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export class Link {
  readonly #ways: Record<DirectionName, Way>;
  readonly #now: () => number;
  #timer: { handle: NodeJS.Timeout; at: number } | undefined;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#now = options.now ?? (() => performance.now());
    const way = (parameters: DirectionParameters, seed: number): Way => ({
      direction: new Direction<Buffer>(parameters, seed),
      output: undefined,
      egressDropped: 0,
    });
    this.#ways = {
      'a-to-b': way(options.aToB, options.seed),
      'b-to-a': way(options.bToA, options.seed + 0x5bd1e995),
    };
  }

  /**
   * Plugs `stream` into one end; a stream that was there before is destroyed. Garbage on the stream
   * destroys it with FrameTooLong.
   */
  attach(end: 'a' | 'b', stream: Duplex): void {
    const away = this.#ways[end === 'a' ? 'a-to-b' : 'b-to-a'];
    const toward = this.#ways[end === 'a' ? 'b-to-a' : 'a-to-b'];
    toward.output?.destroy();
    toward.output = stream;
    const reader = new FrameReader();
    stream.on('data', (chunk: Buffer) => {
      try {
        this.#take(away, reader.push(chunk));
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    // A closed end is an unplugged cable: what still arrives for it counts as dropped.
    stream.on('error', () => {});
    stream.on('close', () => {
      if (toward.output === stream) toward.output = undefined;
    });
  }

  set(choice: DirectionChoice, patch: DirectionPatch): void {
    const now = this.#now();
    for (const way of this.#chosen(choice)) way.direction.changeAt(now, patch);
    this.#run();
  }

  /** Replaces the coming changes by those of `trace`, whose times count from now. */
  play(trace: LinkTrace): void {
    const now = this.#now();
    for (const way of this.#chosen('both')) way.direction.clearChanges();
    for (const step of linkTrace.parse(trace))
      for (const way of this.#chosen(step.direction))
        way.direction.changeAt(now + step.atMs, step.set);
    this.#run();
  }

  statistics(): Record<DirectionName, WayStatistics> {
    this.#run();
    const of = ({ direction, egressDropped }: Way): WayStatistics => ({
      ...direction.counters,
      parameters: direction.parameters,
      queuedBytes: direction.queuedBytes,
      framesDropped: { ...direction.counters.framesDropped, egress: egressDropped },
    });
    return { 'a-to-b': of(this.#ways['a-to-b']), 'b-to-a': of(this.#ways['b-to-a']) };
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer.handle);
    for (const way of this.#chosen('both')) way.output?.destroy();
  }

  #chosen(choice: DirectionChoice): Way[] {
    return choice === 'both' ? Object.values(this.#ways) : [this.#ways[choice]];
  }

  #take(way: Way, frames: Buffer[]): void {
    const now = this.#now();
    for (const frame of frames) {
      this.#deliver(way, now);
      way.direction.offer(now, frame);
    }
    this.#run();
  }

  #run(): void {
    if (this.#closed) return;
    const now = this.#now();
    let next = Number.POSITIVE_INFINITY;
    for (const way of this.#chosen('both')) {
      this.#deliver(way, now);
      next = Math.min(next, way.direction.nextAt ?? next);
    }
    this.#arm(now, next);
  }

  #arm(now: number, next: number): void {
    if (this.#timer !== undefined) {
      if (this.#timer.at <= next) return;
      clearTimeout(this.#timer.handle);
      this.#timer = undefined;
    }
    if (next === Number.POSITIVE_INFINITY) return;
    const handle = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      Math.min(next - now, 2 ** 31 - 1),
    );
    this.#timer = { handle, at: next };
  }

  #deliver(way: Way, now: number): void {
    const { output } = way;
    const deliveries = way.direction.advance(now);
    if (deliveries.length === 0) return;
    output?.cork();
    for (const { frame } of deliveries) {
      if (output === undefined || output.destroyed || output.writableLength > MAX_EGRESS_BYTES) {
        way.egressDropped += 1;
        continue;
      }
      output.write(frameHeader(frame.length));
      output.write(frame);
    }
    output?.uncork();
  }
}
