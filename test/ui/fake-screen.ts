/** A display as the agent would stream it: one still picture, and texts of somebody who means no good. */
import { type Duplex, duplexPair } from 'node:stream';
import {
  noteFrame,
  pictureFrames,
  RfbMessages,
  readClipboardMessage,
  type ScreenNote,
} from '../../src/api/index.ts';

const WIDTH = 320;
const HEIGHT = 200;
/** 32 bits a point, 24 of colour, little endian, true colour (RFC 6143, 7.4). */
const PIXEL_FORMAT = Buffer.of(32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0);

export interface FakeScreenOptions {
  readonly place: { readonly id: string; readonly name: string };
  /** Of the display's name and of the text that the guest copies. */
  readonly text: string;
}

export function fakeScreen({ place, text }: FakeScreenOptions): Duplex {
  const [ours, theirs] = duplexPair();
  ours.once('close', () => theirs.destroy());
  const say = (bytes: Buffer) => {
    for (const frame of pictureFrames(bytes)) theirs.write(frame);
  };
  const messages = new RfbMessages();
  const greetings = [
    () => say(Buffer.of(1, 1)),
    () => say(Buffer.alloc(4)),
    () => {
      const init = Buffer.alloc(8);
      init.writeUInt16BE(WIDTH, 0);
      init.writeUInt16BE(HEIGHT, 2);
      init.writeUInt32BE(Buffer.byteLength(text), 4);
      say(Buffer.concat([init.subarray(0, 4), PIXEL_FORMAT, init.subarray(4), Buffer.from(text)]));
    },
  ];
  theirs.on('data', (chunk: Buffer) => {
    for (const { bytes, kind } of messages.push(chunk)) {
      if (kind === 'handshake') greetings.shift()?.();
      else if (kind === 'request' && bytes[1] === 0) say(picture());
      else if (kind === 'clipboard')
        for (const note of answers(bytes, text)) theirs.write(noteFrame(note));
    }
  });
  theirs.write(noteFrame({ kind: 'open', place, clipboard: true }));
  say(Buffer.from('RFB 003.008\n'));
  return ours;
}

function picture(): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(WIDTH, 8);
  head.writeUInt16BE(HEIGHT, 10);
  const points = Buffer.alloc(WIDTH * HEIGHT * 4);
  for (let at = 0; at < WIDTH * HEIGHT; at++)
    points.writeUInt32LE(((at % WIDTH) << 8) | Math.floor(at / WIDTH), at * 4);
  return Buffer.concat([head, points]);
}

/** A guest in which somebody has copied the text. */
function answers(bytes: Uint8Array, text: string): ScreenNote[] {
  switch (readClipboardMessage(bytes)?.kind) {
    case 'peek':
      return [{ kind: 'clipboard', ready: true, problem: null }, { kind: 'copied' }];
    case 'request':
      return [{ kind: 'text', piece: text, more: false }];
    default:
      return [];
  }
}
