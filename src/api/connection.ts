/** The agent's side of one client connection. Nothing a client sends makes it throw. */

import type { Socket } from 'node:net';
import type { z } from 'zod';
import { SojournError, toWireError } from '../common/index.ts';
import {
  type CallContext,
  type CallName,
  contract,
  type Handlers,
  isCallName,
} from './contract.ts';
import { describeIssues } from './issues.ts';
import { LineSplitter, parseLine } from './line-splitter.ts';
import { LineWriter } from './line-writer.ts';
import { type ClientMessage, clientMessage, type Greeting, MAX_LINE_BYTES } from './protocol.ts';

export interface Limits {
  readonly connections: number;
  /** Calls under way on one connection. */
  readonly calls: number;
  readonly partialLineTimeoutMs: number;
  /** Unread output at which a client is disconnected. */
  readonly outputBytes: number;
}

/** What a server tells its log; the agent decides how loudly. */
export type ServerLog = (
  event: 'client-error' | 'call-failed' | 'invalid-answer',
  details: { readonly call?: string; readonly error: unknown },
) => void;

export interface ConnectionOptions {
  readonly handlers: Handlers;
  readonly limits: Limits;
  readonly greeting: Greeting;
  readonly log: ServerLog;
}

interface Call {
  readonly name: CallName;
  readonly abort: AbortController;
}

/** How long a refused client may take to read why, ms. */
const LINGER_MS = 1000;
/** How long the calls of a closing server may take to end after they were cancelled, ms. */
const CLOSE_GRACE_MS = 1000;

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #writer: LineWriter;
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES);
  readonly #calls = new Map<number, Call>();
  #partialLine: NodeJS.Timeout | undefined;
  #refused = false;
  #closing = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#writer = new LineWriter(socket, options.limits.outputBytes);
    socket.on('error', (error) => options.log('client-error', { error }));
    socket.on('data', (chunk) => this.#read(chunk as Buffer));
    socket.on('drain', () => socket.resume());
    socket.on('close', () => this.#closed());
    this.#writer.answer(options.greeting);
  }

  /** Takes no more calls, cancels those under way and ends once they have been answered. */
  close(): void {
    this.#closing = true;
    for (const { abort } of this.#calls.values()) abort.abort();
    const grace = setTimeout(() => this.#socket.destroy(), CLOSE_GRACE_MS);
    this.#socket.once('close', () => clearTimeout(grace));
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#closing && this.#calls.size === 0) this.#socket.destroySoon();
  }

  #read(chunk: Buffer): void {
    if (this.#refused || this.#closing) return;
    try {
      for (const line of this.#splitter.push(chunk)) {
        this.#line(line);
        if (this.#refused) return;
      }
    } catch (error) {
      this.#refuse(
        refusal('line-too-long', error instanceof Error ? error.message : 'A line is malformed'),
      );
      return;
    }
    this.#watchPartialLine();
    if (this.#writer.behind) this.#socket.pause();
  }

  #watchPartialLine(): void {
    if (!this.#splitter.partial) {
      clearTimeout(this.#partialLine);
      this.#partialLine = undefined;
      return;
    }
    this.#partialLine ??= setTimeout(
      () => this.#refuse(refusal('line-unfinished', 'A line began and did not end in time')),
      this.#options.limits.partialLineTimeoutMs,
    );
  }

  #line(line: Buffer): void {
    const message = clientMessage.safeParse(parseLine(line));
    if (!message.success) {
      this.#refuse(refusal('message-malformed', 'A line is not a message of the agent interface'));
      return;
    }
    if ('cancel' in message.data) this.#calls.get(message.data.id)?.abort.abort();
    else this.#begin(message.data);
  }

  #begin(message: Extract<ClientMessage, { call: string }>): void {
    const { id, call, input } = message;
    if (this.#calls.has(id)) {
      this.#refuse(refusal('id-in-use', `Call id ${id} is in use`));
      return;
    }
    if (!isCallName(call)) {
      this.#fail(id, refusal('call-unknown', `This agent knows no call ${JSON.stringify(call)}`));
      return;
    }
    if (this.#calls.size >= this.#options.limits.calls) {
      this.#fail(id, tooManyCalls(this.#options.limits.calls));
      return;
    }
    const parsed = contract[call].input.safeParse(input);
    if (!parsed.success) {
      this.#fail(id, inputInvalid(call, parsed.error));
      return;
    }
    const begun = { name: call, abort: new AbortController() };
    this.#calls.set(id, begun);
    void this.#run(id, begun, parsed.data);
  }

  /** Never rejects. */
  async #run(id: number, call: Call, input: unknown): Promise<void> {
    const { name } = call;
    const shape = contract[name];
    const itemSchema = 'item' in shape ? shape.item : undefined;
    const context = {
      signal: call.abort.signal,
      emit: (item: unknown) => {
        // A late item must not reach the next call that uses this id.
        if (this.#calls.get(id) !== call || this.#socket.destroyed) return;
        const parsed = itemSchema?.safeParse(item);
        if (parsed?.success && this.#writer.item(id, parsed.data)) return;
        const error = parsed?.error ?? new Error('an item exceeds the line cap');
        this.#options.log('invalid-answer', { call: name, error });
      },
    };
    try {
      // The mapped types tie name, input and context together; this line cannot see that.
      const handler = this.#options.handlers[name] as (
        input: unknown,
        context: CallContext<never>,
      ) => Promise<unknown>;
      const result = this.#checked(name, await handler(input, context));
      this.#end(id);
      if (!this.#writer.answer({ id, result })) this.#fail(id, tooLarge(name));
    } catch (error) {
      this.#end(id);
      this.#options.log('call-failed', { call: name, error });
      this.#fail(id, error);
    }
    this.#endIfDone();
  }

  #checked(name: CallName, output: unknown): unknown {
    const parsed = contract[name].output.safeParse(output);
    if (parsed.success) return parsed.data;
    this.#options.log('invalid-answer', { call: name, error: parsed.error });
    throw new Error(`the agent's answer to ${name} is malformed: ${describeIssues(parsed.error)}`);
  }

  #end(id: number): void {
    this.#calls.delete(id);
    this.#writer.forget(id);
  }

  #fail(id: number, error: unknown): void {
    this.#writer.answer({ id, error: toWireError(error) });
  }

  /**
   * Says why and ends the connection. What still arrives is read and thrown away for a moment:
   * closing a unix socket with unread input would take the error from the client again.
   */
  #refuse(error: SojournError): void {
    if (this.#refused) return;
    this.#refused = true;
    this.#options.log('client-error', { error });
    this.#writer.answer({ error: toWireError(error) });
    this.#socket.end();
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once('close', () => clearTimeout(linger));
  }

  #closed(): void {
    clearTimeout(this.#partialLine);
    for (const { name, abort } of this.#calls.values()) {
      const shape = contract[name];
      const goesOn = 'onDisconnect' in shape && shape.onDisconnect === 'continue';
      if (!goesOn) abort.abort();
    }
  }
}

function refusal(code: string, message: string): SojournError {
  return new SojournError({ kind: 'usage', code, message });
}

/** The contract says in whole sentences what a person can get wrong; the rest is for programmers. */
function inputInvalid(call: CallName, error: z.ZodError): SojournError {
  const [first] = error.issues;
  // The library's own texts have a colon, or begin with Invalid.
  const isSentence = first !== undefined && /^(?!Invalid)[A-Z][^:]+$/.test(first.message);
  return new SojournError({
    kind: 'usage',
    code: 'input-invalid',
    message: isSentence
      ? first.message
      : `The request ${call} is not valid: ${describeIssues(error)}`,
    remedy: 'Correct it and try again; every command has --help',
  });
}

function tooManyCalls(limit: number): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'too-many-calls',
    message: `More than ${limit} calls are under way on one connection`,
    remedy: 'Wait for one of them to end',
  });
}

function tooLarge(name: CallName): SojournError {
  return new SojournError({
    kind: 'internal',
    code: 'answer-too-large',
    message: `The answer to ${name} exceeds ${MAX_LINE_BYTES} bytes`,
  });
}
