import { expect, test } from 'vitest';
import type { Channel } from '../../src/transport/channel.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { FrameType, HEADER_BYTES, MAX_DATA_BYTES } from '../../src/transport/frame.ts';
import { ACK_EVERY_BYTES } from '../../src/transport/session.ts';
import { Transmitter } from '../../src/transport/transmitter.ts';

const FRAME = HEADER_BYTES + MAX_DATA_BYTES;
/** Bit 1 of its number: bulk. */
const BULK = 2;

interface Path {
  readonly mbit: number;
  readonly rttMs: number;
}

/**
 * A sender with endless bulk, and a receiver that acknowledges as a session does, over a bottleneck with an endless queue;
 * in steps of a quarter of a millisecond. Returns the part of the path that is used soon after the beginning, before anything has
 * brought disorder into it.
 */
function utilization({ mbit, rttMs }: Path): number {
  const bytesPerMs = (mbit * 1e6) / 8 / 1000;
  let now = 0;
  let busyUntil = 0;
  let [sent, arrived, unacked] = [0, 0, 0];
  const arrivals: { at: number; asks: boolean }[] = [];
  const acks: { at: number; offset: number }[] = [];
  const channel = {
    id: BULK,
    sendable: true,
    next: () => ({ type: FrameType.data, payload: [], length: MAX_DATA_BYTES }),
    countWire: () => undefined,
    acked: () => undefined,
  } as unknown as Channel;
  const connection = {
    queued: 0,
    cork: () => undefined,
    uncork: () => undefined,
    send: (...frame: readonly unknown[]) => {
      busyUntil = Math.max(busyUntil, now) + FRAME / bytesPerMs;
      arrivals.push({ at: busyUntil + rttMs / 2, asks: frame[5] === true });
      sent += FRAME;
    },
  } as unknown as Connection;
  const transmitter = new Transmitter(
    () => now,
    () => [0, 0],
  );
  transmitter.attach(connection, [0, 0], []);
  // As a PING has found before.
  transmitter.roundTrip(rttMs);
  transmitter.ready(channel);
  const [warmMs, totalMs] = [20 * rttMs, 20 * rttMs + 2_000];
  let before = 0;
  for (; now < totalMs; now += 0.25) {
    if (now === warmMs) before = arrived;
    while (arrivals[0] !== undefined && arrivals[0].at <= now) {
      const asks = arrivals.shift()?.asks;
      arrived += FRAME;
      unacked += FRAME;
      if (!asks && unacked < ACK_EVERY_BYTES) continue;
      unacked = 0;
      acks.push({ at: now + rttMs / 2, offset: arrived });
    }
    while (acks[0] !== undefined && acks[0].at <= now)
      transmitter.acknowledged([0, acks.shift()?.offset ?? 0]);
    transmitter.flush();
  }
  expect(sent).toBeGreaterThan(0);
  return (arrived - before) / ((totalMs - warmMs) * bytesPerMs);
}

test.each([
  { mbit: 5, rttMs: 50 },
  { mbit: 5, rttMs: 100 },
  { mbit: 20, rttMs: 30 },
  { mbit: 100, rttMs: 20 },
  { mbit: 200, rttMs: 150 },
])('bulk keeps a path of $mbit Mbit/s and $rttMs ms full', (path) => {
  expect(utilization(path)).toBeGreaterThan(0.9);
});
