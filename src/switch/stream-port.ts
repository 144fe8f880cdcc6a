/**
 * A port whose other end is QEMU's `-netdev stream`: a guest, or the adapter of a TAP. The port listens on a unix
 * socket, QEMU connects and, when the connection ends, connects again (`reconnect-ms`).
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { checkSocketPath, SojournError } from '../common/index.ts';
import { FairShare } from './fair-share.ts';
import { FrameBatch, FrameReader } from './framing.ts';
import { type Packet, putU32 } from './packet.ts';
import type { Switch } from './pipeline.ts';
import { type SwitchPort, zeroCounters } from './ports.ts';

/** Bytes queued toward a QEMU that does not read; more are dropped, as by a full transmit ring. */
const MAX_QUEUED_BYTES = 1024 * 1024;

export interface StreamPortOptions {
  readonly number: number;
  readonly socketPath: string;
  readonly mtu: number;
  readonly owner: Switch;
  /** At most 15 bytes. */
  readonly name?: string;
  /** Called for every connection; `again` from the second on. */
  readonly onConnected?: (again: boolean) => void;
  readonly onDisconnected?: () => void;
}

export class StreamPort implements SwitchPort {
  readonly number: number;
  readonly mtu: number;
  readonly name: string;
  readonly counters = zeroCounters();
  readonly socketPath: string;
  connections: number;
  readonly #options: StreamPortOptions;
  readonly #share = new FairShare(MAX_QUEUED_BYTES);
  readonly #batch = new FrameBatch((bytes) => this.#write(bytes));
  #server: Server | undefined;
  #socket: Socket | undefined;

  /** @param connectedBefore whether QEMU was connected to a datapath that is gone, so that it connects *again*. */
  constructor(options: StreamPortOptions, connectedBefore = false) {
    this.#options = options;
    this.number = options.number;
    this.mtu = options.mtu;
    this.name = options.name ?? `port${options.number}`;
    this.socketPath = options.socketPath;
    this.connections = connectedBefore ? 1 : 0;
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }

  /** Listens; a socket left by a datapath that died is replaced. @throws SojournError `port-socket`. */
  async listen(): Promise<void> {
    const path = this.socketPath;
    checkSocketPath(path);
    await rm(path, { force: true });
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(socketError(path, 'cannot be listened on', error)));
      server.listen(path, resolve);
    });
    server.on('error', () => this.#drop());
    await chmod(path, 0o600);
    this.#server = server;
  }

  send(packet: Packet): void {
    const bytes = packet.frameBytes;
    const socket = this.#socket;
    if (socket === undefined || !this.#room(socket, packet, bytes)) {
      this.counters.txDropped++;
      return;
    }
    const offset = this.#batch.reserve(4 + bytes);
    putU32(this.#batch.buffer, offset, bytes);
    packet.writeFrame(this.#batch.buffer, offset + 4);
    this.counters.txPackets++;
    this.counters.txBytes += bytes;
  }

  flush(): void {
    this.#batch.flush();
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#drop();
    if (server !== undefined) {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    }
    await rm(this.socketPath, { force: true });
  }

  /** @returns whether the operating system has taken all of it. */
  #write(bytes: Buffer): boolean {
    const socket = this.#socket;
    if (socket === undefined) return true;
    socket.write(bytes);
    return socket.writableLength === 0;
  }

  #room(socket: Socket, packet: Packet, bytes: number): boolean {
    const queued = socket.writableLength + this.#batch.pendingBytes;
    return packet.exempt || this.#share.admit(packet.inPort, bytes, queued);
  }

  #accept(socket: Socket): void {
    if (this.#server === undefined) {
      socket.destroy();
      return;
    }
    this.#drop();
    this.#socket = socket;
    const { owner } = this.#options;
    const reader = new FrameReader('stream', (buffer, start, end) =>
      owner.receiveFrame(this, buffer, start, end),
    );
    socket.on('data', (chunk: Buffer) => {
      const understood = reader.push(chunk);
      owner.flushSoon(this);
      if (!understood) socket.destroy();
    });
    // What went wrong shows as `close`; QEMU connects again.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#batch.discard();
      owner.portChanged(this.number);
      this.#options.onDisconnected?.();
    });
    this.connections++;
    owner.portChanged(this.number);
    this.#options.onConnected?.(this.connections > 1);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#batch.discard();
    socket?.destroy();
  }
}

function socketError(path: string, what: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'port-socket',
    message: `The socket ${path} ${what}`,
    remedy: 'Choose a shorter or writable runtime directory',
    cause,
  });
}
