/**
 * QEMU's migration stream between two QEMUs that each see a unix socket only:
 *
 *   source QEMU ─socket─► zstd ─► channel ─► zstd ─► socket ─► destination QEMU
 *   source QEMU ◄─socket─ hold ◄─ channel ◄───────── socket ◄─ destination QEMU      return path
 *
 * A slow or stalled link blocks the migration thread of the source's QEMU in its write; the guest does not notice.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SojournError } from '../common/index.ts';
import { AdaptiveReader, AdaptiveWriter } from './adaptive-stream.ts';
import { Coalesce } from './coalesce.ts';
import { drainedOrClosed } from './drained.ts';
import { Gate } from './gate.ts';
import type { ChannelPort } from './ports.ts';
import { ReturnPathHold } from './return-path.ts';

/** Taken from QEMU ahead of the gate, bytes; a read may bring more, once. */
const SOCKET_AHEAD_BYTES = 1;

export class SourceMemoryRelay {
  /** Resolves when QEMU has closed its migration stream: it has completed, failed or been cancelled. */
  readonly qemuClosed: Promise<void>;
  readonly hold = new ReturnPathHold();
  /** QEMU's stream, before anything else: shut between the bursts of a standby. */
  readonly gate = new Gate();
  readonly compressor = new AdaptiveWriter();
  readonly #path: string;
  readonly #server: Server;
  readonly #channel: ChannelPort;
  #socket: Socket | undefined;
  readonly #taken = new Coalesce();
  #resolveClosed: () => void;
  readonly #onBroken: (error: Error) => void;

  private constructor(path: string, channel: ChannelPort, onBroken: (error: Error) => void) {
    this.#path = path;
    this.#channel = channel;
    const closed = Promise.withResolvers<void>();
    this.qemuClosed = closed.promise;
    this.#resolveClosed = closed.resolve;
    this.#onBroken = onBroken;
    this.#server = createServer(
      { allowHalfOpen: true, highWaterMark: SOCKET_AHEAD_BYTES },
      (socket) => this.#accept(socket),
    );
  }

  /** `onBroken`: the way to the destination broke, or QEMU ended its stream in disorder. */
  static async listen(
    path: string,
    channel: ChannelPort,
    onBroken: (error: Error) => void,
  ): Promise<SourceMemoryRelay> {
    const relay = new SourceMemoryRelay(path, channel, onBroken);
    relay.#server.listen(path);
    await once(relay.#server, 'listening');
    return relay;
  }

  /** Bytes of QEMU's stream so far, before compression. */
  get rawBytes(): number {
    return this.#taken.bytes;
  }

  get bytesAcked(): number {
    return this.#channel.bytesAcked;
  }

  get bytesPending(): number {
    return this.#channel.bytesPending;
  }

  /** Compressed bytes that were given to the link so far, acknowledged or not. */
  get wireBytes(): number {
    return this.bytesAcked + this.bytesPending;
  }

  /** Cuts both sides. QEMU's migration fails, if it still ran. */
  async destroy(error: Error): Promise<void> {
    this.#socket?.destroy();
    this.#channel.destroy(error);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await closed;
    await rm(this.#path, { force: true });
  }

  #accept(socket: Socket): void {
    if (this.#socket !== undefined) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    // Seen by both pumps, which report it where it matters.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#resolveClosed());
    pipeline(socket, this.gate, this.#taken, this.compressor, this.#channel).catch(this.#onBroken);
    // The other direction ends when the destination's QEMU has closed, as it does when it has all.
    pipeline(this.#channel, this.hold, async (messages: AsyncIterable<Buffer>) => {
      await pump(messages, socket);
      this.#resolveClosed();
    }).catch(this.#onBroken);
    socket.on('end', () => this.#resolveClosed());
  }
}

/**
 * Feeds the destination's QEMU at `path` from the channel until both are at their end. Rejects when the
 * channel fails, or QEMU does not listen. That QEMU closes first is in order: it has read all it needs.
 */
export async function relayToDestination(channel: ChannelPort, path: string): Promise<void> {
  const socket = createConnection({ path, allowHalfOpen: true });
  try {
    await once(socket, 'connect');
    // What goes wrong from here on ends the pumps.
    socket.on('error', () => undefined);
    const back = pipeline(said(socket), channel as Writable);
    const forth = pipeline(
      channel as Readable,
      new Coalesce(),
      new AdaptiveReader(),
      (bytes: AsyncIterable<Buffer>) => pump(bytes, socket),
    );
    await Promise.all([back, forth]);
  } catch (error) {
    channel.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  } finally {
    socket.destroy();
  }
}

/** What a QEMU says; its death has a name that both places can tell a person. */
async function* said(socket: Readable): AsyncGenerator<Buffer> {
  try {
    yield* socket;
  } catch (cause) {
    throw new SojournError({
      kind: 'refused',
      code: 'destination-qemu-ended',
      message: 'The QEMU of the arriving guest ended',
      remedy: 'See its log at the place where the guest was to arrive, and try again',
      cause,
    });
  }
}

/** Copies until the source ends, or quietly until the target is closed; never destroys the source's peer. */
async function pump(from: AsyncIterable<Buffer>, to: Socket): Promise<void> {
  for await (const chunk of from) {
    if (to.destroyed || to.writableEnded) continue;
    if (!to.write(chunk)) await drainedOrClosed(to);
  }
  if (!to.destroyed) to.end();
}
