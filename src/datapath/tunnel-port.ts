/** The port to one peer datapath: IP packets and switchover markers over a TLS connection that comes and goes. */
import type { TLSSocket } from 'node:tls';
import {
  FairShare,
  FrameBatch,
  FrameReader,
  type Packet,
  type PortCounters,
  type Switch,
  type SwitchPort,
  zeroCounters,
} from '../switch/index.ts';
import { GUEST_MTU } from '../switch/services/index.ts';
import { MAX_HELD_BYTES } from './guest-attachment.ts';
import { SendWindow } from './send-window.ts';
import type { Marker } from './switchover-state.ts';
import {
  acceptsHello,
  decodeGuestHeader,
  encodeForward,
  encodeFrame,
  encodeMarker,
  encodeNumber,
  FRAME,
  FRAME_HEADER_BYTES,
  GUEST_HEADER_BYTES,
  markerOf,
  TUNNEL_VERSION,
} from './tunnel-frames.ts';

export const PING_MS = 500;
/** How often a connection is looked at, milliseconds: what it adds at most to the time below. */
const TICK_MS = 100;
/** A connection on which nothing has arrived for so long is dead: less than 2 s, three pings and some. */
export const DEAD_MS = 1_800;
/** Received bytes after which an acknowledgement is due at once, and with the next keepalive. */
const ACK_BYTES = 32 * 1024;
const ACK_IDLE_BYTES = 1024;
/**
 * Unsent bytes that the window does not bound (all but packets that simply go through) from which on a PONG or an ACK
 * waits and gives way to a newer one, and there are no more PINGs: thousands of them, so that the peer does not read.
 */
const CROWDED_BYTES = 64 * 1024;
/**
 * Unsent bytes that the window does not bound, at most; with more the connection is given up. Markers are not lost
 * before, nor are packets that were held: there is room for those of sixteen guests that held all they may at once.
 */
export const MAX_UNSENT_BYTES = 16 * MAX_HELD_BYTES;
/** What a marker counts for, bytes: it is sent by itself, and what keeps it in the queue is much larger than it is. */
const MARKER_COST_BYTES = 1024;

export interface TunnelEvents {
  onUp(): void;
  onDown(reason: string): void;
  onMarker(marker: Marker, guestId: string, epoch: number): void;
  /** `packet` is valid only during the call. */
  onForward(guestId: string, epoch: number, packet: Buffer): void;
}

interface Connection {
  readonly socket: TLSSocket;
  readonly window: SendWindow;
  greeted: boolean;
  received: number;
  acknowledged: number;
  lastHeard: number;
  lastTick: number;
  lastPing: number;
  /** Bytes that the window does not bound: not yet taken by the system, and those of them still in the batch. */
  unsent: number;
  batched: number;
  /** What waits until there is room: the payload of the last PING, and whether an ACK is due. */
  pong: Buffer | undefined;
  ackDue: boolean;
}

export class TunnelPort implements SwitchPort {
  readonly number: number;
  readonly peer: string;
  readonly mtu = GUEST_MTU;
  readonly counters: PortCounters = zeroCounters();
  rttMs: number | undefined;
  readonly #owner: Switch;
  readonly #events: TunnelEvents;
  readonly #now: () => number;
  readonly #batch = new FrameBatch((bytes) => {
    this.#write(bytes);
    return false;
  });
  #share = new FairShare(0);
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param now monotonic milliseconds. */
  constructor(
    number: number,
    peer: string,
    owner: Switch,
    events: TunnelEvents,
    now = () => performance.now(),
  ) {
    this.number = number;
    this.peer = peer;
    this.#owner = owner;
    this.#events = events;
    this.#now = now;
  }

  get connected(): boolean {
    return this.#connection?.greeted === true;
  }

  get window(): { inFlight: number; limit: number; bytesPerSecond: number } | undefined {
    const window = this.#connection?.window;
    if (window === undefined) return undefined;
    return { inFlight: window.inFlight, limit: window.limit, bytesPerSecond: window.rate };
  }

  /** Takes up an authenticated connection; it replaces the one before. */
  adopt(socket: TLSSocket): void {
    this.drop('replaced by a new connection');
    socket.setNoDelay(true);
    const now = this.#now();
    const connection: Connection = {
      socket,
      window: new SendWindow(now),
      greeted: false,
      received: 0,
      acknowledged: 0,
      lastHeard: now,
      lastTick: now,
      lastPing: now,
      unsent: 0,
      batched: 0,
      pong: undefined,
      ackDue: false,
    };
    this.#connection = connection;
    const reader = new FrameReader('tunnel', (buffer, start, end, type) => {
      if (this.#connection === connection) this.#receive(connection, buffer, start, end, type);
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.#connection !== connection) return;
      connection.lastHeard = this.#now();
      connection.received += chunk.length;
      reader.push(chunk);
      connection.ackDue ||= connection.received - connection.acknowledged >= ACK_BYTES;
      this.#answer(connection);
      this.#owner.flushSoon(this);
    });
    // Its reason comes with `close`, which always follows.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#connection === connection) this.drop('the connection was closed');
    });
    this.#control(encodeFrame(FRAME.hello, Buffer.from(Object.values(TUNNEL_VERSION))));
    this.flush();
    this.#timer = setInterval(() => this.#keepAlive(connection), TICK_MS);
  }

  drop(reason: string): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    clearInterval(this.#timer);
    this.#batch.discard();
    connection.socket.destroy();
    this.#events.onDown(reason);
  }

  send(packet: Packet): void {
    const bytes = FRAME_HEADER_BYTES + packet.l3Bytes;
    const connection = this.#connection;
    if (connection === undefined || !connection.greeted || !isIp(packet)) {
      this.counters.txDropped++;
      return;
    }
    const { window } = connection;
    this.#share.limit = window.limit;
    const admitted = packet.exempt
      ? this.#admit(connection, bytes)
      : this.#share.admit(packet.inPort, bytes, window.inFlight);
    if (!admitted) {
      this.counters.txDropped++;
      return;
    }
    const offset = this.#batch.reserve(bytes);
    if (packet.exempt) connection.batched += bytes;
    const { buffer } = this.#batch;
    buffer[offset] = packet.l3Bytes >>> 8;
    buffer[offset + 1] = packet.l3Bytes;
    buffer[offset + 2] = FRAME.packet;
    packet.buffer.copy(buffer, offset + FRAME_HEADER_BYTES, packet.l3, packet.end);
    window.sent(bytes);
    this.counters.txPackets++;
    this.counters.txBytes += packet.l3Bytes;
  }

  /** @returns whether it could be sent. */
  sendMarker(marker: Marker, guestId: string, epoch: number): boolean {
    const frame = encodeMarker(marker, guestId, epoch);
    const sent = this.connected && this.#control(frame, MARKER_COST_BYTES);
    this.flush();
    return sent;
  }

  sendForward(guestId: string, epoch: number, packet: Buffer): boolean {
    return this.connected && this.#control(encodeForward(guestId, epoch, packet));
  }

  flush(): void {
    this.#batch.flush();
  }

  #write(bytes: Buffer): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { batched } = connection;
    connection.batched = 0;
    if (batched === 0) connection.socket.write(bytes);
    else
      connection.socket.write(bytes, () => {
        connection.unsent -= batched;
        if (this.#connection !== connection) return;
        this.#answer(connection);
        this.flush();
      });
  }

  /** Behind what is queued already, and never dropped alone: markers must stay in order with packets. */
  #control(frame: Buffer, cost = frame.length): boolean {
    const connection = this.#connection;
    if (connection === undefined || !this.#admit(connection, cost)) return false;
    const offset = this.#batch.reserve(frame.length);
    connection.batched += cost;
    frame.copy(this.#batch.buffer, offset);
    connection.window.sent(frame.length);
    return true;
  }

  /** Room for what the window does not bound. A peer that leaves none does not read: it loses the connection. */
  #admit(connection: Connection, bytes: number): boolean {
    if (connection.unsent + bytes > MAX_UNSENT_BYTES) {
      this.drop('the peer does not read what it is sent');
      return false;
    }
    connection.unsent += bytes;
    return true;
  }

  /** Sends the PONG and the ACK that are due, unless there is too much before them. */
  #answer(connection: Connection): void {
    if (connection.unsent > CROWDED_BYTES) return;
    const { pong, ackDue } = connection;
    if (pong !== undefined) {
      connection.pong = undefined;
      this.#control(encodeFrame(FRAME.pong, pong));
    }
    if (ackDue) {
      connection.ackDue = false;
      connection.acknowledged = connection.received;
      this.#control(encodeNumber(FRAME.ack, connection.received));
    }
  }

  #keepAlive(connection: Connection): void {
    const now = this.#now();
    // After a stall of this process, what the peer said meanwhile has not been read yet.
    const stalled = now - connection.lastTick > DEAD_MS / 2;
    connection.lastTick = now;
    if (!stalled && now - connection.lastHeard >= DEAD_MS) {
      this.drop(`nothing was heard for ${DEAD_MS} ms`);
      return;
    }
    if (now - connection.lastPing < PING_MS - TICK_MS / 2) return;
    connection.lastPing = now;
    if (connection.unsent > CROWDED_BYTES) return;
    this.#control(encodeNumber(FRAME.ping, now));
    this.flush();
  }

  #receive(connection: Connection, buffer: Buffer, start: number, end: number, type: number): void {
    if (!connection.greeted) {
      if (type === FRAME.hello && acceptsHello(buffer.subarray(start, end))) {
        connection.greeted = true;
        this.#events.onUp();
      } else this.drop('the peer does not speak this version of the tunnel protocol');
      return;
    }
    if (type === FRAME.packet) {
      this.#owner.receiveIp(this, buffer, start, end);
      return;
    }
    this.#receiveControl(connection, buffer.subarray(start, end), type);
  }

  #receiveControl(connection: Connection, payload: Buffer, type: number): void {
    if (type === FRAME.ping || type === FRAME.pong || type === FRAME.ack) {
      if (payload.length !== 8) return;
      if (type === FRAME.ping) {
        connection.pong = Buffer.from(payload);
        connection.ackDue ||= connection.received - connection.acknowledged >= ACK_IDLE_BYTES;
        this.#answer(connection);
      } else if (type === FRAME.ack) {
        connection.window.acknowledged(payload.readDoubleBE(0), this.#now());
      } else {
        const rtt = this.#now() - payload.readDoubleBE(0);
        if (rtt >= 0) this.rttMs = rtt;
      }
      return;
    }
    const guest = decodeGuestHeader(payload);
    if (guest === undefined) return;
    // What came before in this chunk must be on its way before the marker takes effect.
    this.#owner.flush();
    if (type === FRAME.forward)
      this.#events.onForward(guest.guestId, guest.epoch, payload.subarray(GUEST_HEADER_BYTES));
    const marker = markerOf(type);
    if (marker !== undefined) this.#events.onMarker(marker, guest.guestId, guest.epoch);
  }
}

function isIp(packet: Packet): boolean {
  return !packet.tagged && (packet.ethType === 0x0800 || packet.ethType === 0x86dd);
}
