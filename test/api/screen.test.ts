import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MAX_CLIENT_MESSAGE,
  MAX_SCREEN_FRAME,
  noteFrame,
  pictureFrames,
  RfbMessages,
  type ScreenFrame,
  ScreenFrames,
} from '../../src/api/index.ts';

const HANDSHAKE = Buffer.from('RFB 003.008\n\x01\x01', 'latin1');
/** One of each, with its length and kind. */
const MESSAGES: readonly (readonly [Buffer, string])[] = [
  [Buffer.concat([Buffer.of(0), Buffer.alloc(19)]), 'other'],
  [Buffer.concat([Buffer.of(2, 0, 0, 2), Buffer.alloc(8)]), 'other'],
  [Buffer.concat([Buffer.of(3, 1), Buffer.alloc(8)]), 'request'],
  [Buffer.of(4, 1, 0, 0, 0, 0, 0, 97), 'input'],
  [Buffer.of(5, 1, 0, 10, 0, 20), 'input'],
  [Buffer.concat([Buffer.of(6, 0, 0, 0, 0, 0, 0, 3), Buffer.from('abc')]), 'clipboard'],
  [Buffer.concat([Buffer.of(6, 0, 0, 0, 255, 255, 255, 252), Buffer.alloc(4)]), 'clipboard'],
  [Buffer.of(250, 0, 1, 2), 'other'],
  [Buffer.concat([Buffer.of(251, 0, 4, 0, 3, 0, 1, 0), Buffer.alloc(16)]), 'other'],
  [Buffer.concat([Buffer.of(255, 0), Buffer.alloc(10)]), 'input'],
];

describe('what a client of RFB sends', () => {
  test('is cut into the same messages however it arrives', () => {
    const all = Buffer.concat([HANDSHAKE, ...MESSAGES.map(([bytes]) => bytes)]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 40 }), (sizes) => {
        const messages = new RfbMessages();
        const said = [];
        let at = 0;
        for (const size of [...sizes, all.length]) {
          said.push(...messages.push(all.subarray(at, at + size)));
          at += size;
        }
        expect(said.slice(0, 3).map(({ kind }) => kind)).toEqual(Array(3).fill('handshake'));
        expect(said.slice(3).map(({ bytes, kind }) => [Buffer.from(bytes), kind])).toEqual(
          MESSAGES,
        );
      }),
    );
  });

  test.each([
    ['a message that no client has', Buffer.of(99)],
    ['a QEMU message that none has', Buffer.of(255, 7)],
    ['text without end', Buffer.of(6, 0, 0, 0, 0x7f, 255, 255, 255)],
  ])('%s ends it', (_what, bytes) => {
    const messages = new RfbMessages();
    messages.push(HANDSHAKE);
    expect(() => messages.push(bytes)).toThrow();
  });

  test('the longest text is taken', () => {
    const head = Buffer.of(6, 0, 0, 0, 0, 0, 0, 0);
    head.writeInt32BE(MAX_CLIENT_MESSAGE - 8, 4);
    const messages = new RfbMessages();
    messages.push(HANDSHAKE);
    expect(messages.push(Buffer.concat([head, Buffer.alloc(MAX_CLIENT_MESSAGE - 8)]))).toHaveLength(
      1,
    );
  });
});

describe('frames of a screen', () => {
  const place = { id: 'a'.repeat(64), name: 'laptop' };

  test('arrive whole, in any pieces', () => {
    const picture = Buffer.alloc(MAX_SCREEN_FRAME + 5, 7);
    const stream = Buffer.concat([
      noteFrame({ kind: 'open', place, clipboard: false }),
      ...pictureFrames(picture),
      noteFrame({ kind: 'over', bytes: 9, to: null, error: null }),
    ]);
    for (const size of [1, 3, 1000, stream.length]) {
      const frames = new ScreenFrames();
      const got: ScreenFrame[] = [];
      for (let at = 0; at < stream.length; at += size)
        got.push(...frames.push(stream.subarray(at, at + size)));
      expect(got.map(({ kind }) => kind)).toEqual(['note', 'picture', 'picture', 'note']);
      const pictures = got.flatMap((one) => (one.kind === 'picture' ? [one.bytes] : []));
      expect(Buffer.concat(pictures).equals(picture)).toBe(true);
    }
  });

  test.each([
    ['too long', Buffer.of(1, 0, 1, 0, 1)],
    ['of an unknown kind', Buffer.of(3, 0, 0, 0, 0)],
    ['a note that is none', Buffer.concat([Buffer.of(2, 0, 0, 0, 2), Buffer.from('{}')])],
  ])('%s: refused', (_what, bytes) => {
    expect(() => [...new ScreenFrames().push(bytes)]).toThrow();
  });
});
