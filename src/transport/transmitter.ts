/**
 * Decides what a session sends next, and when. Order: what is not numbered, the control lane, the bulk
 * lane; within a lane frames that a lost connection swallowed, then channels in turn, one frame each.
 * Little of bulk is handed to the socket ahead of time, so that control never waits behind megabytes.
 */
import type { Channel } from './channel.ts';
import type { Connection } from './connection.ts';
import { encodeU64s, FrameType, HEADER_BYTES } from './frame.ts';
import { Lane, LaneSender, laneOf, type SentFrame } from './lane.ts';
import { Pacing } from './pacing.ts';

/** Bytes in the socket's own queue beyond which no more bulk is handed to it. */
const MAX_QUEUED_BULK = 256 * 1024;
/** The same for everything: the peer does not read, or the link is dead. */
const MAX_QUEUED = 1024 * 1024;
/**
 * Acknowledgements that are asked for in what may be in flight. With one alone the path would have nothing to carry from the
 * last byte until the answer, and the rate that is measured by it would never grow.
 */
const ACKS_IN_FLIGHT = 8;
/** Bytes of control in flight; also the cap of its replay buffer. */
const MAX_CONTROL_IN_FLIGHT = 1024 * 1024;

export type Received = readonly [control: number, bulk: number];

export class Transmitter {
  readonly #clock: () => number;
  readonly #received: () => Received;
  readonly #lanes = [new LaneSender(), new LaneSender()] as const;
  readonly #ready = [new Set<Channel>(), new Set<Channel>()] as const;
  readonly #windows = new Set<Channel>();
  #pacing: Pacing;
  #connection: Connection | undefined;
  #scheduled = false;
  #ackDue = false;
  /** Bytes of each lane since an acknowledgement was asked for. */
  readonly #unasked: [number, number] = [0, 0];
  #ping: Buffer | undefined;
  #pong: Buffer | undefined;
  #bytes = 0;

  constructor(clock: () => number, received: () => Received) {
    this.#clock = clock;
    this.#received = received;
    this.#pacing = new Pacing(clock());
  }

  /** Bytes of frames handed to connections, repetitions included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True while the peer owes us an acknowledgement or we could send. */
  get busy(): boolean {
    return this.#lanes.some((lane) => lane.kept > 0) || this.#ready.some((set) => set.size > 0);
  }

  /** Bytes kept for a possible repetition. */
  get kept(): number {
    return this.#lanes[0].kept + this.#lanes[1].kept;
  }

  /** A new connection whose peer has `received`. Throws FrameError when that cannot be. */
  attach(connection: Connection, received: Received, channels: Iterable<Channel>): void {
    for (const lane of [Lane.control, Lane.bulk]) this.#lanes[lane].rewind(received[lane]);
    this.#connection = connection;
    this.#pacing = new Pacing(this.#clock());
    this.#ping = undefined;
    this.#pong = undefined;
    // A WINDOW may have been lost with the old connection; it is absolute, so say it again.
    for (const channel of channels) if (channel.windowUncertain) this.#windows.add(channel);
    this.schedule();
  }

  detach(): void {
    this.#connection = undefined;
  }

  ready(channel: Channel): void {
    this.#ready[laneOf(channel.id)].add(channel);
    this.schedule();
  }

  windowMoved(channel: Channel): void {
    this.#windows.add(channel);
    this.schedule();
  }

  forget(channel: Channel): void {
    this.#ready[laneOf(channel.id)].delete(channel);
    this.#windows.delete(channel);
  }

  ack(): void {
    this.#ackDue = true;
    this.schedule();
  }

  ping(token: Buffer): void {
    this.#ping = token;
    this.schedule();
  }

  /** Only the latest PING is answered, so that a flood of them has nothing to pile up. */
  pong(token: Buffer): void {
    this.#pong = token;
    this.schedule();
  }

  /** ACK from the peer. Throws FrameError. */
  acknowledged(received: Received): void {
    const now = this.#clock();
    for (const lane of [Lane.control, Lane.bulk]) {
      const sender = this.#lanes[lane];
      const last = sender.acknowledge(received[lane]);
      if (last === undefined || lane === Lane.control) continue;
      this.#pacing.acknowledged(sender.acked - last.ackedWhenSent, now - last.sentAt, now);
    }
    this.schedule();
  }

  roundTrip(elapsedMs: number): void {
    this.#pacing.roundTrip(elapsedMs, this.#clock());
  }

  schedule(): void {
    if (this.#scheduled || this.#connection === undefined) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Sends what may be sent now. */
  flush(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.queued > MAX_QUEUED) return;
    connection.cork();
    this.#sendUnnumbered(connection);
    this.#sendLane(connection, Lane.control, MAX_CONTROL_IN_FLIGHT, MAX_QUEUED);
    this.#sendLane(connection, Lane.bulk, this.#pacing.limit(this.#clock()), MAX_QUEUED_BULK);
    connection.uncork();
  }

  #sendUnnumbered(connection: Connection): void {
    if (this.#ackDue) {
      this.#ackDue = false;
      this.#send(connection, FrameType.ack, 0, encodeU64s(...this.#received()));
    }
    if (this.#pong !== undefined) this.#send(connection, FrameType.pong, 0, this.#pong);
    if (this.#ping !== undefined) this.#send(connection, FrameType.ping, 0, this.#ping);
    this.#pong = undefined;
    this.#ping = undefined;
    for (const channel of this.#windows) {
      this.#send(connection, FrameType.window, channel.id, encodeU64s(channel.granted));
    }
    this.#windows.clear();
  }

  #send(connection: Connection, type: FrameType, channel: number, payload: Buffer): void {
    connection.send(type, channel, [payload], payload.length);
    this.#bytes += HEADER_BYTES + payload.length;
  }

  #sendLane(connection: Connection, lane: Lane, maxInFlight: number, maxQueued: number): void {
    const sender = this.#lanes[lane];
    const ready = this.#ready[lane];
    while (sender.inFlight < maxInFlight && connection.queued < maxQueued) {
      const frame = sender.next() ?? this.#nextFrame(lane);
      if (frame === undefined) return;
      frame.sentAt = this.#clock();
      frame.ackedWhenSent = sender.acked;
      this.#unasked[lane] += HEADER_BYTES + frame.length;
      // Whoever cannot go on without an ACK, or has nothing to go on with, asks for one; and in time not to have to wait.
      const asks =
        ready.size === 0 ||
        sender.inFlight >= maxInFlight ||
        this.#unasked[lane] >= maxInFlight / ACKS_IN_FLIGHT;
      if (asks) this.#unasked[lane] = 0;
      connection.send(frame.type, frame.channel, frame.payload, frame.length, frame.offset, asks);
      this.#bytes += HEADER_BYTES + frame.length;
      frame.owner.countWire(HEADER_BYTES + frame.length);
    }
  }

  #nextFrame(lane: Lane): SentFrame | undefined {
    const ready = this.#ready[lane];
    for (const channel of ready) {
      ready.delete(channel);
      const outgoing = channel.next();
      if (outgoing === undefined) continue;
      // To the end of the line: channels take turns.
      if (channel.sendable) ready.add(channel);
      const frame: SentFrame = {
        ...outgoing,
        channel: channel.id,
        owner: channel,
        offset: 0,
        sentAt: 0,
        ackedWhenSent: 0,
      };
      this.#lanes[lane].append(frame);
      return frame;
    }
    return undefined;
  }
}
