/** One TLS connection that carries frames: the only place where frames meet a socket. */

import type { TLSSocket } from 'node:tls';
import { toWireError } from '../common/index.ts';
import { encodeHeader, type Frame, FrameParser, FrameType } from './frame.ts';

/** Time that a GOODBYE has to get out before the socket is destroyed, ms. */
const LINGER_MS = 1_000;

export interface ConnectionHandlers {
  frame(frame: Frame): void;
  /** The socket has taken everything that was queued. */
  drain(): void;
  /** Thrown by the parser or by `frame`: the peer broke the protocol. */
  fault(error: unknown): void;
  /** Once, unless `destroy` or `goodbye` was called before. */
  closed(error: Error | undefined): void;
}

export class Connection {
  readonly socket: TLSSocket;
  /** Agreed on by HELLO. */
  version = 1;
  readonly #parser = new FrameParser();
  #handlers: ConnectionHandlers | undefined;
  #error: Error | undefined;
  #ended = false;

  /** The connection begins to read at once: `handlers` see every frame from the first on. */
  constructor(socket: TLSSocket, handlers: ConnectionHandlers) {
    this.socket = socket;
    this.#handlers = handlers;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#handlers?.drain());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#handlers?.closed(this.#error);
      this.#handlers = undefined;
    });
  }

  /** From the next frame on, also of those that came in the same chunk. */
  set handlers(handlers: ConnectionHandlers) {
    this.#handlers = handlers;
  }

  /** False once the socket is closed or being closed. */
  get open(): boolean {
    return !this.#ended && !this.socket.destroyed;
  }

  /** Bytes that were written and that the kernel has not taken yet. */
  get queued(): number {
    return this.socket.writableLength;
  }

  cork(): void {
    this.socket.cork();
  }

  uncork(): void {
    this.socket.uncork();
  }

  /** Errors of the socket show in `closed`. */
  send(
    type: FrameType,
    channel: number,
    payload: readonly Buffer[],
    length: number,
    offset = 0,
    ackNow = false,
  ): void {
    if (!this.open) return;
    this.socket.write(encodeHeader(this.version, type, channel, length, offset, ackNow));
    for (const piece of payload) this.socket.write(piece);
  }

  sendJson(type: FrameType, value: unknown): void {
    const payload = Buffer.from(JSON.stringify(value));
    this.cork();
    this.send(type, 0, [payload], payload.length);
    this.uncork();
  }

  /**
   * Tells the peer why, and closes. No handler is called any more. Resolves when the socket is closed,
   * after a second at the latest.
   */
  async goodbye(reason: unknown): Promise<void> {
    if (!this.open) return;
    this.sendJson(FrameType.goodbye, toWireError(reason));
    this.#handlers = undefined;
    this.#ended = true;
    this.socket.end();
    // Keep reading, or what is unread makes the kernel send RST, which can overtake the GOODBYE.
    this.socket.resume();
    const linger = setTimeout(() => this.socket.destroy(), LINGER_MS);
    await new Promise<void>((resolve) => this.socket.once('close', resolve));
    clearTimeout(linger);
  }

  /** No handler is called any more. */
  destroy(): void {
    this.#handlers = undefined;
    this.#ended = true;
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      this.#parser.push(chunk, (frame) => this.#handlers?.frame(frame));
    } catch (error) {
      this.#handlers?.fault(error);
    }
  }
}
