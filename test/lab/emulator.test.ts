import { duplexPair, PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  Direction,
  type DirectionParameters,
  FrameReader,
  FrameTooLong,
  frameHeader,
  idealDirection,
  Link,
  MAX_FRAME_BYTES,
  Random,
} from './emulator/index.ts';

interface TestFrame {
  readonly name: number;
  readonly length: number;
}
const frame = (name: number, length = 1250): TestFrame => ({ name, length });
const direction = (parameters: Partial<DirectionParameters>, seed = 1) =>
  new Direction<TestFrame>({ ...idealDirection, ...parameters }, seed);
const arrivals = (way: Direction<TestFrame>, until = 1e9) =>
  way.advance(until).map(({ frame: { name }, atMs }) => [name, atMs]);

/** 1250 bytes at 10 Mbit/s take exactly 1 ms. */
const tenMegabit = { rateBitsPerSecond: 10e6 };

describe('one direction of the emulated link', () => {
  it('sends frames one after the other at the rate and delivers them a delay later', () => {
    const way = direction({ ...tenMegabit, delayMs: 20 });
    for (const name of [1, 2, 3]) way.offer(0, frame(name));
    way.advance(10);
    way.offer(10, frame(4, 625));
    expect(arrivals(way)).toEqual([
      [1, 21],
      [2, 22],
      [3, 23],
      [4, 30.5],
    ]);
  });

  it('is not ahead of time: nothing leaves before its calculated instant', () => {
    const way = direction({ ...tenMegabit, delayMs: 20 });
    way.offer(0, frame(1));
    expect(arrivals(way, 20.999)).toEqual([]);
    expect(way.nextAt).toBe(21);
    expect(arrivals(way, 21)).toEqual([[1, 21]]);
    expect(way.nextAt).toBeUndefined();
  });

  it('drops at the tail what the queue, which excludes the frame on the wire, cannot hold', () => {
    const way = direction({ ...tenMegabit, queueBytes: 2500 });
    for (const name of [1, 2, 3, 4, 5]) way.offer(0, frame(name));
    expect(arrivals(way).map(([name]) => name)).toEqual([1, 2, 3]);
    expect(way.counters).toMatchObject({ framesIn: 5, framesOut: 3, bytesOut: 3750 });
    expect(way.counters.framesDropped.queue).toBe(2);
  });

  it('finishes a frame at the old rate and sends the next at the new one', () => {
    const way = direction(tenMegabit);
    for (const name of [1, 2, 3]) way.offer(0, frame(name));
    way.changeAt(0.5, { rateBitsPerSecond: 1e6 });
    expect(arrivals(way)).toEqual([
      [1, 1],
      [2, 11],
      [3, 21],
    ]);
  });

  it('loses what waits, travels and arrives while cut', () => {
    const way = direction({ ...tenMegabit, delayMs: 5 });
    for (const name of [1, 2, 3, 4]) way.offer(0, frame(name));
    way.changeAt(2.5, { state: 'cut' });
    way.advance(3);
    way.offer(3, frame(5));
    way.changeAt(10, { state: 'up' });
    way.advance(10);
    way.offer(10, frame(6));
    expect(arrivals(way)).toEqual([[6, 16]]);
    expect(way.counters.framesDropped.cut).toBe(5);
  });

  it('keeps everything during a stall and delivers it, in order, when the stall ends', () => {
    const way = direction({ ...tenMegabit, delayMs: 5 });
    for (const name of [1, 2, 3]) way.offer(0, frame(name));
    way.changeAt(1.5, { state: 'stalled' });
    way.advance(50);
    way.offer(50, frame(4));
    way.changeAt(100, { state: 'up' });
    expect(arrivals(way, 99)).toEqual([]);
    expect(arrivals(way)).toEqual([
      [1, 100],
      [2, 100],
      [3, 106],
      [4, 107],
    ]);
  });

  it('swallows arrivals in a blackhole but delivers what was under way', () => {
    const way = direction({ ...tenMegabit, delayMs: 5 });
    way.offer(0, frame(1));
    way.changeAt(0.5, { state: 'blackhole' });
    way.advance(1);
    way.offer(1, frame(2));
    expect(arrivals(way)).toEqual([[1, 6]]);
    expect(way.counters.framesDropped.blackhole).toBe(1);
  });

  it('does not reorder under jitter unless asked', () => {
    const run = (reorder: boolean) => {
      const way = direction({ ...tenMegabit, delayMs: 10, jitterMs: 30, reorder }, 7);
      for (let name = 0; name < 200; name += 1) way.offer(0, frame(name));
      return arrivals(way);
    };
    const inOrder = Array.from({ length: 200 }, (_, name) => name);
    expect(run(false).map(([name]) => name)).toEqual(inOrder);
    expect(run(true).map(([name]) => name)).not.toEqual(inOrder);
    for (const [name, at] of run(true)) {
      expect(at).toBeGreaterThanOrEqual((name ?? 0) + 11);
      expect(at).toBeLessThan((name ?? 0) + 41);
    }
  });

  it('repeats itself exactly for one seed, whatever the steps in which time passes', () => {
    const run = (seed: number, stepMs: number) => {
      const lossy = { ...tenMegabit, loss: 0.1, burst: { enter: 0.02, leave: 0.2, loss: 0.9 } };
      const way = direction({ ...lossy, delayMs: 3, jitterMs: 2, queueBytes: 1e6 }, seed);
      for (let name = 0; name < 500; name += 1) way.offer(0, frame(name));
      const out: (number | undefined)[][] = [];
      for (let now = 0; now < 600; now += stepMs) out.push(...arrivals(way, now));
      return out;
    };
    expect(run(3, 0.7)).toEqual(run(3, 50));
    expect(run(3, 50)).not.toEqual(run(4, 50));
  });

  it('loses single frames at the set rate', () => {
    const way = direction({ loss: 0.25 }, 11);
    for (let name = 0; name < 40_000; name += 1) {
      way.offer(name, frame(name));
      way.advance(name);
    }
    // Binomial: mean 10,000, standard deviation 86.6; the seed is fixed, so this cannot flicker.
    expect(Math.abs(way.counters.framesDropped.loss - 10_000)).toBeLessThan(300);
  });

  it('loses bursts as long and as often as Gilbert and Elliott calculate', () => {
    const way = direction({ burst: { enter: 0.01, leave: 0.25, loss: 1 } }, 5);
    const got = new Set<number>();
    const frames = 100_000;
    for (let name = 0; name < frames; name += 1) {
      way.offer(name, frame(name));
      for (const { frame: delivered } of way.advance(name)) got.add(delivered.name);
    }
    let bursts = 0;
    for (let name = 1; name < frames; name += 1)
      if (!got.has(name) && got.has(name - 1)) bursts += 1;
    const lost = way.counters.framesDropped.burst;
    // Stationary share of the bad state enter / (enter + leave); mean stay 1 / leave.
    expect(lost / frames).toBeCloseTo(0.01 / 0.26, 2);
    expect(lost / bursts).toBeGreaterThan(3.7);
    expect(lost / bursts).toBeLessThan(4.3);
  });

  it('does not shift the luck of one parameter when another changes', () => {
    const lossOf = (parameters: Partial<DirectionParameters>) => {
      const way = direction({ loss: 0.3, ...parameters }, 9);
      for (let name = 0; name < 300; name += 1) {
        way.offer(name, frame(name));
        way.advance(name);
      }
      return way.counters.framesDropped.loss;
    };
    expect(lossOf({ jitterMs: 50, burst: { enter: 0, leave: 1, loss: 1 } })).toBe(lossOf({}));
  });
});

describe('the random numbers', () => {
  it('are uniform in [0, 1)', () => {
    const random = new Random(42);
    const buckets = new Array<number>(10).fill(0);
    for (let n = 0; n < 100_000; n += 1) {
      const bucket = Math.floor(random.next() * 10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(buckets).toHaveLength(10);
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });
});

describe('the framing', () => {
  const framed = (payload: Buffer) => Buffer.concat([frameHeader(payload.length), payload]);

  it('finds the frames however the stream is cut', () => {
    const frames = [Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(3000, 7)];
    const stream = Buffer.concat(frames.map(framed));
    for (const step of [1, 3, 5, 1000, stream.length]) {
      const reader = new FrameReader();
      const found: Buffer[] = [];
      for (let at = 0; at < stream.length; at += step)
        found.push(...reader.push(stream.subarray(at, at + step)));
      expect(found).toEqual(frames);
    }
  });

  it('refuses a length that no frame has', () => {
    expect(() => new FrameReader().push(frameHeader(MAX_FRAME_BYTES + 1))).toThrow(FrameTooLong);
  });
});

describe('the cable in real time', () => {
  const options = { seed: 1, aToB: idealDirection, bToA: idealDirection };
  const framed = (text: string) => Buffer.concat([frameHeader(text.length), Buffer.from(text)]);

  it('carries frames both ways and counts them', async () => {
    const link = new Link(options);
    const [a, aOutside] = duplexPair();
    const [b, bOutside] = duplexPair();
    link.attach('a', a);
    link.attach('b', b);
    aOutside.write(framed('to b'));
    bOutside.write(framed('to a'));
    const first = async (stream: typeof a) => {
      const reader = new FrameReader();
      for await (const chunk of stream) {
        const [frame] = reader.push(chunk as Buffer);
        if (frame !== undefined) return frame.toString();
      }
      throw new Error('the end closed without a frame');
    };
    expect(await Promise.all([first(aOutside), first(bOutside)])).toEqual(['to a', 'to b']);
    expect(link.statistics()['a-to-b']).toMatchObject({ framesIn: 1, framesOut: 1, bytesOut: 4 });
    link.close();
  });

  it('drops an end that talks garbage and goes on with its successor', async () => {
    const link = new Link(options);
    const garbage = new PassThrough();
    link.attach('a', garbage);
    const failed = new Promise((resolve) => garbage.once('close', resolve));
    garbage.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await failed;
    const [a, aOutside] = duplexPair();
    link.attach('a', a);
    aOutside.write(framed('x'));
    await expect.poll(() => link.statistics()['a-to-b'].framesIn).toBe(1);
    expect(link.statistics()['a-to-b'].framesDropped.egress).toBe(1);
    link.close();
  });
});
