import type { Socket } from 'node:net';
import { MAX_LINE_BYTES, OUTPUT_HIGH_WATER_BYTES } from './protocol.ts';

/**
 * Writes JSON lines to a client that may read slowly. Answers are written at once, because the number
 * of calls bounds them. Items of streams wait, the newest of each call only, while the client is behind.
 */
export class LineWriter {
  readonly #socket: Socket;
  readonly #maxOutputBytes: number;
  readonly #waiting = new Map<number, string>();

  constructor(socket: Socket, maxOutputBytes: number) {
    this.#socket = socket;
    this.#maxOutputBytes = maxOutputBytes;
    socket.on('drain', () => this.#flush());
  }

  /** Whether the client is so far behind that nothing more should be asked of the agent for it. */
  get behind(): boolean {
    return this.#socket.writableLength > OUTPUT_HIGH_WATER_BYTES;
  }

  /** False when the message exceeds the line cap; nothing is sent then. */
  answer(message: unknown): boolean {
    const line = encode(message);
    if (line === undefined) return false;
    this.#write(line);
    return true;
  }

  item(id: number, item: unknown): boolean {
    const line = encode({ id, item });
    if (line === undefined) return false;
    if (this.behind) this.#waiting.set(id, line);
    else this.#write(line);
    return true;
  }

  /** The call has ended; an item of it that still waits is out of date. */
  forget(id: number): void {
    this.#waiting.delete(id);
  }

  #flush(): void {
    for (const [id, line] of this.#waiting) {
      if (this.behind) return;
      this.#waiting.delete(id);
      this.#write(line);
    }
  }

  #write(line: string): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.write(line);
    if (this.#socket.writableLength > this.#maxOutputBytes) this.#socket.destroy();
  }
}

function encode(message: unknown): string | undefined {
  const line = `${JSON.stringify(message)}\n`;
  return Buffer.byteLength(line) > MAX_LINE_BYTES ? undefined : line;
}
