import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeHeader,
  encodeU64s,
  type Frame,
  FrameError,
  FrameParser,
  FrameType,
  HEADER_BYTES,
  isNumbered,
  MAX_DATA_BYTES,
  PROTOCOL_VERSION,
  readU64,
  wholePayload,
} from '../../src/transport/frame.ts';

const sizes: Record<FrameType, [number, number]> = {
  1: [2, 4096],
  2: [2, 4096],
  3: [8, 8],
  4: [8, 8],
  5: [16, 16],
  6: [8, 8],
  16: [2, 8192],
  17: [1, MAX_DATA_BYTES],
  18: [0, 0],
  19: [2, 4096],
};
const types = Object.values(FrameType);

interface Sample {
  type: FrameType;
  channel: number;
  offset: number;
  payload: Buffer;
  ackNow: boolean;
}

const sample: fc.Arbitrary<Sample> = fc.constantFrom(...types).chain((type) => {
  const [minLength, maxLength] = sizes[type];
  return fc.record({
    type: fc.constant(type),
    channel: fc.integer({ min: 0, max: 0xffff_ffff }),
    ackNow: fc.boolean(),
    offset: isNumbered(type) ? fc.maxSafeNat() : fc.constant(0),
    payload: fc
      .uint8Array({ minLength, maxLength, size: 'medium' })
      .map((bytes) => Buffer.from(bytes)),
  });
});

function encode({
  type,
  channel,
  offset,
  payload,
  ackNow,
}: Omit<Sample, 'ackNow'> & { ackNow?: boolean }): Buffer {
  const header = encodeHeader(PROTOCOL_VERSION, type, channel, payload.length, offset, ackNow);
  return Buffer.concat([header, payload]);
}

function parse(chunks: Buffer[]): { frames: Frame[]; pending: number; error?: unknown } {
  const parser = new FrameParser();
  const frames: Frame[] = [];
  try {
    for (const chunk of chunks) parser.push(chunk, (frame) => frames.push(frame));
  } catch (error) {
    return { frames, pending: parser.pending, error };
  }
  return { frames, pending: parser.pending };
}

function split(bytes: Buffer, cuts: number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const plain = (frame: Frame): Sample => ({
  type: frame.type,
  channel: frame.channel,
  offset: frame.offset,
  ackNow: frame.ackNow,
  payload: wholePayload(frame),
});

describe('frame codec', () => {
  it('has the documented layout', () => {
    const bytes = encode({
      type: FrameType.data,
      channel: 0x01020306,
      offset: 0x0005_0607_0809_0a0b,
      payload: Buffer.from('hi'),
    });
    expect(bytes.toString('hex')).toBe('011100020102030600050607080' + '90a0b6869');
  });

  it('gives back what it was given, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (samples, cuts) => {
          const result = parse(split(Buffer.concat(samples.map(encode)), cuts));
          expect(result.error).toBeUndefined();
          expect(result.pending).toBe(0);
          expect(result.frames.map(plain)).toEqual(samples);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('delivers nothing of a frame that was cut short, at any length', () => {
    for (const type of types) {
      const payload = Buffer.alloc(Math.min(sizes[type][1], 64), 0x7b);
      const bytes = encode({ type, channel: 6, offset: isNumbered(type) ? 99 : 0, payload });
      for (let length = 0; length < bytes.length; length += 1) {
        const result = parse([bytes.subarray(0, length)]);
        expect(result).toEqual({ frames: [], pending: length });
        const bytewise = parse(split(bytes.subarray(0, length), [...Array(length).keys()]));
        expect(bytewise).toEqual({ frames: [], pending: length });
      }
    }
  });

  it('delivers a frame before the junk behind it, then refuses', () => {
    const good = encode({ type: FrameType.fin, channel: 4, offset: 7, payload: Buffer.alloc(0) });
    const result = parse([Buffer.concat([good, Buffer.alloc(HEADER_BYTES, 0xff)])]);
    expect(result.frames).toHaveLength(1);
    expect(result.error).toBeInstanceOf(FrameError);
  });

  it('survives any bytes with FrameError or with bounded memory', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
        fc.option(sample),
        (junk, first) => {
          const chunks = junk.map((bytes) => Buffer.from(bytes));
          const result = parse(first === null ? chunks : [encode(first), ...chunks]);
          if (result.error !== undefined) expect(result.error).toBeInstanceOf(FrameError);
          expect(result.pending).toBeLessThanOrEqual(HEADER_BYTES + MAX_DATA_BYTES);
        },
      ),
    );
  });

  it('refuses one altered header field, whichever it is', () => {
    const good = encode({ type: FrameType.ping, channel: 0, offset: 0, payload: Buffer.alloc(8) });
    const altered = (at: number, value: number) => {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      return parse([bytes]).error;
    };
    expect(altered(0, 0)).toMatchObject({ message: expect.stringContaining('version 0') });
    expect(altered(0, PROTOCOL_VERSION + 1)).toBeInstanceOf(FrameError);
    expect(altered(1, 0)).toMatchObject({ message: expect.stringContaining('unknown type 0') });
    expect(altered(1, 200)).toBeInstanceOf(FrameError);
    expect(altered(3, 9)).toMatchObject({ message: expect.stringContaining('9 bytes') });
    expect(altered(15, 1)).toMatchObject({ message: expect.stringContaining('offset') });
    const numbered = encode({
      type: FrameType.fin,
      channel: 0,
      offset: 0,
      payload: Buffer.alloc(0),
    });
    numbered[8] = 0xff;
    expect(parse([numbered]).error).toMatchObject({ message: expect.stringContaining('2^53') });
  });

  it('reads HELLO and GOODBYE of every version but zero', () => {
    for (const type of [FrameType.hello, FrameType.goodbye]) {
      const bytes = encode({ type, channel: 0, offset: 0, payload: Buffer.from('{}') });
      bytes[0] = 77;
      expect(parse([bytes]).frames[0]?.version).toBe(77);
      bytes[0] = 0;
      expect(parse([bytes]).error).toBeInstanceOf(FrameError);
    }
  });

  it('refuses oversize as soon as the header is there, and does not write it either', () => {
    for (const type of types) {
      const [min, max] = sizes[type];
      expect(() => encodeHeader(1, type, 0, max + 1, 0)).toThrow(RangeError);
      if (min > 0) expect(() => encodeHeader(1, type, 0, min - 1, 0)).toThrow(RangeError);
      const header = encodeHeader(1, type, 0, max, 0);
      header.writeUInt16BE(max + 1, 2);
      expect(parse([header]).error).toBeInstanceOf(FrameError);
    }
  });

  it('writes and reads 64-bit integers', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        const bytes = encodeU64s(a, b);
        expect([readU64(bytes, 0), readU64(bytes, 8)]).toEqual([a, b]);
      }),
    );
  });
});
