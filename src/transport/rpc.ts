/**
 * Calls in both directions over one channel. The channel is reliable across lost connections, so within
 * a session a request is delivered exactly once; when the *session* is lost, a caller cannot know
 * whether its call was carried out and is told so by the error's code (`session-lost` and the like).
 */

import type { Duplex } from 'node:stream';
import { fromWireError, SojournError, toWireError } from '../common/index.ts';
import {
  encodeMessage,
  MAX_MESSAGE_BYTES,
  MAX_TIMEOUT_MS,
  type Message,
  MessageSplitter,
} from './message.ts';
import { protocolViolation } from './violation.ts';

/** Requests of the peer that may be under way; further ones are refused. */
const MAX_SERVED = 64;
/** Calls of our own that may wait for an answer. */
const MAX_PENDING = 256;
/** Bytes of messages that the peer has not taken, beyond which nothing is added. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

export interface CallOptions {
  /** Deadline, ms; told to the peer too. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface CallContext {
  /** Aborted when the caller gives up, the deadline has passed, or the session ends. */
  readonly signal: AbortSignal;
}

/** Validates `params` itself; a SojournError it throws reaches the caller as it is. */
export type CallHandler = (params: unknown, context: CallContext) => unknown;
export type NotificationHandler = (params: unknown) => void;

interface Pending {
  readonly method: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Rpc {
  readonly #channel: Duplex;
  readonly #fault: (error: unknown) => void;
  readonly #splitter = new MessageSplitter();
  readonly #handlers = new Map<string, CallHandler>();
  readonly #notified = new Map<string, NotificationHandler>();
  readonly #pending = new Map<number, Pending>();
  readonly #served = new Map<number, AbortController>();
  #lastId = 0;
  #closed: SojournError | undefined;

  /** `fault` is told when the peer breaks the protocol or a handler of notifications throws. */
  constructor(channel: Duplex, fault: (error: unknown) => void) {
    this.#channel = channel;
    this.#fault = fault;
    channel.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /** Calls that wait for an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Errors: what the peer's handler threw; `peer-timeout`; `call-cancelled`; `rpc-too-large`; `rpc-busy`;
   * `method-unknown`; and what ended the session.
   */
  async call(method: string, params: unknown, options: CallOptions): Promise<unknown> {
    if (this.#closed !== undefined) throw this.#closed;
    if (options.signal?.aborted) throw cancelled(method);
    if (this.#pending.size >= MAX_PENDING) throw busy();
    const timeoutMs = Math.ceil(Math.min(Math.max(options.timeoutMs, 1), MAX_TIMEOUT_MS));
    this.#lastId += 1;
    const id = this.#lastId;
    this.#send({ id, call: method, params: params ?? null, timeoutMs });
    const abort = () => this.#giveUp(id, cancelled(method));
    const timer = setTimeout(() => this.#giveUp(id, timedOut(method, timeoutMs)), timeoutMs);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { method, resolve, reject });
      });
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      this.#pending.delete(id);
    }
  }

  /** Errors: `rpc-too-large`, `rpc-busy`, and what ended the session. */
  notify(method: string, params: unknown): void {
    if (this.#closed !== undefined) throw this.#closed;
    this.#send({ notify: method, params: params ?? null });
  }

  handle(method: string, handler: CallHandler): void {
    this.#handlers.set(method, handler);
  }

  onNotification(method: string, handler: NotificationHandler): void {
    this.#notified.set(method, handler);
  }

  /** The session is over. */
  close(reason: SojournError): void {
    this.#closed ??= reason;
    for (const { reject } of this.#pending.values()) reject(reason);
    for (const controller of this.#served.values()) controller.abort(reason);
  }

  #giveUp(id: number, error: SojournError): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    pending.reject(error);
    if (this.#closed === undefined && this.#channel.writableLength < MAX_QUEUED_BYTES) {
      this.#send({ cancel: id });
    }
  }

  #send(value: Message): void {
    if (this.#channel.writableLength >= MAX_QUEUED_BYTES) throw busy();
    const bytes = encodeMessage(value);
    if (bytes === undefined) throw tooLarge();
    this.#channel.write(bytes);
  }

  #read(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk, (value) => this.#dispatch(value));
    } catch (error) {
      this.#fault(error);
    }
  }

  #dispatch(value: Message): void {
    if (this.#closed !== undefined) return;
    if ('notify' in value) {
      this.#notified.get(value.notify)?.(value.params);
    } else if ('cancel' in value) {
      this.#served.get(value.cancel)?.abort(cancelled('the call'));
    } else if ('call' in value) {
      void this.#serve(value.id, value.call, value.params, value.timeoutMs);
    } else {
      if (value.id > this.#lastId) throw protocolViolation('an answer to a call never made');
      // An answer to a call that was given up is nobody's.
      const pending = this.#pending.get(value.id);
      if ('error' in value) pending?.reject(fromWireError(value.error));
      else pending?.resolve(value.result);
    }
  }

  /** Never rejects. */
  async #serve(id: number, method: string, params: unknown, timeoutMs: number): Promise<void> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(timedOut(method, timeoutMs)), timeoutMs);
    let answer: Message;
    try {
      if (this.#served.has(id)) throw protocolViolation('a call id used twice');
      if (this.#served.size >= MAX_SERVED) throw busy();
      const handler = this.#handlers.get(method);
      if (handler === undefined) throw unknownMethod(method);
      this.#served.set(id, controller);
      try {
        answer = { id, result: (await handler(params, { signal: controller.signal })) ?? null };
      } finally {
        this.#served.delete(id);
      }
    } catch (error) {
      answer = { id, error: toWireError(error) };
    } finally {
      clearTimeout(timer);
    }
    if (this.#closed === undefined) this.#answer(id, answer);
  }

  #answer(id: number, answer: Message): void {
    try {
      this.#send(answer);
    } catch (error) {
      if (error instanceof SojournError && error.code === 'rpc-busy') {
        // The peer calls and never reads the answers.
        this.#fault(error);
      } else {
        this.#send({ id, error: toWireError(error) });
      }
    }
  }
}

function cancelled(method: string): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'call-cancelled',
    message: `${method} at the other place was cancelled`,
  });
}

function timedOut(method: string, timeoutMs: number): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'peer-timeout',
    message: `The other place did not answer ${method} within ${timeoutMs / 1000} s`,
    remedy: 'Check the network and that the agent there is not overloaded, then try again',
  });
}

function tooLarge(): SojournError {
  return new SojournError({
    kind: 'internal',
    code: 'rpc-too-large',
    message: `A message for the other place has more than ${MAX_MESSAGE_BYTES} bytes`,
  });
}

function busy(): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'rpc-busy',
    message: 'Too many calls to the other place wait for an answer',
    remedy: 'Try again when it answers again',
  });
}

function unknownMethod(method: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'method-unknown',
    message: `The other place does not know ${method}`,
    remedy: 'Update Sojourn at both places',
  });
}
