import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A client that speaks bytes, for what the typed client would never send. */
export class RawClient {
  readonly socket: Socket;
  /** Resolves with the last line received when the connection is gone. */
  readonly ended: Promise<string>;
  readonly #lines: string[] = [];
  #rest = '';
  #changed = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const lines = `${this.#rest}${chunk}`.split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    this.ended = new Promise((resolve) =>
      socket.on('close', () => resolve(this.#lines.at(-1) ?? '')),
    );
  }

  static async connect(path: string): Promise<RawClient> {
    const client = new RawClient(connect(path));
    await once(client.socket, 'connect');
    return client;
  }

  /** The first `count` lines, as JSON. */
  async lines(count: number): Promise<unknown[]> {
    for (;;) {
      if (this.#lines.length >= count) {
        return this.#lines.slice(0, count).map((line) => JSON.parse(line));
      }
      await this.#changed.promise;
    }
  }

  send(message: unknown): void {
    this.socket.write(`${JSON.stringify(message)}\n`);
  }
}
