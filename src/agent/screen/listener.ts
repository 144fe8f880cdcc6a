/**
 * `screen.sock` of the agent: programs of this user (the desktop app) look at screens here. The first line names the
 * guest, `{"guest":"<id>"}`; then it is the stream of `api/screen.ts`.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import type { GuestSpec } from '../../guest/spec.ts';
import { refuse, type Screens } from './screens.ts';

const MAX_CONNECTIONS = 32;
const MAX_REQUEST_BYTES = 256;
const REQUEST_TIMEOUT_MS = 5_000;
const request = z.strictObject({ guest: z.string().max(64) });

export interface ScreenListenerOptions {
  readonly path: string;
  readonly screens: Screens;
  /** @throws SojournError `guest-unknown` */
  readonly find: (reference: string) => GuestSpec;
}

export class ScreenListener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #path: string;

  private constructor(options: ScreenListenerOptions) {
    this.#path = options.path;
    this.#server = createServer((socket) => this.#accept(socket, options));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  static async listen(options: ScreenListenerOptions): Promise<ScreenListener> {
    const listener = new ScreenListener(options);
    // The state directory is locked by this agent: what is there was left by one that died.
    await rm(options.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject);
      listener.#server.listen(options.path, resolve);
    });
    await chmod(options.path, 0o600);
    return listener;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await rm(this.#path, { force: true });
  }

  #accept(socket: Socket, { screens, find }: ScreenListenerOptions): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
    const begin = async () => {
      const { guest } = request.parse(JSON.parse(await firstLine(socket)));
      socket.setTimeout(0);
      const screen = await screens.open(find(guest));
      screen.on('error', (error) => refuse(socket, error));
      screen.once('close', () => socket.end());
      socket.once('close', () => screen.destroy());
      screen.pipe(socket);
      socket.pipe(screen);
    };
    begin().catch((error: unknown) => refuse(socket, error));
  }
}

/** Leaves what follows the line in the socket. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = Buffer.alloc(0);
    const read = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
        text = Buffer.concat([text, chunk]);
        const end = text.indexOf('\n');
        if (end < 0 && text.length <= MAX_REQUEST_BYTES) continue;
        socket.off('readable', read);
        if (end < 0) return reject(new Error('no request of a screen'));
        socket.unshift(text.subarray(end + 1));
        return resolve(text.subarray(0, end).toString());
      }
    };
    socket.on('readable', read);
    socket.once('close', () => reject(new Error('closed before its request')));
  });
}
