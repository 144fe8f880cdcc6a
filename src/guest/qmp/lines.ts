/**
 * Generic framing under QMP and the guest agent's protocol: text lines over a stream socket, ended by
 * LF (a CR before it is dropped). It never stops reading, so that the sender never waits for us.
 */
import type { Socket } from 'node:net';
import { QmpProtocolError } from './errors.ts';

const LF = 0x0a;
const CR = 0x0d;

export interface LineHandlers {
  /** One line without its end. The buffer is only valid during the call. */
  readonly line: (line: Buffer) => void;
  /** Called exactly once. `undefined`: the other side ended the connection in good order. */
  readonly closed: (error: Error | undefined) => void;
}

export class LineStream {
  readonly #socket: Socket;
  readonly #handlers: LineHandlers;
  readonly #maxLineBytes: number;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #error: Error | undefined;

  constructor(socket: Socket, maxLineBytes: number, handlers: LineHandlers) {
    this.#socket = socket;
    this.#maxLineBytes = maxLineBytes;
    this.#handlers = handlers;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.once('close', () => this.#handlers.closed(this.#error));
  }

  send(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  /** Bytes outside the framing, one per character (latin1). */
  sendRaw(bytes: string): void {
    this.#socket.write(bytes, 'latin1');
  }

  /** Closes at once; what was queued for sending is lost. */
  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length && !this.#socket.destroyed) {
      const end = chunk.indexOf(LF, from);
      const part = chunk.subarray(from, end === -1 ? chunk.length : end);
      if (this.#partialBytes + part.length > this.#maxLineBytes) {
        this.destroy(new QmpProtocolError(`a line is longer than ${this.#maxLineBytes} bytes`));
        return;
      }
      if (end === -1) {
        this.#partial.push(part);
        this.#partialBytes += part.length;
        return;
      }
      from = end + 1;
      this.#deliver(part);
    }
  }

  #deliver(last: Buffer): void {
    let line = last;
    if (this.#partial.length > 0) {
      line = Buffer.concat([...this.#partial, last]);
      this.#partial = [];
      this.#partialBytes = 0;
    }
    if (line.at(-1) === CR) line = line.subarray(0, -1);
    if (line.length > 0) this.#handlers.line(line);
  }
}
