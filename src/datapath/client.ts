/** The agent's end of the control protocol, typed by the same schema. */
import { createConnection, type Socket } from 'node:net';
import { SojournError } from '../common/index.ts';
import {
  type CallName,
  calls,
  type DatapathEvent,
  eventMessage,
  MAX_LINE_BYTES,
  type Params,
  type Result,
  reply,
} from './control.ts';
import { JsonLineReader, jsonLine } from './json-lines.ts';

const DEFAULT_TIMEOUT_MS = 5_000;

interface Pending {
  resolve(value: unknown): void;
  reject(error: SojournError): void;
  readonly timer: NodeJS.Timeout;
}

export interface DatapathClientOptions {
  /** Called for each event; its presence subscribes. */
  readonly onEvent?: (event: DatapathEvent) => void;
  /** Of the connection, and of each call that names none. */
  readonly timeoutMs?: number;
}

export class DatapathClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: ((event: DatapathEvent) => void) | undefined;
  readonly #timeoutMs: number;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  #nextId = 1;

  private constructor(socket: Socket, options: DatapathClientOptions) {
    this.#socket = socket;
    this.#onEvent = options.onEvent;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const reader = new JsonLineReader(MAX_LINE_BYTES);
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) this.#receive(message);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // Its reason is passed on by `close`.
    let reason: unknown;
    socket.on('error', (error) => {
      reason = error;
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(gone(reason));
        resolve();
      });
    });
  }

  /** @throws SojournError `datapath-unreachable` */
  static async connect(path: string, options: DatapathClientOptions = {}): Promise<DatapathClient> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => socket.destroy(new Error('it does not accept connections')),
        options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      );
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(gone(error));
      });
    });
    const client = new DatapathClient(socket, options);
    if (options.onEvent !== undefined) await client.call('subscribe', {});
    return client;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  /** @throws SojournError that of the call; `datapath-unreachable` when it has not answered in time. */
  async call<Name extends CallName>(
    name: Name,
    params: Params<Name>,
    { timeoutMs = this.#timeoutMs }: { timeoutMs?: number } = {},
  ): Promise<Result<Name>> {
    if (this.#socket.destroyed) throw gone(undefined);
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle(id)?.reject(gone(new Error(`${name} had no answer after ${timeoutMs} ms`)));
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
    });
    this.#socket.write(jsonLine({ id, method: name, params }));
    return calls[name].result.parse(await answer) as Result<Name>;
  }

  async close(): Promise<void> {
    this.#socket.end();
    this.#socket.destroySoon();
    await this.closed;
  }

  #receive(message: unknown): void {
    const event = eventMessage.safeParse(message);
    if (event.success) {
      this.#onEvent?.(event.data);
      return;
    }
    const answer = reply.safeParse(message);
    // An event of a later version is no answer either.
    if (!answer.success) return;
    const pending = this.#settle(answer.data.id);
    if (answer.data.error === undefined) pending?.resolve(answer.data.result);
    else pending?.reject(new SojournError(answer.data.error));
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }
}

function gone(cause: unknown): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'datapath-unreachable',
    message:
      cause instanceof Error
        ? `The datapath does not answer: ${cause.message}`
        : 'The datapath does not answer',
    remedy: 'See datapath.log in the state directory; the agent starts it again by itself',
    cause,
  });
}
