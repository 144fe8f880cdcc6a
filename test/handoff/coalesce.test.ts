import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { Coalesce } from '../../src/handoff/coalesce.ts';
import { zstdReader, zstdWriter } from '../../src/handoff/zstd-stream.ts';

test('what comes while the next stage is busy arrives as one piece, in order', async () => {
  const coalesce = new Coalesce();
  const pieces: string[] = [];
  let free: () => void = () => undefined;
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk, _encoding, done) {
      pieces.push(String(chunk));
      free = done;
    },
  });
  const piped = pipeline(coalesce, slow);
  for (const text of ['a', 'b', 'c', 'd', 'e']) coalesce.write(text);
  coalesce.end();
  while (!slow.writableFinished) {
    await new Promise((resolve) => setImmediate(resolve));
    free();
  }
  await piped;
  expect(pieces.join('')).toBe('abcde');
  expect(pieces.length).toBeLessThan(4);
  expect(coalesce.bytes).toBe(5);
});

test('a tiny write comes out of the zstd pair without a later one', async () => {
  const writer = zstdWriter();
  const reader = zstdReader();
  const piped = pipeline(writer, reader);
  for (const text of ['one', 'two']) {
    const arrived = new Promise((resolve) =>
      reader.once('data', (bytes) => resolve(String(bytes))),
    );
    writer.write(text);
    expect(await arrived).toBe(text);
  }
  writer.end();
  await piped;
});
