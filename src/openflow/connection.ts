/**
 * One OpenFlow connection over any duplex stream; the same for a controller and a switch (OpenFlow 1.3.5, 6.3).
 *
 *   hello, both ways -> ready -> messages -> closed
 *
 * It answers echo requests, finds out when the peer is gone, matches answers with requests by xid, refuses what cannot be
 * understood with the error of the specification, and stops reading while the peer does not read its answers.
 */
import type { Duplex } from 'node:stream';
import { asSojournError, type SojournError } from '../common/index.ts';
import { type Clock, steadyClock } from './clock.ts';
import { decodeMessage, type Envelope, encodeMessage, errorMessage } from './codec/codec.ts';
import { unreachable, wrongAnswer } from './connection-errors.ts';
import { OpenFlowError } from './errors.ts';
import { MessageFramer } from './framing.ts';
import {
  KEEPALIVE,
  type KeepalivePolicy,
  type KeepaliveState,
  keepaliveStep,
} from './keepalive.ts';
import type { Message, MessageOf, MessageType } from './messages.ts';
import type { MultipartReplyBody, MultipartRequestBody } from './multipart.ts';
import {
  ASSEMBLY_LIMITS,
  type AssemblyLimits,
  encodeReply,
  encodeRequest,
} from './multipart-parts.ts';
import { type Answer, PendingRequests } from './pending.ts';
import { ourHello, refuseVersion } from './version.ts';

export interface ConnectionLimits {
  /** Unsent bytes above which `offer` drops. */
  readonly dropBytes: number;
  /**
   * Unsent bytes above which nothing more is read, for the end that answers requests. Only one end may have such a limit,
   * or both might wait for each other.
   */
  readonly pauseBytes: number;
  /** Unsent bytes at which the connection is given up: answers to one message, or a sender that does not wait. */
  readonly closeBytes: number;
  /** Requests of ours without an answer. */
  readonly requests: number;
  readonly assembly: AssemblyLimits;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  dropBytes: 256 * 1024,
  pauseBytes: Number.POSITIVE_INFINITY,
  closeBytes: 64 * 1024 * 1024,
  requests: 4096,
  assembly: ASSEMBLY_LIMITS,
};

/** Unsent bytes that `drained` does not wait for. */
const DRAINED_BYTES = 256 * 1024;
/** What was written last, such as the error that says why, has this long to go out. */
const LINGER_MS = 2_000;
/** From the connection to the peer's hello. */
const HELLO_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** A timer that is late by more tells that this process did not run. */
const STALLED_MS = 500;

export interface ConnectionHandler {
  /** Both hellos are through. */
  ready?(): void;
  /**
   * A message that answers nothing and is no echo. An OpenFlowError that it throws goes to the peer.
   * @param length bytes on the wire
   */
  message(envelope: Envelope, length: number): void;
  /** Once, after the last message. */
  closed(reason: SojournError): void;
}

export interface ConnectionOptions {
  readonly stream: Duplex;
  readonly handler: ConnectionHandler;
  readonly clock?: Clock;
  readonly keepalive?: KeepalivePolicy;
  readonly limits?: Partial<ConnectionLimits>;
}

export class OpenFlowConnection {
  readonly #stream: Duplex;
  readonly #handler: ConnectionHandler;
  readonly #clock: Clock;
  readonly #policy: KeepalivePolicy;
  readonly #limits: ConnectionLimits;
  readonly #framer = new MessageFramer();
  readonly #pending: PendingRequests;
  #state: 'greeting' | 'ready' | 'closed' = 'greeting';
  #keepalive: KeepaliveState;
  #stopTimer: () => void;
  #xid = 0;
  #reading = true;
  #working = false;
  #drained: (() => void)[] = [];

  constructor(options: ConnectionOptions) {
    const { stream, handler, clock = steadyClock, keepalive = KEEPALIVE } = options;
    this.#stream = stream;
    this.#handler = handler;
    this.#clock = clock;
    this.#policy = keepalive;
    this.#limits = { ...CONNECTION_LIMITS, ...options.limits };
    const { requests, assembly } = this.#limits;
    this.#pending = new PendingRequests(clock, requests, REQUEST_TIMEOUT_MS, assembly);
    this.#keepalive = { heardAt: clock.now() };
    this.#stopTimer = clock.after(HELLO_TIMEOUT_MS, () =>
      this.#fail('openflow-no-hello', 'The peer sent no OpenFlow hello'),
    );
    stream.on('data', (chunk: Buffer) => this.#received(chunk));
    stream.on('drain', () => this.#onDrain());
    stream.on('error', (error) => this.#end(unreachable('openflow-closed', error.message, error)));
    stream.on('close', () => this.#fail('openflow-closed', 'The OpenFlow connection was closed'));
    stream.on('end', () =>
      this.#fail('openflow-closed', 'The peer closed the OpenFlow connection'),
    );
    this.send(ourHello);
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Bytes that the peer has not taken. */
  get unsent(): number {
    return this.#stream.writableLength;
  }

  /** An xid that no request of ours waits with. */
  nextXid(): number {
    do this.#xid = (this.#xid + 1) >>> 0;
    while (this.#xid === 0 || this.#pending.has(this.#xid));
    return this.#xid;
  }

  /** @returns the xid. A message after the end is dropped. @throws RangeError as `encodeMessage`. */
  send(message: Message, xid = this.nextXid()): number {
    this.#write(encodeMessage(xid, message));
    return xid;
  }

  /** A message that is left out when the peer does not keep up. @returns whether it was sent. */
  offer(message: Message): boolean {
    if (this.#state !== 'ready' || this.unsent > this.#limits.dropBytes) return false;
    this.send(message, 0);
    return true;
  }

  /** The answer to a multipart request, in as many parts as it takes. */
  reply(xid: number, body: MultipartReplyBody): void {
    for (const part of encodeReply(xid, body)) this.#write(part);
  }

  /**
   * @returns the answer. Rejects with OpenFlowError when the peer refuses, SojournError `openflow-no-answer` or
   *   what the connection ended with.
   */
  async request<T extends MessageType>(message: Message, answer: T): Promise<MessageOf<T>> {
    const got = await this.#ask(message.type, (xid) => this.send(message, xid));
    if (got.type !== answer) throw wrongAnswer(got.type);
    return got as MessageOf<T>;
  }

  /** The same for a multipart request, whose answer is put together. */
  async multipart<K extends MultipartRequestBody['kind']>(
    body: Extract<MultipartRequestBody, { readonly kind: K }>,
  ): Promise<Extract<MultipartReplyBody, { readonly kind: K }>> {
    const got = await this.#ask(`${body.kind} request`, (xid) => {
      for (const part of encodeRequest(xid, body)) this.#write(part);
    });
    if (got.type !== 'multipart-reply' || got.body.kind !== body.kind) throw wrongAnswer(got.type);
    return got.body as Extract<MultipartReplyBody, { readonly kind: K }>;
  }

  async barrier(): Promise<void> {
    await this.request({ type: 'barrier-request' }, 'barrier-reply');
  }

  /** Resolves when a reasonable amount of what was sent is taken, or at the end. */
  drained(): Promise<void> {
    if (this.#state === 'closed' || this.unsent <= DRAINED_BYTES) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  close(): void {
    this.#fail('openflow-closed', 'The OpenFlow connection was closed here');
  }

  #ask(what: string, send: (xid: number) => void): Promise<Answer> {
    if (this.#state === 'closed')
      return Promise.reject(unreachable('openflow-closed', 'The OpenFlow connection is closed'));
    const xid = this.nextXid();
    const answer = this.#pending.expect(xid, what);
    if (this.#pending.has(xid)) send(xid);
    return answer;
  }

  #write(bytes: Buffer): void {
    if (this.#state === 'closed') return;
    this.#stream.write(bytes);
    if (this.unsent > this.#limits.closeBytes)
      this.#fail('openflow-slow-peer', 'The OpenFlow peer does not read what it is sent');
    else if (this.unsent > this.#limits.pauseBytes) this.#pause();
  }

  #pause(): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#stream.pause();
  }

  #onDrain(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
    if (this.#reading || this.#state === 'closed') return;
    this.#reading = true;
    this.#stream.resume();
    this.#work();
  }

  #received(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.#keepalive = { heardAt: this.#clock.now() };
    this.#framer.push(chunk);
    this.#work();
  }

  /** Takes messages until there is none, or until the answers to them are not taken. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    try {
      while (this.#reading && this.#state !== 'closed') {
        const bytes = this.#framer.take();
        if (bytes === undefined) break;
        this.#message(bytes);
      }
    } catch (error) {
      if (error instanceof OpenFlowError) this.#fail('openflow-bad-framing', error.message);
      else this.#end(asSojournError(error));
    } finally {
      this.#working = false;
    }
  }

  #message(bytes: Buffer): void {
    try {
      const envelope = decodeMessage(bytes);
      if (this.#state === 'greeting') this.#greeted(envelope);
      else this.#dispatch(envelope, bytes.length);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      if (this.#state === 'closed') return;
      // An error about an error would go round for ever (7.4.4).
      if (bytes[1] !== 1) this.send(errorMessage(error, bytes), bytes.readUInt32BE(4));
      if (this.#state === 'greeting') this.#fail('openflow-bad-hello', error.message);
    }
  }

  #greeted({ xid, message }: Envelope): void {
    if (message.type !== 'hello') {
      const text =
        message.type === 'error'
          ? `The peer refused the OpenFlow version: ${Buffer.from(message.data).toString('latin1')}`
          : `The peer began with a ${message.type} instead of an OpenFlow hello`;
      this.#fail('openflow-bad-hello', text);
      return;
    }
    const refused = refuseVersion(message);
    if (refused !== undefined) {
      const data = new Uint8Array(Buffer.from(refused.message, 'latin1'));
      this.send({ ...errorMessage(refused, data), data }, xid);
      this.#fail('openflow-version', refused.message);
      return;
    }
    this.#stopTimer();
    this.#state = 'ready';
    this.#keepAlive();
    this.#handler.ready?.();
  }

  #dispatch(envelope: Envelope, length: number): void {
    const { xid, message } = envelope;
    if (message.type === 'echo-request') this.send({ type: 'echo-reply', data: message.data }, xid);
    else if (message.type === 'echo-reply' || message.type === 'hello') return;
    else if (!this.#pending.answer(xid, message, length)) this.#handler.message(envelope, length);
  }

  /** @param dueAt when it was to be called. */
  #keepAlive(dueAt = this.#clock.now()): void {
    const now = this.#clock.now();
    const { state, action, nextAt } = keepaliveStep(this.#policy, this.#keepalive, now);
    this.#keepalive = state;
    if (action === 'dead' && now - dueAt > STALLED_MS) {
      // It is this process that was away: what the peer has answered meanwhile is read before timers run again.
      this.#stopTimer = this.#clock.after(1, () => this.#keepAlive());
      return;
    }
    if (action === 'dead') {
      this.#fail('openflow-silent', 'The OpenFlow peer does not answer');
      return;
    }
    if (action === 'ask') this.send({ type: 'echo-request', data: new Uint8Array() });
    const wait = Math.max(1, nextAt - now);
    this.#stopTimer = this.#clock.after(wait, () => this.#keepAlive(now + wait));
  }

  #fail(code: string, message: string): void {
    this.#end(unreachable(code, message));
  }

  #end(reason: SojournError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopTimer();
    const stopLingering = this.#clock.after(LINGER_MS, () => this.#stream.destroy());
    this.#stream.end(() => {
      stopLingering();
      this.#stream.destroy();
    });
    this.#pending.rejectAll(reason);
    for (const resolve of this.#drained.splice(0)) resolve();
    this.#handler.closed(reason);
  }
}
