/**
 * Two ends of a session in memory, with the properties that a handoff relies on: ordered channels with backpressure
 * and acknowledgement, a rate, a delay, stalls of single streams, calls that are lost, an end.
 */
import { Duplex } from 'node:stream';
import type { ChannelPort, SessionPort } from '../../src/handoff/ports.ts';

/** Taken ahead of the link per direction, bytes; the transport's is about the same. */
const AHEAD = 128 * 1024;

export interface LoopbackOptions {
  /** One way, ms. */
  readonly delayMs?: number;
  /** Each channel and direction, bytes a second. */
  readonly bytesPerSecond?: number;
}

interface Due {
  readonly due: number;
  readonly run: () => void;
}

class LoopbackChannel extends Duplex {
  readonly kind: string;
  readonly meta: unknown;
  peer!: LoopbackChannel;
  readonly #link: Loopback;
  #accepted = 0;
  #acked = 0;
  #free = 0;
  #onAcked: (() => void) | undefined;
  readonly #queue: Due[] = [];
  /** Arrived, and not taken by the reader yet. */
  #arrived: { chunk: Buffer; taken: () => void }[] = [];
  #wanted = true;

  constructor(link: Loopback, kind: string, meta: unknown) {
    super({ writableHighWaterMark: AHEAD, readableHighWaterMark: AHEAD });
    this.#link = link;
    this.kind = kind;
    this.meta = meta;
    this.on('error', () => undefined);
  }

  get bytesAcked(): number {
    return this.#acked;
  }
  get bytesPending(): number {
    return this.#accepted - this.#acked;
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.#accepted += chunk.length;
    const { delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = this.#link.options;
    this.#free = Math.max(performance.now(), this.#free) + (chunk.length * 1000) / bytesPerSecond;
    this.#link.at(this.#queue, this.#free + delayMs, this.kind, () => {
      if (this.peer.destroyed) return;
      this.peer.deliver(chunk, () => {
        this.#acked += chunk.length;
        const next = this.#onAcked;
        this.#onAcked = undefined;
        next?.();
      });
    });
    const window = AHEAD + (delayMs * 2 * Math.min(bytesPerSecond, 1e9)) / 1000;
    if (this.bytesPending < window) callback();
    else this.#onAcked = callback;
  }

  deliver(chunk: Buffer, taken: () => void): void {
    this.#arrived.push({ chunk, taken });
    if (this.#wanted) this._read();
  }

  override _read(): void {
    this.#wanted = true;
    while (this.#wanted) {
      const next = this.#arrived.shift();
      if (next === undefined) return;
      this.#wanted = this.push(next.chunk);
      next.taken();
    }
  }

  deliverEnd(): void {
    const end = () => this.push(null);
    if (this.#arrived.length === 0) end();
    else this.#arrived.push({ chunk: Buffer.alloc(0), taken: end });
  }

  override _final(callback: () => void): void {
    const { delayMs = 0 } = this.#link.options;
    this.#link.at(this.#queue, Math.max(performance.now(), this.#free) + delayMs, this.kind, () => {
      if (!this.peer.destroyed) this.peer.deliverEnd();
      callback();
    });
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const over = this.readableEnded && this.writableFinished;
    if (!over) {
      this.#link.later(this.#link.options.delayMs ?? 0, () =>
        this.#link.whenFlowing(this.kind, () => this.peer.destroy(error ?? new Error('reset'))),
      );
    }
    callback(error);
  }
}

type Handler = Parameters<SessionPort['handle']>[1];

class LoopbackSession implements SessionPort {
  readonly peer: string;
  readonly closed: Promise<unknown>;
  readonly handlers = new Map<string, Handler>();
  readonly channelHandlers = new Map<string, (channel: ChannelPort) => void>();
  other!: LoopbackSession;
  readonly #link: Loopback;

  constructor(link: Loopback, peer: string, closed: Promise<unknown>) {
    this.#link = link;
    this.peer = peer;
    this.closed = closed;
  }

  get rttMs(): number {
    return 2 * (this.#link.options.delayMs ?? 0);
  }

  openChannel(kind: string, meta: object): ChannelPort {
    const near = new LoopbackChannel(this.#link, kind, meta);
    const far = new LoopbackChannel(this.#link, kind, meta);
    near.peer = far;
    far.peer = near;
    this.#link.channels.push(near, far);
    const open = () => this.other.channelHandlers.get(kind)?.(far);
    this.#link.later(this.#link.options.delayMs ?? 0, open);
    return near;
  }

  onChannel(kind: string, handler: (channel: ChannelPort) => void): void {
    this.channelHandlers.set(kind, handler);
  }

  handle(method: string, handler: Handler): void {
    this.handlers.set(method, handler);
  }

  async call(
    method: string,
    params: unknown,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => reject(new Error(`${method} timed out`)), options.timeoutMs);
    const aborted = () => reject(options.signal?.reason);
    options.signal?.addEventListener('abort', aborted);
    this.closed.then(() => reject(new Error('session closed')));
    const oneWay = this.#link.options.delayMs ?? 0;
    // As the transport does: everything crosses as JSON, errors included.
    const sent = JSON.parse(JSON.stringify(params));
    this.#link.onCall(method);
    this.#link.later(oneWay, () =>
      this.#link.whenFlowing(method, () => {
        if (this.#link.loses(`${method}>`)) return;
        const handler = this.other.handlers.get(method);
        if (handler === undefined) return reject(new Error(`no handler for ${method}`));
        Promise.resolve(handler(sent, { signal: new AbortController().signal })).then(
          (answer) => this.#answer(method, oneWay, () => resolve(answer)),
          (error) => this.#answer(method, oneWay, () => reject(error)),
        );
      }),
    );
    return promise.finally(() => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', aborted);
    });
  }

  #answer(method: string, oneWay: number, settle: () => void): void {
    this.#link.later(oneWay, () =>
      this.#link.whenFlowing(method, () => {
        if (!this.#link.loses(`${method}<`)) settle();
      }),
    );
  }
}

export class Loopback {
  options: LoopbackOptions;
  readonly near: LoopbackSession;
  readonly far: LoopbackSession;
  readonly channels: LoopbackChannel[] = [];
  onCall: (method: string) => void = () => undefined;
  readonly #stalled = new Set<string>();
  readonly #lost = new Set<string>();
  #waiting: { name: string; run: () => void }[] = [];
  #end: () => void;
  #timers = new Set<NodeJS.Timeout>();
  #ended = false;

  /** `near` is the session as the place `nearId` sees it. */
  constructor(nearId: string, farId: string, options: LoopbackOptions = {}) {
    this.options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#end = resolve;
    this.near = new LoopbackSession(this, farId, promise);
    this.far = new LoopbackSession(this, nearId, promise);
    this.near.other = this.far;
    this.far.other = this.near;
  }

  /** Nothing of this channel kind or method arrives until `flow`; `*` is everything. */
  stall(name: string): void {
    this.#stalled.add(name);
  }

  flow(): void {
    this.#stalled.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { name, run } of waiting) this.whenFlowing(name, run);
  }

  /** Loses the next calls (`method>`) or answers (`method<`) of that name. */
  lose(name: string): void {
    this.#lost.add(name);
  }

  /** Nothing is lost any more. */
  find(): void {
    this.#lost.clear();
  }

  loses(name: string): boolean {
    return this.#lost.has(name) || this.#ended;
  }

  whenFlowing(name: string, run: () => void): void {
    if (this.#stalled.has(name) || this.#stalled.has('*')) this.#waiting.push({ name, run });
    else run();
  }

  /** Runs in the order of the calls for that queue, not before `due` (of `performance.now`). */
  at(queue: Due[], due: number, name: string, run: () => void): void {
    queue.push({ due, run });
    if (queue.length === 1) this.#drain(name, queue);
  }

  #drain(name: string, queue: Due[]): void {
    const first = queue[0];
    if (first === undefined) return;
    this.later(first.due - performance.now(), () => {
      const now = performance.now();
      while (queue[0] !== undefined && queue[0].due <= now + 0.2) {
        const { run } = queue.shift() ?? { run: () => undefined };
        this.whenFlowing(name, run);
      }
      this.#drain(name, queue);
    });
  }

  later(ms: number, run: () => void): void {
    if (ms <= 0.1) {
      setImmediate(run);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  /** The session is gone for good; its channels with it. */
  end(): void {
    this.#ended = true;
    for (const channel of this.channels) channel.destroy(new Error('session closed'));
    this.#end();
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
