import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairShare } from '../../src/switch/fair-share.ts';
import { MAX_STREAM_FRAME_BYTES } from '../../src/switch/framing.ts';
import { FrameBatch, FrameReader } from '../../src/switch/index.ts';

function encode(kind: 'stream' | 'tunnel', frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    frames.map((frame) => {
      const header = Buffer.alloc(kind === 'stream' ? 4 : 3);
      if (kind === 'stream') header.writeUInt32BE(frame.length);
      else header.writeUInt16BE(frame.length);
      if (kind === 'tunnel') header[2] = frame.length & 0xff;
      return Buffer.concat([header, frame]);
    }),
  );
}

describe.each(['stream', 'tunnel'] as const)('%s framing', (kind) => {
  it('finds the same frames however the stream is cut', () => {
    const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 20 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 })), (wanted, cuts) => {
        const seen: [string, number][] = [];
        const reader = new FrameReader(kind, (buffer, start, end, type) =>
          seen.push([buffer.toString('hex', start, end), type]),
        );
        let rest = encode(kind, wanted);
        for (const cut of cuts) {
          expect(reader.push(rest.subarray(0, cut))).toBe(true);
          rest = rest.subarray(cut);
        }
        expect(reader.push(rest)).toBe(true);
        const expected = wanted.map((frame) => [
          Buffer.from(frame).toString('hex'),
          kind === 'tunnel' ? frame.length & 0xff : 0,
        ]);
        expect(seen).toEqual(expected);
      }),
    );
  });
});

describe('a stream that is none', () => {
  it.each([0, MAX_STREAM_FRAME_BYTES + 1, 0xffffffff])('is refused at length %d', (length) => {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(length);
    const reader = () =>
      new FrameReader('stream', () => {
        throw new Error('there is no frame');
      });
    expect(reader().push(header)).toBe(false);
    const bytewise = reader();
    expect([...header].map((byte) => bytewise.push(Buffer.from([byte])))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('a batch', () => {
  it.each([
    ['needs them no more', () => true],
    ['keeps them', () => false],
    ['keeps some of them', (n: number) => n % 3 !== 0],
  ])('hands out all bytes in order to a sink that %s', (_name, isDone) => {
    const out: Buffer[] = [];
    const kept: { bytes: Buffer; copy: Buffer }[] = [];
    const batch = new FrameBatch((bytes) => {
      const copy = Buffer.from(bytes);
      const done = isDone(out.push(copy));
      if (!done) kept.push({ bytes, copy });
      return done;
    });
    const wanted: Buffer[] = [];
    for (let i = 0; i < 1000; i++) {
      const piece = Buffer.alloc(1 + ((i * 7919) % 3000), i);
      const offset = batch.reserve(piece.length);
      piece.copy(batch.buffer, offset);
      wanted.push(piece);
      if (i % 10 === 0) batch.flush();
    }
    batch.flush();
    expect(Buffer.concat(out).equals(Buffer.concat(wanted))).toBe(true);
    for (const { bytes, copy } of kept) expect(bytes.equals(copy)).toBe(true);
  });
});

describe('a queue', () => {
  it('keeps room for others when one source floods it', () => {
    const share = new FairShare(10_000);
    let queued = 0;
    let polite = 0;
    for (let round = 0; round < 500; round++) {
      for (let i = 0; i < 50; i++) if (share.admit(1, 100, queued)) queued += 100;
      if (share.admit(2, 100, queued)) {
        queued += 100;
        polite++;
      }
      queued = Math.max(0, queued - 300);
    }
    // The first may find the queue full.
    expect(polite).toBeGreaterThanOrEqual(499);
  });

  it('is all for one source while there is no other', () => {
    const share = new FairShare(1_000);
    for (let queued = 0; queued < 1_000; queued += 100)
      expect(share.admit(1, 100, queued)).toBe(true);
  });

  it('is never longer than its limit', () => {
    const share = new FairShare(1_000);
    expect(share.admit(1, 600, 500)).toBe(false);
    expect(share.admit(1, 501, 500)).toBe(false);
    expect(share.admit(1, 200, 500)).toBe(true);
  });
});
