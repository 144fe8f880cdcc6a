/**
 * A channel of a session: a Duplex whose bytes arrive exactly once and in order, whatever happens to
 * the TCP connections below. While the session is resuming, writes wait (backpressure), nothing fails.
 *
 *  - A written Buffer is kept, not copied, until the peer has it: do not change it afterwards.
 *  - 'finish' (after `end()`) means that the peer's transport has every byte. `stream.finished` with
 *    `readable: false` is no way to wait for it: it is content with `end()`. `allAcked` is.
 *  - `destroy(error)` before both directions are at their end is RESET: the peer's channel is destroyed
 *    with that error (a SojournError crosses as it is), what was not sent is dropped.
 *  - When the session closes, so does the channel, with the session's reason as its error.
 *  - An error never becomes an uncaught exception; it shows in 'close' (`errored`), in `for await`,
 *    `pipeline` and `finished`.
 */
import { Duplex } from 'node:stream';
import { fromWireError, SojournError, toWireError, type WireError } from '../common/index.ts';
import { FrameError, FrameType, MAX_DATA_BYTES } from './frame.ts';
import { Inbox } from './inbox.ts';
import { Lane, laneOf, type SentFrame } from './lane.ts';
import { Outbox } from './outbox.ts';

/** What a peer may send ahead of our reader, bytes per channel; the cap of the receive buffer. */
export const CONTROL_WINDOW = 1024 * 1024;
export const BULK_WINDOW = 4 * 1024 * 1024;
/** What a channel takes from its writer ahead of the connection, bytes; as much again in the Duplex. */
const MAX_UNSENT = 128 * 1024;
const READ_AHEAD = 128 * 1024;

/** A frame that a channel wants to send now. */
export type Outgoing = Pick<SentFrame, 'type' | 'payload' | 'length'>;

/** The session, as a channel sees it. */
export interface ChannelHost {
  /** The channel may have something to send. */
  ready(channel: Channel): void;
  /** The channel's receive window has moved on. */
  windowMoved(channel: Channel): void;
  /** Nothing will be sent or received on it any more. */
  done(channel: Channel): void;
}

export interface ChannelOptions {
  readonly id: number;
  readonly kind: string;
  /** What the opener said with OPEN. */
  readonly meta: Readonly<Record<string, unknown>>;
  /** Payload of the OPEN that is still to be sent; absent at the side that was sent it. */
  readonly open?: Buffer;
}

export class Channel extends Duplex {
  readonly id: number;
  readonly kind: string;
  readonly meta: Readonly<Record<string, unknown>>;

  readonly #host: ChannelHost;
  readonly #window: number;
  readonly #outbox = new Outbox();
  readonly #inbox = new Inbox();
  #open: Buffer | undefined;
  #openSent: boolean;
  #sent = 0;
  #acked = 0;
  #wire = 0;
  /** Bytes the peer allows in all; grows by WINDOW. */
  #allowed: number;
  #writeDone: (() => void) | undefined;
  /** Bytes of the chunk whose `#writeDone` is due: the Duplex counts them, and so does the outbox. */
  #held = 0;
  #finishDone: (() => void) | undefined;
  /** Who waits until the peer has so many bytes; in the order of calls, which is that of the bytes. */
  #awaiting: { bytes: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #finSent = false;
  #reset: Buffer | undefined;
  #received = 0;
  #consumed = 0;
  #granted: number;
  #reading = false;
  #finReceived = false;
  #ended = false;
  /** RESET was sent or received, or the session is closed. */
  #dead = false;

  constructor(host: ChannelHost, options: ChannelOptions) {
    super({
      allowHalfOpen: true,
      writableHighWaterMark: MAX_UNSENT,
      readableHighWaterMark: READ_AHEAD,
    });
    this.#host = host;
    this.id = options.id;
    this.kind = options.kind;
    this.meta = options.meta;
    this.#open = options.open;
    this.#openSent = options.open === undefined;
    this.#window = laneOf(options.id) === Lane.bulk ? BULK_WINDOW : CONTROL_WINDOW;
    this.#allowed = this.#window;
    this.#granted = this.#window;
    // A peer's RESET must not end the process of a caller who listens to 'close' only.
    this.on('error', () => undefined);
  }

  /** Payload bytes handed to a connection for the first time. */
  get bytesSent(): number {
    return this.#sent;
  }

  /** Payload bytes that the peer's transport has; its reader may not have taken them yet. */
  get bytesAcked(): number {
    return this.#acked;
  }

  /** Payload bytes received in order. */
  get bytesReceived(): number {
    return this.#received;
  }

  /** Bytes sent for this channel, frame headers and repetitions included, TLS and TCP not. */
  get wireBytes(): number {
    return this.#wire;
  }

  /** Payload bytes accepted from the writer and not acknowledged yet. */
  get bytesPending(): number {
    return this.writableLength - this.#held + this.#outbox.bytes + this.#sent - this.#acked;
  }

  /**
   * Resolves when the peer's transport has everything written so far. Rejects with what ended the
   * channel before.
   */
  async allAcked(): Promise<void> {
    const bytes = this.#acked + this.bytesPending;
    if (this.#acked >= bytes) return;
    if (this.destroyed) throw this.errored ?? cancelled();
    await new Promise<void>((resolve, reject) => {
      this.#awaiting.push({ bytes, resolve, reject });
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    if (chunk.length > 0) {
      this.#outbox.push(chunk);
      this.#host.ready(this);
    }
    if (this.#outbox.bytes < MAX_UNSENT) {
      callback();
      return;
    }
    this.#held = chunk.length;
    this.#writeDone = callback;
  }

  override _final(callback: () => void): void {
    this.#finishDone = callback;
    this.#host.ready(this);
  }

  override _read(): void {
    this.#reading = true;
    this.#deliver();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    for (const { reject } of this.#awaiting.splice(0)) reject(error ?? cancelled());
    this.#outbox.clear();
    this.#inbox.clear();
    const over = this.#finReceived && this.#finSent;
    if (!this.#dead && !over) {
      if (this.#openSent) {
        const reason = error ?? cancelled();
        this.#reset = Buffer.from(JSON.stringify(toWireError(reason)));
        this.#host.ready(this);
      } else {
        this.#host.done(this);
      }
    }
    callback(error);
  }

  /**
   * Reading to the end, or leaving the loop, does not end the sending side: Node's own iterator would
   * destroy the whole Duplex.
   */
  override [Symbol.asyncIterator](): ReturnType<Duplex[typeof Symbol.asyncIterator]> {
    return this.iterator({ destroyOnReturn: false });
  }

  // What follows is called by the session only.

  /** True when `next` has a frame. */
  get sendable(): boolean {
    if (this.#dead) return false;
    if (this.#reset !== undefined || this.#open !== undefined) return true;
    if (this.#outbox.bytes > 0) return this.#allowed > this.#sent;
    return this.#finishDone !== undefined && !this.#finSent;
  }

  /** Takes the next frame to send, if there is one now. */
  next(): Outgoing | undefined {
    if (this.#dead) return undefined;
    if (this.#reset !== undefined) {
      this.#dead = true;
      this.#host.done(this);
      return { type: FrameType.reset, payload: [this.#reset], length: this.#reset.length };
    }
    if (this.#open !== undefined) {
      const open = this.#open;
      this.#open = undefined;
      this.#openSent = true;
      return { type: FrameType.open, payload: [open], length: open.length };
    }
    const length = Math.min(this.#outbox.bytes, this.#allowed - this.#sent, MAX_DATA_BYTES);
    if (length > 0) return { type: FrameType.data, payload: this.#takeData(length), length };
    if (this.#finishDone === undefined || this.#finSent || this.#outbox.bytes > 0) return undefined;
    this.#finSent = true;
    return { type: FrameType.fin, payload: [], length: 0 };
  }

  #takeData(length: number): Buffer[] {
    const pieces = this.#outbox.take(length);
    this.#sent += length;
    if (this.#outbox.bytes < MAX_UNSENT / 2) this.#accept();
    return pieces;
  }

  #accept(): void {
    const done = this.#writeDone;
    this.#writeDone = undefined;
    this.#held = 0;
    done?.();
  }

  /** Bytes that went to a connection, repeated or not. */
  countWire(bytes: number): void {
    this.#wire += bytes;
  }

  acked(frame: SentFrame): void {
    if (frame.type === FrameType.data) {
      this.#acked += frame.length;
      while (this.#awaiting[0] !== undefined && this.#awaiting[0].bytes <= this.#acked) {
        this.#awaiting.shift()?.resolve();
      }
    }
    if (frame.type !== FrameType.fin) return;
    this.#finishDone?.();
    this.#finishDone = undefined;
    if (this.#finReceived) this.#host.done(this);
  }

  /** Total of payload bytes that the peer may send; goes into WINDOW. */
  get granted(): number {
    return this.#granted;
  }

  /**
   * True when the peer may not know its window after a lost connection. One that never moved needs no
   * telling, and must not be told: the OPEN of the channel may have been lost too, and comes later.
   */
  get windowUncertain(): boolean {
    return this.#granted > this.#window && !this.#finReceived && !this.#dead;
  }

  allow(total: number): void {
    if (total <= this.#allowed) return;
    this.#allowed = total;
    this.#host.ready(this);
  }

  /** DATA. Throws FrameError when the peer sends more than it may. */
  receive(pieces: readonly Buffer[], length: number): void {
    if (this.#finReceived) throw new FrameError('DATA after FIN');
    this.#received += length;
    if (this.#received > this.#granted) throw new FrameError('DATA beyond the window');
    if (this.destroyed) return;
    for (const piece of pieces) this.#inbox.push(piece);
    this.#deliver();
  }

  receiveFin(): void {
    if (this.#finReceived) throw new FrameError('a second FIN');
    this.#finReceived = true;
    // FIN sent but not acknowledged: `acked` will say so.
    if (this.#finSent && this.#finishDone === undefined) this.#host.done(this);
    this.#deliver();
  }

  receiveReset(error: WireError): void {
    this.#dead = true;
    this.#host.done(this);
    this.destroy(fromWireError(error));
  }

  /** The session is over. A channel that has everything may still be read to its end. */
  sessionClosed(reason: Error): void {
    const complete = this.#finReceived && this.#finSent && this.#finishDone === undefined;
    this.#dead = true;
    if (!complete) this.destroy(reason);
  }

  #deliver(): void {
    while (this.#reading && !this.#inbox.empty) {
      const piece = this.#inbox.shift() as Buffer;
      this.#consumed += piece.length;
      this.#reading = this.push(piece);
    }
    if (this.#finReceived && this.#inbox.empty && !this.#ended && !this.destroyed) {
      this.#ended = true;
      this.push(null);
    }
    if (this.#consumed + this.#window - this.#granted >= this.#window / 4 && !this.#finReceived) {
      this.#granted = this.#consumed + this.#window;
      this.#host.windowMoved(this);
    }
  }
}

function cancelled(): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'channel-cancelled',
    message: 'The other place stopped a transfer before its end',
  });
}
