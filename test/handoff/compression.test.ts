import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AdaptiveReader, AdaptiveWriter } from '../../src/handoff/adaptive-stream.ts';
import { Coalesce } from '../../src/handoff/coalesce.ts';
import {
  type Compression,
  type CompressionSample,
  chooseCompression,
} from '../../src/handoff/compression.ts';

const MIB = 1024 * 1024;

describe('compression', () => {
  test.each<[string, Compression, Partial<CompressionSample>, Compression]>([
    ['stays while nothing is known', 1, { linkBytesPerSecond: undefined }, 1],
    ['is light on a LAN', 1, { linkBytesPerSecond: 20e6 }, 1],
    [
      'is off where the compressor is what is slow',
      1,
      { linkBytesPerSecond: 90e6, starved: true },
      'off',
    ],
    ['is on where the link is, however fast', 1, { linkBytesPerSecond: 90e6 }, 1],
    ['stays off on a fast link', 'off', { linkBytesPerSecond: 50e6 }, 'off'],
    ['is on again on a link that became slow', 'off', { linkBytesPerSecond: 2e6 }, 3],
    ['is better on a slow link', 1, { linkBytesPerSecond: 5e6 }, 3],
    ['is best on a very slow link', 3, { linkBytesPerSecond: 0.3e6 }, 6],
    ['does not change at a border', 6, { linkBytesPerSecond: 1.2e6 }, 6],
    ['does not change at the other border', 3, { linkBytesPerSecond: 9e6 }, 3],
    [
      'is light where the compressor is what is slow',
      3,
      { linkBytesPerSecond: 5e6, starved: true },
      1,
    ],
    [
      'is best on a very slow link, starved or not',
      3,
      { linkBytesPerSecond: 0.3e6, starved: true },
      6,
    ],
  ])('%s', (_name, current, change, expected) => {
    const sample = { linkBytesPerSecond: 10e6, starved: false, ...change };
    expect(chooseCompression(current, sample)).toBe(expected);
  });
});

describe('a stream whose compression changes', () => {
  const pieces = [randomBytes(300_000), Buffer.alloc(200_000, 'page'), randomBytes(10)];
  const choices: Compression[] = [1, 'off', 6, 'off', 3, 'off'];

  test.each([1_000, 70_000, 10_000_000])('is read whole in pieces of %i bytes', async (size) => {
    const writer = new AdaptiveWriter();
    const sentOn = buffer(writer);
    const sent: Buffer[] = [];
    for (const choice of choices) {
      writer.compression = choice;
      for (const piece of pieces) {
        sent.push(piece);
        if (!writer.write(piece)) await once(writer, 'drain');
      }
    }
    writer.end();
    const reader = new AdaptiveReader();
    const all = buffer(reader);
    const frames = await sentOn;
    for (let at = 0; at < frames.length; at += size) {
      if (!reader.write(frames.subarray(at, at + size))) await once(reader, 'drain');
    }
    reader.end();
    expect((await all).equals(Buffer.concat(sent))).toBe(true);
  });

  // Whoever reads slowly makes every stage wait in another place.
  const write = fc.record({
    choice: fc.constantFrom<Compression>('off', 1, 3, 6),
    bytes: fc.integer({ min: 1, max: 70_000 }),
    compressible: fc.boolean(),
  });
  test('is read as it was written, however it is cut and whoever has to wait', async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 8 });
    const waits = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(write, { minLength: 1, maxLength: 40 }),
        cuts,
        waits,
        async (writes, sizes, pauses) => {
          const writer = new AdaptiveWriter();
          const sent: Buffer[] = [];
          const read: Buffer[] = [];
          async function* guest() {
            for (const { choice, bytes, compressible } of writes) {
              writer.compression = choice;
              sent.push(compressible ? Buffer.alloc(bytes, sent.length) : randomBytes(bytes));
              yield sent.at(-1);
            }
          }
          async function* link(from: AsyncIterable<Buffer>) {
            let turn = 0;
            for await (const chunk of from) {
              for (let at = 0; at < chunk.length; turn += 1) {
                const size = sizes[turn % sizes.length] ?? 1;
                yield chunk.subarray(at, at + size);
                at += size;
              }
            }
          }
          const take = async (from: AsyncIterable<Buffer>) => {
            for await (const chunk of from) {
              read.push(chunk);
              for (let left = pauses[read.length % pauses.length] ?? 0; left > 0; left -= 1)
                await tick();
            }
          };
          const stages = [writer, link, new Coalesce(), new AdaptiveReader(), take] as const;
          await pipeline(Readable.from(guest(), { objectMode: false }), ...stages);
          expect(Buffer.concat(read).equals(Buffer.concat(sent))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(choices)('what was changed under way is not taken for memory (%s)', async (choice) => {
    const writer = new AdaptiveWriter();
    writer.compression = choice;
    const all = buffer(writer);
    writer.end(randomBytes(5_000));
    const segment = await all;
    const last = segment.length - 1;
    segment.writeUInt8(segment.readUInt8(last) ^ 1, last);
    const reader = new AdaptiveReader();
    reader.end(segment);
    await expect(buffer(reader)).rejects.toThrow();
  });

  test('an end inside a segment is an error', async () => {
    const writer = new AdaptiveWriter();
    const all = buffer(writer);
    writer.end(randomBytes(5_000));
    const reader = new AdaptiveReader();
    reader.end((await all).subarray(0, -1));
    await expect(buffer(reader)).rejects.toThrow('inside a segment');
  });

  test.each(choices)('lets every write be read at once (%s)', async (choice) => {
    const writer = new AdaptiveWriter();
    writer.compression = choice;
    const reader = writer.pipe(new AdaptiveReader());
    for (const text of ['one', 'two', 'three']) {
      const read = once(reader, 'data');
      writer.write(Buffer.from(text));
      expect(String((await read)[0])).toBe(text);
    }
    writer.destroy();
  });

  test('a piece that unpacks to very much waits for its reader', async () => {
    const writer = new AdaptiveWriter();
    const packed = buffer(writer);
    for (let i = 0; i < 64; i += 1) {
      if (!writer.write(Buffer.alloc(MIB))) await once(writer, 'drain');
    }
    writer.end();
    const reader = new AdaptiveReader();
    const frames = await packed;
    expect(frames.length).toBeLessThan(MIB);
    reader.end(frames);
    await once(reader, 'readable');
    expect(reader.readableLength).toBeLessThan(MIB);
    expect((await buffer(reader)).length).toBe(64 * MIB);
  });

  test('what no writer wrote is an error', async () => {
    const reader = new AdaptiveReader();
    reader.write(Buffer.from('not at all'));
    await expect(buffer(reader)).rejects.toThrow();
  });

  test('what was sent megabytes ago costs next to nothing when it comes again', async () => {
    const pages = randomBytes(4 * MIB);
    const writer = new AdaptiveWriter();
    const all = buffer(writer);
    for (const _ of [1, 2])
      for (let at = 0; at < pages.length; at += 65_536)
        if (!writer.write(pages.subarray(at, at + 65_536))) await once(writer, 'drain');
    writer.end();
    expect((await all).length).toBeLessThan(1.02 * pages.length);
  });

  test('off costs a few bytes and no more', async () => {
    const writer = new AdaptiveWriter();
    writer.compression = 'off';
    const all = buffer(writer);
    const data = randomBytes(1_000_000);
    writer.end(data);
    expect((await all).length - data.length).toBeLessThan(100);
  });
});
