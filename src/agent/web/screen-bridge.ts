/**
 * One browser's WebSocket, joined to the screen of a guest (`api/screen.ts`): pictures are binary messages, notes are
 * text, and what the browser sends is RFB.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type ScreenFrame, ScreenFrames } from '../../api/index.ts';
import { asSojournError, errorText, toWireError } from '../../common/index.ts';

/** Not yet taken by the browser; nothing more is read from the screen above it, bytes. */
const MAX_UNSENT_BYTES = 1 << 20;
/** RFC 6455, 7.4.1. */
const CLOSE_NORMAL = 1000;
const CLOSE_UNSUPPORTED = 1003;

export function bridgeScreen(
  web: WebSocket,
  open: () => Promise<Duplex>,
  log: (problem: string) => void,
): void {
  // What comes before the screen is there waits in the socket.
  web.pause();
  web.on('error', (error) => log(errorText(error)));
  open()
    .then((screen) => join(web, screen, log))
    .catch((error: unknown) => refuse(web, error));
}

function join(web: WebSocket, screen: Duplex, log: (problem: string) => void): void {
  const frames = new ScreenFrames();
  web.on('message', (data, isBinary) => {
    if (!isBinary) return web.close(CLOSE_UNSUPPORTED);
    if (!screen.write(data as Buffer)) web.pause();
  });
  screen.on('drain', () => web.resume());
  const taken = () => {
    if (screen.isPaused() && web.bufferedAmount <= MAX_UNSENT_BYTES) screen.resume();
  };
  screen.on('data', (chunk: Buffer) => {
    try {
      for (const frame of frames.push(chunk)) send(web, frame, taken);
    } catch (error) {
      log(errorText(error));
      screen.destroy();
    }
    if (web.bufferedAmount > MAX_UNSENT_BYTES) screen.pause();
  });
  screen.on('error', (error) => refuse(web, error));
  screen.on('end', () => web.close(CLOSE_NORMAL));
  screen.on('close', () => web.close(CLOSE_NORMAL));
  web.on('close', () => screen.destroy());
  web.resume();
}

function send(web: WebSocket, frame: ScreenFrame, taken: () => void): void {
  const data = frame.kind === 'picture' ? frame.bytes : JSON.stringify(frame.note);
  web.send(data, { binary: frame.kind === 'picture' }, (error) => {
    if (error === undefined || error === null) taken();
  });
}

function refuse(web: WebSocket, cause: unknown): void {
  const error = toWireError(asSojournError(cause));
  // The browser's part of the closing has to be read.
  web.resume();
  web.send(JSON.stringify({ kind: 'over', bytes: 0, to: null, error }), { binary: false }, () =>
    web.close(CLOSE_NORMAL),
  );
}
