import { connect, type Socket } from 'node:net';
import { checkSocketPath, fromWireError, SojournError } from '../common/index.ts';
import * as failure from './client-errors.ts';
import {
  type CallInput,
  type CallItem,
  type CallName,
  type CallOutput,
  contract,
  type StreamName,
} from './contract.ts';
import { describeIssues } from './issues.ts';
import { LineSplitter, parseLine } from './line-splitter.ts';
import {
  type Greeting,
  greeting,
  MAX_LINE_BYTES,
  PROTOCOL_VERSION,
  type ServerMessage,
  serverMessage,
} from './protocol.ts';

const GREETING_TIMEOUT_MS = 5000;

/** Calls that stay the same in every protocol version (see `protocol.ts`). */
const timelessCalls: ReadonlySet<CallName> = new Set(['agent.stop']);

export interface CallOptions<Name extends CallName> {
  /**
   * Aborting asks the agent to cancel. The call still settles with what really happened: usually a
   * `cancelled` error, but the result when it was too late.
   */
  readonly signal?: AbortSignal;
  readonly onItem?: Name extends StreamName ? (item: CallItem<Name>) => void : never;
}

interface Pending {
  readonly name: CallName;
  readonly onItem: ((item: never) => void) | undefined;
  readonly resolve: (result: never) => void;
  readonly reject: (error: SojournError) => void;
}

/** A connection to the agent. All calls of one connection run side by side. */
export class ApiClient {
  readonly greeting: Greeting;
  /** Resolves when the connection is gone, with the reason. */
  readonly closed: Promise<SojournError>;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #reason: SojournError | undefined;
  #resolveClosed: (reason: SojournError) => void = () => {};

  private constructor(socket: Socket, hello: Greeting) {
    this.#socket = socket;
    this.greeting = hello;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /**
   * Errors: `agent-not-running`, `agent-not-yours`, `agent-silent`, `not-an-agent`,
   * `too-many-connections`.
   */
  static connect(path: string, options: { timeoutMs?: number } = {}): Promise<ApiClient> {
    return new Promise((resolve, reject) => {
      checkSocketPath(path);
      const socket = connect(path);
      const splitter = new LineSplitter(MAX_LINE_BYTES);
      let client: ApiClient | undefined;
      const end = (error: SojournError) => {
        clearTimeout(timer);
        socket.destroy();
        if (client === undefined) reject(error);
        else client.#end(error);
      };
      const timer = setTimeout(
        () => end(failure.silent(path)),
        options.timeoutMs ?? GREETING_TIMEOUT_MS,
      );
      socket.on('error', (error) => end(failure.ofConnection(path, error)));
      socket.on('close', () => end(failure.gone()));
      socket.on('data', (chunk) => {
        try {
          for (const line of splitter.push(chunk as Buffer)) {
            if (client !== undefined) {
              client.#receive(line);
              continue;
            }
            client = new ApiClient(socket, readGreeting(path, line));
            clearTimeout(timer);
            resolve(client);
          }
        } catch (error) {
          end(error instanceof SojournError ? error : failure.malformed(error));
        }
      });
    });
  }

  /** Rejects with the agent's `SojournError`, or `agent-gone`, `agent-version`, `answer-malformed`. */
  call<Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    options: CallOptions<Name> = {},
  ): Promise<CallOutput<Name>> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== undefined) throw this.#reason;
      if (this.greeting.protocol !== PROTOCOL_VERSION && !timelessCalls.has(name)) {
        throw failure.version(this.greeting);
      }
      const id = this.#nextId++;
      const { signal, onItem } = options;
      const cancel = () => this.#send({ id, cancel: true });
      const settle = () => {
        signal?.removeEventListener('abort', cancel);
        this.#pending.delete(id);
      };
      this.#pending.set(id, {
        name,
        onItem,
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#send({ id, call: name, input });
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#end(failure.closedHere());
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#socket.unref();
  }

  #send(message: unknown): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  #receive(line: Buffer): void {
    const message = serverMessage.safeParse(parseLine(line));
    if (!message.success) throw failure.malformed(message.error);
    const { data } = message;
    if (!('id' in data)) throw fromWireError(data.error);
    const pending = this.#pending.get(data.id);
    if (pending !== undefined) settleOrPass(pending, data);
  }

  #end(reason: SojournError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    for (const { reject } of [...this.#pending.values()]) reject(reason);
    this.#resolveClosed(reason);
  }
}

function settleOrPass(pending: Pending, message: Extract<ServerMessage, { id: number }>): void {
  if ('error' in message) {
    pending.reject(fromWireError(message.error));
    return;
  }
  const shape = contract[pending.name];
  const isItem = 'item' in message;
  const schema = isItem ? ('item' in shape ? shape.item : undefined) : shape.output;
  const parsed = schema?.safeParse(isItem ? message.item : message.result);
  if (!parsed?.success) {
    const why =
      parsed === undefined ? 'an item from a call without items' : describeIssues(parsed.error);
    pending.reject(failure.malformed(new Error(`${pending.name}: ${why}`)));
    return;
  }
  // The mapped types of `call` promise this type; the schema just checked has proved it.
  if (isItem) pending.onItem?.(parsed.data as never);
  else pending.resolve(parsed.data as never);
}

function readGreeting(path: string, line: Buffer): Greeting {
  const value = parseLine(line);
  const hello = greeting.safeParse(value);
  if (hello.success) return hello.data;
  const refusal = serverMessage.safeParse(value);
  if (refusal.success && 'error' in refusal.data) throw fromWireError(refusal.data.error);
  throw failure.notAnAgent(path);
}
