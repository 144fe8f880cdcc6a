import { expect, test } from 'vitest';
import { FirstPicture } from '../../src/ui/screen/first-picture.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** What QEMU 10.0 said to a viewer with the encodings of noVNC 1.7, up to the first picture's first rectangle. */
const GREETING = bytes(`
  524642203030332e3030380a 0101 00000000
  02d00190 2018000100ff00ff00ff100800000000 00000004 51454d55`);
const CLIPBOARD = bytes('03000000fffffff8 1b00000100000000');
const KEYS = bytes('00000001 0000000002d00190fffffefe');
const LIGHTS = bytes('00000001 0000000000010001fffffefb 00');
const SIZE = bytes('00000001 0000000002d00190fffffecc 01000000 000000000000000002d0019000000000');
const PICTURE = bytes('0000000f 0000000001ad000f00000007 5001');

const all = Buffer.concat([GREETING, CLIPBOARD, KEYS, LIGHTS, SIZE, PICTURE]);

test.each([1, 7, all.length])('updates without a picture are counted, in pieces of %i', (size) => {
  const first = new FirstPicture();
  const begun = all.length - PICTURE.length + 16;
  for (let at = 0; at < all.length; at += size) {
    first.push(all.subarray(at, at + size));
    const known = Math.min(at + size, all.length) >= begun;
    expect(first.updatesBefore).toBe(known ? 3 : undefined);
  }
});

test('an update that begins with the size, a name or a cursor, and then has a picture, is the picture', () => {
  const head = bytes('00000004');
  const size = bytes('0000000002d00190ffffff21');
  const name = bytes('0000000002d00190fffffecd 00000003 414243');
  const cursor = Buffer.concat([bytes('0000000000020003ffffff11'), Buffer.alloc(2 * 3 * 4 + 3)]);
  const raw = bytes('000000000001000100000000');
  const first = new FirstPicture();
  first.push(Buffer.concat([GREETING, LIGHTS, head, size, name, cursor]));
  expect(first.updatesBefore).toBeUndefined();
  first.push(raw);
  expect(first.updatesBefore).toBe(1);
});

test('colours, bells and a cursor with transparency are no pictures; what is not known may be one', () => {
  const colours = bytes('0100000000020000000000000000000000 00');
  const cursor = Buffer.concat([
    bytes('00000001 0000000000010001fffffec6'),
    Buffer.alloc(4 + 1 * 1 * 4),
  ]);
  const first = new FirstPicture();
  first.push(Buffer.concat([GREETING, colours, bytes('02'), cursor]));
  expect(first.updatesBefore).toBeUndefined();
  first.push(bytes('ff'));
  expect(first.updatesBefore).toBe(1);
});

test('a text that is said to be very long is not waited for', () => {
  const first = new FirstPicture();
  first.push(Buffer.concat([GREETING, KEYS, bytes('030000007fffffff')]));
  expect(first.updatesBefore).toBe(1);
});
