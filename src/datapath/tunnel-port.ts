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
  readonly #batch = new FrameBatch((bytes) => this.#write(bytes));
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
      if (connection.received - connection.acknowledged >= ACK_BYTES) this.#acknowledge(connection);
      this.#owner.flush();
      this.flush();
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
    if (!packet.exempt && !this.#share.admit(packet.inPort, bytes, window.inFlight)) {
      this.counters.txDropped++;
      return;
    }
    const offset = this.#batch.reserve(bytes);
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
    if (!this.connected) return false;
    this.#control(encodeMarker(marker, guestId, epoch));
    this.flush();
    return true;
  }

  sendForward(guestId: string, epoch: number, packet: Buffer): boolean {
    if (!this.connected) return false;
    this.#control(encodeForward(guestId, epoch, packet));
    return true;
  }

  flush(): void {
    this.#batch.flush();
  }

  #write(bytes: Buffer): void {
    this.#connection?.socket.write(bytes);
  }

  /** Behind what is queued already, and never dropped: markers must stay in order with packets. */
  #control(frame: Buffer): void {
    const offset = this.#batch.reserve(frame.length);
    frame.copy(this.#batch.buffer, offset);
    this.#connection?.window.sent(frame.length);
  }

  #acknowledge(connection: Connection): void {
    connection.acknowledged = connection.received;
    this.#control(encodeNumber(FRAME.ack, connection.received));
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
        this.#control(encodeFrame(FRAME.pong, payload));
        if (connection.received - connection.acknowledged >= ACK_IDLE_BYTES)
          this.#acknowledge(connection);
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
  return packet.ethType === 0x0800 || packet.ethType === 0x86dd;
}
