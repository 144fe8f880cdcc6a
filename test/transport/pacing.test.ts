import { describe, expect, it } from 'vitest';
import { MAX_IN_FLIGHT, MIN_IN_FLIGHT, Pacing } from '../../src/transport/pacing.ts';

const FRAME = 16_384;

interface Path {
  /** Bytes per ms. */
  rate: number;
  rttMs: number;
}

interface Flying {
  sentAt: number;
  ackedWhenSent: number;
  backAt: number;
}

/** A greedy sender over a bottleneck with an endless queue, one step per ms. */
function simulate(pathAt: (ms: number) => Path, totalMs: number) {
  const pacing = new Pacing(0);
  const flying: Flying[] = [];
  let acked = 0;
  let busyUntil = 0;
  const seconds: { delivered: number; worstQueueMs: number }[] = [];
  for (let now = 0; now < totalMs; now += 1) {
    const path = pathAt(now);
    const second = Math.floor(now / 1000);
    seconds[second] ??= { delivered: 0, worstQueueMs: 0 };
    const report = seconds[second];
    while (flying[0] !== undefined && flying[0].backAt <= now) {
      const frame = flying.shift() as Flying;
      acked += FRAME;
      report.delivered += FRAME;
      pacing.acknowledged(acked - frame.ackedWhenSent, now - frame.sentAt, now);
    }
    while (flying.length * FRAME < pacing.limit(now)) {
      busyUntil = Math.max(busyUntil, now) + FRAME / path.rate;
      flying.push({ sentAt: now, ackedWhenSent: acked, backAt: busyUntil + path.rttMs });
    }
    report.worstQueueMs = Math.max(report.worstQueueMs, busyUntil - now);
  }
  return seconds;
}

const mbit = (value: number) => (value * 1e6) / 8 / 1000;

describe('pacing', () => {
  it.each([
    ['a fast LAN', { rate: mbit(1000), rttMs: 1 }],
    ['a good uplink', { rate: mbit(20), rttMs: 50 }],
    ['a poor uplink', { rate: mbit(5), rttMs: 100 }],
    ['a long fat path', { rate: mbit(200), rttMs: 150 }],
  ])('fills %s with a queue of no more than two round trips', (_name, path) => {
    const seconds = simulate(() => path, 30_000).slice(5);
    const capacity = path.rate * 1000;
    for (const second of seconds) {
      expect(second.worstQueueMs).toBeLessThan(2 * path.rttMs + 12 + (3 * FRAME) / path.rate);
    }
    const total = seconds.reduce((sum, second) => sum + second.delivered, 0);
    expect(total / (capacity * seconds.length)).toBeGreaterThan(0.95);
  });

  it('queues no more than the least, whatever the path', () => {
    const seconds = simulate(() => ({ rate: mbit(0.2), rttMs: 300 }), 20_000);
    expect(seconds.at(-1)?.worstQueueMs).toBeLessThan((MIN_IN_FLIGHT + 2 * FRAME) / mbit(0.2));
  });

  it('follows a path that becomes slow: the queue is gone within seconds', () => {
    const seconds = simulate((now) => ({ rate: mbit(now < 10_000 ? 50 : 5), rttMs: 40 }), 30_000);
    for (const second of seconds.slice(16)) expect(second.worstQueueMs).toBeLessThan(150);
  });

  it('follows a path that becomes longer: it is filled again', () => {
    const path = (now: number) => ({ rate: mbit(50), rttMs: now < 10_000 ? 10 : 150 });
    const seconds = simulate(path, 60_000).slice(40);
    const total = seconds.reduce((sum, second) => sum + second.delivered, 0);
    expect(total / (mbit(50) * 1000 * seconds.length)).toBeGreaterThan(0.9);
  });

  it('begins with the least and has a cap', () => {
    const pacing = new Pacing(0);
    expect(pacing.limit(0)).toBe(MIN_IN_FLIGHT);
    pacing.acknowledged(1e9, 1, 1);
    expect(pacing.limit(1)).toBe(MAX_IN_FLIGHT);
  });
});
