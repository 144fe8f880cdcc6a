/**
 * An NBD server for one export on a unix socket. It answers each request as soon as its backend has taken it, and
 * requests in the order in which they came, so that a backend need not know about overlap.
 */

import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { ByteReader, TruncatedStreamError } from '../byte-reader.ts';
import {
  COMMAND_FLAG_FUA,
  COMMAND_FLAG_NO_HOLE,
  Command,
  decodeRequest,
  encodeOptionReply,
  encodeSimpleReply,
  FLAG_FIXED_NEWSTYLE,
  FLAG_NO_ZEROES,
  Info,
  MAX_OPTION_BYTES,
  MAX_PAYLOAD_BYTES,
  NBD_MAGIC,
  NbdErrno,
  NbdProtocolError,
  NbdRequestError,
  OPTION_MAGIC,
  Option,
  REQUEST_BYTES,
  Reply,
  type Request,
  TransmissionFlag,
} from './protocol.ts';

/** Connections at once; QEMU needs one, `qemu-img` two. */
const MAX_CONNECTIONS = 4;
/** Unsent reply bytes per connection; then no more requests of it are read. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/**
 * What an export is made of. Methods are called one after the other per connection, with ranges checked
 * against `size`. They throw NbdRequestError for an error the client shall see.
 */
export interface NbdBackend {
  /** Bytes. */
  readonly size: number;
  /** Absent: reads are refused. */
  read?(offset: number, length: number): Promise<Buffer>;
  write(offset: number, data: Buffer): void | Promise<void>;
  writeZeroes(offset: number, length: number, mayPunchHole: boolean): void | Promise<void>;
  trim(offset: number, length: number): void | Promise<void>;
  flush(): void | Promise<void>;
}

const FLAGS =
  TransmissionFlag.HAS_FLAGS |
  TransmissionFlag.SEND_FLUSH |
  TransmissionFlag.SEND_FUA |
  TransmissionFlag.SEND_TRIM |
  TransmissionFlag.SEND_WRITE_ZEROES;

export class NbdServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #name: string;
  readonly #backend: NbdBackend;
  /** Connections that ended other than by NBD_CMD_DISC or an orderly end are told here. */
  readonly #onError: (error: Error) => void;

  private constructor(
    path: string,
    name: string,
    backend: NbdBackend,
    onError: (e: Error) => void,
  ) {
    this.path = path;
    this.#name = name;
    this.#backend = backend;
    this.#onError = onError;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Listens at `path`. Rejects with the listening error. */
  static async listen(
    path: string,
    name: string,
    backend: NbdBackend,
    onError: (error: Error) => void,
  ): Promise<NbdServer> {
    const nbd = new NbdServer(path, name, backend, onError);
    await new Promise<void>((resolve, reject) => {
      nbd.#server.once('error', reject);
      nbd.#server.listen(path, () => {
        nbd.#server.off('error', reject);
        resolve();
      });
    });
    return nbd;
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await rm(this.path, { force: true });
  }

  #accept(socket: Socket): void {
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    let failure: Error | undefined;
    // The reader sees this error as well, as its stream's end: it is reported once, below.
    socket.on('error', (error) => {
      failure = error;
    });
    const served = this.#serve(socket);
    const ended = () => {
      this.#sockets.delete(socket);
      socket.destroy();
    };
    served.then(ended, (error: Error) => {
      const wasOpen = this.#sockets.has(socket) && this.#server.listening;
      ended();
      if (wasOpen) this.#onError(failure ?? error);
    });
  }

  async #serve(socket: Socket): Promise<void> {
    const reader = new ByteReader(socket);
    const greeting = Buffer.allocUnsafe(18);
    greeting.writeBigUInt64BE(NBD_MAGIC, 0);
    greeting.writeBigUInt64BE(OPTION_MAGIC, 8);
    greeting.writeUInt16BE(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES, 16);
    socket.write(greeting);
    const flags = await reader.read(4);
    if (flags === undefined) return;
    const clientFlags = flags.readUInt32BE(0);
    if ((clientFlags & ~(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES)) !== 0) {
      throw new NbdProtocolError(`unknown client flags ${clientFlags}`);
    }
    const noZeroes = (clientFlags & FLAG_NO_ZEROES) !== 0;
    if (await this.#haggle(socket, reader, noZeroes)) await this.#transmit(socket, reader);
  }

  /** "Option haggling". True when the transmission phase begins. */
  async #haggle(socket: Socket, reader: ByteReader, noZeroes: boolean): Promise<boolean> {
    for (;;) {
      const header = await reader.read(16);
      if (header === undefined) return false;
      if (header.readBigUInt64BE(0) !== OPTION_MAGIC) throw new NbdProtocolError('no option magic');
      const option = header.readUInt32BE(8);
      const length = header.readUInt32BE(12);
      if (length > MAX_OPTION_BYTES) throw new NbdProtocolError(`option data of ${length} bytes`);
      const data = length === 0 ? Buffer.alloc(0) : await reader.readExactly(length);
      switch (option) {
        case Option.EXPORT_NAME: {
          // This option has no error reply: the connection is closed instead.
          if (data.toString() !== this.#name) return false;
          const answer = Buffer.alloc(noZeroes ? 10 : 134);
          answer.writeBigUInt64BE(BigInt(this.#backend.size), 0);
          answer.writeUInt16BE(FLAGS, 8);
          socket.write(answer);
          return true;
        }
        case Option.ABORT:
          socket.end(encodeOptionReply(option, Reply.ACK));
          return false;
        case Option.LIST:
          socket.write(
            length === 0
              ? Buffer.concat([
                  encodeOptionReply(option, Reply.SERVER, lengthPrefixed(this.#name)),
                  encodeOptionReply(option, Reply.ACK),
                ])
              : encodeOptionReply(option, Reply.ERROR_INVALID),
          );
          break;
        case Option.INFO:
        case Option.GO: {
          const answer = this.#describe(option, data);
          socket.write(Buffer.concat(answer.replies));
          if (answer.known && option === Option.GO) return true;
          break;
        }
        default:
          socket.write(encodeOptionReply(option, Reply.ERROR_UNSUPPORTED));
      }
    }
  }

  #describe(option: number, data: Buffer): { known: boolean; replies: Buffer[] } {
    const nameLength = data.length < 6 ? -1 : data.readUInt32BE(0);
    const expected = nameLength < 0 ? -1 : 4 + nameLength + 2;
    const count = expected < 0 || data.length < expected ? -1 : data.readUInt16BE(4 + nameLength);
    if (count < 0 || data.length !== expected + 2 * count) {
      return { known: false, replies: [encodeOptionReply(option, Reply.ERROR_INVALID)] };
    }
    if (data.toString('utf8', 4, 4 + nameLength) !== this.#name) {
      return { known: false, replies: [encodeOptionReply(option, Reply.ERROR_UNKNOWN)] };
    }
    const exported = Buffer.allocUnsafe(12);
    exported.writeUInt16BE(Info.EXPORT, 0);
    exported.writeBigUInt64BE(BigInt(this.#backend.size), 2);
    exported.writeUInt16BE(FLAGS, 10);
    const blocks = Buffer.allocUnsafe(14);
    blocks.writeUInt16BE(Info.BLOCK_SIZE, 0);
    blocks.writeUInt32BE(1, 2);
    blocks.writeUInt32BE(64 * 1024, 6);
    blocks.writeUInt32BE(MAX_PAYLOAD_BYTES, 10);
    return {
      known: true,
      replies: [
        encodeOptionReply(option, Reply.INFO, exported),
        encodeOptionReply(option, Reply.INFO, blocks),
        encodeOptionReply(option, Reply.ACK),
      ],
    };
  }

  async #transmit(socket: Socket, reader: ByteReader): Promise<void> {
    for (;;) {
      const header = await reader.read(REQUEST_BYTES);
      if (header === undefined) return;
      const request = decodeRequest(header);
      if (request.type === Command.DISCONNECT) return;
      let payload: Buffer = Buffer.alloc(0);
      if (request.type === Command.WRITE) {
        if (request.length > MAX_PAYLOAD_BYTES) throw new NbdProtocolError('payload too large');
        if (request.length > 0) payload = await reader.readExactly(request.length);
      }
      const reply = await this.#execute(request, payload);
      socket.write(encodeSimpleReply(request.cookie, reply.errno));
      if (reply.data !== undefined) socket.write(reply.data);
      if (socket.writableLength > MAX_UNSENT_BYTES) await drained(socket);
    }
  }

  async #execute(request: Request, payload: Buffer): Promise<{ errno: number; data?: Buffer }> {
    const { type, offset, length, flags } = request;
    const inside = offset + length <= this.#backend.size;
    try {
      switch (type) {
        case Command.READ:
          if (!inside || length > MAX_PAYLOAD_BYTES) return { errno: NbdErrno.EINVAL };
          if (this.#backend.read === undefined) return { errno: NbdErrno.ENOTSUP };
          return { errno: 0, data: await this.#backend.read(offset, length) };
        case Command.WRITE:
          if (!inside) return { errno: NbdErrno.ENOSPC };
          await this.#backend.write(offset, payload);
          break;
        case Command.WRITE_ZEROES:
          if (!inside) return { errno: NbdErrno.ENOSPC };
          await this.#backend.writeZeroes(offset, length, (flags & COMMAND_FLAG_NO_HOLE) === 0);
          break;
        case Command.TRIM:
          if (!inside) return { errno: NbdErrno.EINVAL };
          await this.#backend.trim(offset, length);
          break;
        case Command.FLUSH:
          await this.#backend.flush();
          return { errno: 0 };
        default:
          return { errno: NbdErrno.EINVAL };
      }
      if ((flags & COMMAND_FLAG_FUA) !== 0) await this.#backend.flush();
      return { errno: 0 };
    } catch (error) {
      if (error instanceof NbdRequestError) return { errno: error.errno };
      throw error;
    }
  }
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('drain', resolve);
    socket.once('close', () => reject(new TruncatedStreamError('the client went away')));
  });
}
