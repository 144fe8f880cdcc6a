/** The datapath's end of the control protocol. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { asSojournError, SojournError } from '../common/index.ts';
import {
  type CallName,
  calls,
  type DatapathEvent,
  type Handlers,
  MAX_LINE_BYTES,
  request,
} from './control.ts';
import { JsonLineReader, jsonLine } from './json-lines.ts';

const MAX_CLIENTS = 16;
/** Events kept while nobody has subscribed. */
const MAX_KEPT_EVENTS = 256;
/** Bytes a client may leave unread before it is cut off. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

type ServerHandlers = Omit<Handlers, 'subscribe'>;

export class ControlServer {
  readonly #path: string;
  readonly #handlers: ServerHandlers;
  readonly #clients = new Set<Socket>();
  readonly #subscribers = new Set<Socket>();
  #kept: DatapathEvent[] = [];
  #server: Server | undefined;

  constructor(path: string, handlers: ServerHandlers) {
    this.#path = path;
    this.#handlers = handlers;
  }

  async listen(): Promise<void> {
    await rm(this.#path, { force: true });
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#path, resolve);
    });
    await chmod(this.#path, 0o600);
    this.#server = server;
  }

  emit(event: DatapathEvent): void {
    if (this.#subscribers.size === 0) {
      this.#kept = [...this.#kept, event].slice(-MAX_KEPT_EVENTS);
      return;
    }
    for (const socket of this.#subscribers) this.#send(socket, event);
  }

  /** Ends when all replies have been handed over. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    for (const socket of this.#clients) socket.end();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    await rm(this.#path, { force: true });
  }

  #accept(socket: Socket): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      socket.destroy();
      return;
    }
    this.#clients.add(socket);
    const reader = new JsonLineReader(MAX_LINE_BYTES);
    let last = Promise.resolve();
    // The reason shows as `close`.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#clients.delete(socket);
      this.#subscribers.delete(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      let messages: unknown[];
      try {
        messages = reader.push(chunk);
      } catch (error) {
        const refusal = malformed((error as Error).message);
        socket.end(jsonLine({ id: 0, error: wire(refusal) }));
        socket.removeAllListeners('data');
        return;
      }
      for (const message of messages) last = last.then(() => this.#serve(socket, message));
    });
  }

  /** Never rejects: whatever goes wrong is the answer. */
  async #serve(socket: Socket, message: unknown): Promise<void> {
    const parsed = request.safeParse(message);
    if (!parsed.success) {
      this.#send(socket, { id: 0, error: wire(malformed(parsed.error.message)) });
      return;
    }
    const { id, method, params } = parsed.data;
    try {
      const result = await this.#call(method, params ?? {});
      this.#send(socket, { id, result });
      if (method === 'subscribe') this.#subscribe(socket);
    } catch (error) {
      this.#send(socket, { id, error: wire(asSojournError(error)) });
    }
  }

  async #call(method: string, params: unknown): Promise<unknown> {
    if (!Object.hasOwn(calls, method)) throw malformed(`there is no call "${method}"`);
    const name = method as CallName;
    const parsed = calls[name].params.safeParse(params);
    if (!parsed.success) throw malformed(`${method}: ${parsed.error.message}`);
    if (name === 'subscribe') return {};
    const handler = this.#handlers[name] as (input: unknown) => Promise<unknown>;
    return await handler(parsed.data);
  }

  #subscribe(socket: Socket): void {
    if (socket.destroyed) return;
    this.#subscribers.add(socket);
    const kept = this.#kept;
    this.#kept = [];
    for (const event of kept) this.#send(socket, event);
  }

  #send(socket: Socket, value: unknown): void {
    if (socket.destroyed) return;
    if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
    else socket.write(jsonLine(value));
  }
}

function malformed(why: string): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'control-malformed',
    message: `The datapath does not understand the message: ${why.replace(/\s+/g, ' ').slice(0, 500)}`,
  });
}

function wire({ kind, code, message, remedy }: SojournError) {
  return { kind, code, message, remedy };
}
