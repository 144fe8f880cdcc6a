import { describe, expect, test } from 'vitest';
import { PlaceProbes } from '../../src/link/index.ts';

describe('round trips', () => {
  test('are smoothed as in RFC 6298', () => {
    const probes = new PlaceProbes();
    probes.asked(1, 0);
    probes.answered(1, 100);
    expect(probes.view(100)).toMatchObject({ rttMs: 100, rttDeviationMs: 50 });
    probes.asked(2, 1000);
    probes.answered(2, 1180);
    expect(probes.view(1180)).toMatchObject({ rttMs: 110, rttDeviationMs: 57.5 });
  });

  test('an answer to nothing is a sign of life and no more', () => {
    const probes = new PlaceProbes();
    probes.answered('x', 50);
    expect(probes.view(50)).toMatchObject({ rttMs: undefined, loss: 0, suspect: false });
  });
});

describe('suspicion', () => {
  const steady = () => {
    const probes = new PlaceProbes();
    for (let i = 0; i < 20; i++) {
      probes.asked(i, i * 1000);
      probes.answered(i, i * 1000 + 50);
    }
    return probes;
  };

  test('a quick peer that is silent is suspected well within 2 s', () => {
    const probes = steady();
    probes.asked('last', 20_000);
    expect(probes.view(20_500).suspect).toBe(false);
    expect(probes.view(20_700).suspect).toBe(true);
  });

  test('never later than 2 s, also when nothing is known', () => {
    const probes = new PlaceProbes();
    probes.asked(1, 0);
    expect(probes.view(1999).suspect).toBe(false);
    expect(probes.view(2000).suspect).toBe(true);
  });

  test('questions that follow do not put it off', () => {
    const probes = steady();
    for (let at = 20_000; at < 22_000; at += 200) probes.asked(`q${at}`, at);
    expect(probes.view(22_000).suspect).toBe(true);
  });

  test('anything heard ends it; silence without a question is none', () => {
    const probes = steady();
    probes.asked('last', 20_000);
    probes.heard(24_001);
    expect(probes.view(24_001).suspect).toBe(false);
    expect(steady().view(500_000).suspect).toBe(false);
  });

  test('a machine that slept suspects nobody', () => {
    const probes = steady();
    probes.asked('before', 20_000);
    probes.woke();
    expect(probes.view(3_620_000).suspect).toBe(false);
  });
});

test('loss is the share of the last questions without an answer', () => {
  const probes = new PlaceProbes();
  for (let i = 0; i < 8; i++) {
    probes.asked(i, i * 1000);
    if (i % 4 !== 0) probes.answered(i, i * 1000 + 20);
  }
  probes.heard(20_000);
  expect(probes.view(20_000).loss).toBe(0.25);
});

describe('rate', () => {
  test('is learned only from traffic that the link limits', () => {
    const probes = new PlaceProbes();
    for (let at = 0; at <= 1000; at += 100) probes.acknowledged(1000, false, at);
    expect(probes.view(1000).bytesPerSecond).toBeUndefined();
    for (let at = 2000; at <= 3000; at += 100) probes.acknowledged(50_000, true, at);
    expect(probes.view(3000).bytesPerSecond).toBeCloseTo(500_000);
  });

  test('follows a link that becomes slower, and is forgotten', () => {
    const probes = new PlaceProbes();
    for (let at = 0; at <= 5000; at += 100) probes.acknowledged(100_000, true, at);
    for (let at = 5100; at <= 25_000; at += 100) probes.acknowledged(10_000, true, at);
    const rate = probes.view(25_000).bytesPerSecond ?? 0;
    expect(rate).toBeGreaterThan(100_000);
    expect(rate).toBeLessThan(130_000);
    expect(probes.view(90_000).bytesPerSecond).toBeUndefined();
  });
});

test('a probe of its own is due only when nothing else was asked or heard', () => {
  const probes = new PlaceProbes({ idleMs: 10_000 });
  probes.asked(1, 1000);
  probes.answered(1, 1050);
  expect(probes.view(4050).probeInMs).toBe(7000);
  probes.heard(6000);
  expect(probes.view(6000).probeInMs).toBe(10_000);
  expect(probes.view(60_000).probeInMs).toBe(0);
});

test('questions that nobody answers take no memory without end', () => {
  const probes = new PlaceProbes();
  for (let i = 0; i < 10_000; i++) probes.asked(i, i);
  probes.answered(9999, 10_000);
  expect(probes.view(10_000).loss).toBeGreaterThan(0.9);
});
