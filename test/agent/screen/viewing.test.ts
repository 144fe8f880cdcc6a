import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Viewing } from '../../../src/agent/screen/viewing.ts';
import { ScreenFrames, type ScreenNote } from '../../../src/api/index.ts';
import { SojournError } from '../../../src/common/index.ts';

const HANDSHAKE = Buffer.from('RFB 003.008\n\x01\x01', 'latin1');
const key = (code: number) => Buffer.of(4, 1, 0, 0, 0, 0, 0, code);
const place = { id: 'a'.repeat(64), name: 'laptop' };
const cloud = { id: 'c'.repeat(64), name: 'cloud' };

interface Joined {
  readonly viewing: Viewing;
  /** The far ends: what a viewer and a display hold. */
  readonly viewer: Duplex;
  readonly display: Duplex;
  readonly notes: ScreenNote[];
  picture: Buffer;
  /** What has reached the display. */
  reached: Buffer;
}

function joined(): Joined {
  const [viewer, ours] = duplexPair();
  const [display, theirs] = duplexPair();
  // As the two ends of a socket.
  viewer.once('close', () => ours.destroy());
  display.once('close', () => theirs.destroy());
  theirs.once('close', () => display.destroy());
  const frames = new ScreenFrames();
  const viewing = new Viewing({ viewer: ours, display: theirs, place, guestName: 'desk' });
  const all: Joined = {
    ...{ viewing, viewer, display, notes: [] },
    picture: Buffer.alloc(0),
    reached: Buffer.alloc(0),
  };
  viewer.on('data', (chunk) => {
    for (const frame of frames.push(chunk)) {
      if (frame.kind === 'note') all.notes.push(frame.note);
      else all.picture = Buffer.concat([all.picture, frame.bytes]);
    }
  });
  display.on('data', (chunk) => {
    all.reached = Buffer.concat([all.reached, chunk]);
  });
  return all;
}

const last = ({ notes }: Joined) => notes.at(-1);
/** Everything that is under way in memory has arrived. */
const settle = () => delay(5);

test('pictures go one way, input the other, and what was taken is told', async () => {
  const all = joined();
  all.display.write('a picture');
  all.viewer.write(Buffer.concat([HANDSHAKE, key(1)]));
  await expect.poll(() => last(all)).toEqual({ kind: 'taken', bytes: HANDSHAKE.length + 8 });
  expect(all.notes[0]).toEqual({ kind: 'open', place, clipboard: false });
  expect(all.picture.toString()).toBe('a picture');
  expect(all.reached.equals(Buffer.concat([HANDSHAKE, key(1)]))).toBe(true);
  all.viewer.destroy();
  await all.viewing.ended;
  expect(all.display.destroyed).toBe(true);
});

test('what comes while the guest leaves does not reach it, and the viewer is told where it goes', async () => {
  const all = joined();
  all.viewer.write(Buffer.concat([HANDSHAKE, key(1)]));
  await settle();
  all.viewing.hold();
  all.viewer.write(key(2));
  await settle();
  expect(last(all)).toEqual({ kind: 'held' });
  all.viewing.moved(cloud);
  const bytes = HANDSHAKE.length + 8;
  await expect.poll(() => last(all)).toEqual({ kind: 'over', bytes, to: cloud, error: null });
  // And the release of what was down.
  expect(all.reached.length).toBe(bytes + 8);
});

test('keys that are down are let go of before the guest leaves; modifiers are pressed again if it stays', async () => {
  const all = joined();
  const shift = (down: number) => Buffer.of(4, down, 0, 0, 0, 0, 0xff, 0xe1);
  const release = Buffer.of(4, 0, 0, 0, 0, 0, 0, 1);
  all.viewer.write(Buffer.concat([HANDSHAKE, shift(1), key(1)]));
  await expect.poll(() => all.reached.length).toBe(HANDSHAKE.length + 16);
  all.viewing.hold();
  await expect.poll(() => all.reached.length).toBe(HANDSHAKE.length + 32);
  expect(all.reached.subarray(HANDSHAKE.length + 16)).toEqual(Buffer.concat([shift(0), release]));
  all.viewing.goOn();
  await expect.poll(() => all.reached.length).toBe(HANDSHAKE.length + 40);
  expect(all.reached.subarray(HANDSHAKE.length + 32)).toEqual(shift(1));
});

test('half a message stays with the viewer, who sends it whole', async () => {
  const all = joined();
  all.viewer.write(Buffer.concat([HANDSHAKE, key(1), key(2).subarray(0, 5)]));
  await settle();
  all.viewing.hold();
  all.viewing.moved(cloud);
  await settle();
  expect(last(all)).toMatchObject({ kind: 'over', bytes: HANDSHAKE.length + 8 });
  // And the release of what was down.
  expect(all.reached.length).toBe(HANDSHAKE.length + 16);
});

test('a guest that stays gets everything that waited, once', async () => {
  const all = joined();
  all.viewer.write(HANDSHAKE);
  await settle();
  all.viewing.hold();
  all.viewer.write(Buffer.concat([key(1), key(2)]));
  await settle();
  all.viewing.goOn();
  all.viewer.write(key(3));
  await expect.poll(() => all.reached.length).toBe(HANDSHAKE.length + 24);
  expect(all.reached.subarray(HANDSHAKE.length)).toEqual(Buffer.concat([key(1), key(2), key(3)]));
  expect(all.notes.map(({ kind }) => kind)).toContain('going-on');
});

test('keys go one after the other, and what waits for its turn was not taken', async () => {
  const all = joined();
  const text = Buffer.concat(Array.from({ length: 50 }, (_, code) => key(code)));
  all.viewer.write(Buffer.concat([HANDSHAKE, text]));
  await settle();
  const reached = all.reached.length;
  all.viewing.hold();
  // Some have gone, in order, and not all at once.
  expect(reached).toBeLessThan(HANDSHAKE.length + text.length);
  expect(all.reached.subarray(HANDSHAKE.length, reached)).toEqual(
    text.subarray(0, reached - HANDSHAKE.length),
  );
  all.viewing.moved(cloud);
  await expect.poll(() => last(all)).toMatchObject({ kind: 'over', bytes: reached });
});

test('a display that ends while the guest leaves waits for the word of its move', async () => {
  const all = joined();
  all.viewing.hold();
  all.display.destroy();
  await settle();
  expect(last(all)).toEqual({ kind: 'held' });
  all.viewing.moved(cloud);
  await expect.poll(() => last(all)).toMatchObject({ kind: 'over', to: cloud });
});

test('a display that ends otherwise is a guest that has ended', async () => {
  const all = joined();
  all.display.destroy();
  await expect
    .poll(() => last(all))
    .toMatchObject({
      kind: 'over',
      to: null,
      error: { code: 'not-running' },
    });
  await all.viewing.ended;
});

test('what no client says ends it, and nothing of it reaches the display', async () => {
  const all = joined();
  all.viewer.write(Buffer.concat([HANDSHAKE, Buffer.of(99)]));
  await expect.poll(() => last(all)).toMatchObject({ error: { code: 'screen-malformed' } });
  expect(all.reached.length).toBeLessThanOrEqual(HANDSHAKE.length);
});

test('an end has its reason', async () => {
  const all = joined();
  all.viewing.end(new SojournError({ kind: 'unreachable', code: 'agent-gone', message: 'Gone' }));
  await once(all.viewer, 'end');
  expect(last(all)).toMatchObject({ kind: 'over', error: { code: 'agent-gone' } });
});
