/**
 * One lane of a session (see frame.ts), no I/O. The sender keeps every numbered frame until the peer has
 * acknowledged it; after a reconnect `rewind` makes it hand them out again from where the peer is.
 *
 *      acked        cursor           end
 *        |            |               |
 *   -----+============+###############+-----  (the next new frame)
 *          sent here,   to be sent
 *          in flight    again
 */
import type { FrameType } from './frame.ts';
import { FrameError, HEADER_BYTES } from './frame.ts';

export const Lane = { control: 0, bulk: 1 } as const;
export type Lane = (typeof Lane)[keyof typeof Lane];

export function laneOf(channel: number): Lane {
  return (channel & 2) === 0 ? Lane.control : Lane.bulk;
}

/** A sender whose peer takes no notice of so many frames has a broken peer. */
export const MAX_UNACKED_FRAMES = 65_536;

/** What a frame belongs to; is told of its fate. */
export interface FrameOwner {
  acked(frame: SentFrame): void;
  /** Bytes of a frame of its went to a connection, for the first time or again. */
  countWire(bytes: number): void;
}

export interface SentFrame {
  readonly type: FrameType;
  readonly channel: number;
  readonly payload: readonly Buffer[];
  readonly length: number;
  readonly owner: FrameOwner;
  /** Position in the lane; set by `LaneSender.append`. */
  offset: number;
  /** When it was last handed to a connection, ms, and the lane's `acked` at that time. */
  sentAt: number;
  ackedWhenSent: number;
}

export class LaneSender {
  /** Frames not acknowledged; those before `#head` are gone. */
  #frames: SentFrame[] = [];
  #head = 0;
  #cursor = 0;
  #acked = 0;
  #end = 0;

  /** Bytes of this lane that the peer has. */
  get acked(): number {
    return this.#acked;
  }

  /** Bytes that were handed out since the last rewind and are not acknowledged. */
  get inFlight(): number {
    return (this.#frames[this.#cursor]?.offset ?? this.#end) - this.#acked;
  }

  /** Bytes kept, in flight or waiting to be sent again. */
  get kept(): number {
    return this.#end - this.#acked;
  }

  /** The next frame to send again, if any. */
  next(): SentFrame | undefined {
    const frame = this.#frames[this.#cursor];
    if (frame !== undefined) this.#cursor += 1;
    return frame;
  }

  /** Numbers a new frame; the caller sends it now, and only when `next` had nothing left. */
  append(frame: SentFrame): void {
    if (this.#frames.length - this.#head >= MAX_UNACKED_FRAMES) {
      throw new FrameError(`${MAX_UNACKED_FRAMES} frames without an acknowledgement`);
    }
    frame.offset = this.#end;
    this.#end += HEADER_BYTES + frame.length;
    this.#frames.push(frame);
    this.#cursor = this.#frames.length;
  }

  /** The peer has everything before `offset`. Gives the last frame this acknowledges, if any. */
  acknowledge(offset: number): SentFrame | undefined {
    if (offset < this.#acked) throw new FrameError('acknowledgement went back');
    let last: SentFrame | undefined;
    while (this.#acked < offset) {
      const frame = this.#frames[this.#head];
      if (frame === undefined) throw new FrameError('acknowledgement of what was never sent');
      this.#acked += HEADER_BYTES + frame.length;
      this.#head += 1;
      last = frame;
      frame.owner.acked(frame);
    }
    if (this.#acked !== offset) throw new FrameError('acknowledgement of part of a frame');
    if (this.#cursor < this.#head) this.#cursor = this.#head;
    this.#forget();
    return last;
  }

  /** A new connection: the peer has everything before `offset`, the rest is to be sent again. */
  rewind(offset: number): void {
    this.acknowledge(offset);
    this.#cursor = this.#head;
  }

  #forget(): void {
    if (this.#head < 256 && this.#head < this.#frames.length) return;
    this.#frames = this.#frames.slice(this.#head);
    this.#cursor -= this.#head;
    this.#head = 0;
  }
}
