/**
 * An NBD client over a unix socket. Requests are pipelined; the server may finish them in any order, so that
 * ranges that overlap must not be under way together: `DiskApplier` sees to that.
 */
import { createConnection, type Socket } from 'node:net';
import { ByteReader } from '../byte-reader.ts';
import {
  COMMAND_FLAG_NO_HOLE,
  Command,
  encodeRequest,
  FLAG_FIXED_NEWSTYLE,
  FLAG_NO_ZEROES,
  Info,
  MAX_OPTION_BYTES,
  NBD_MAGIC,
  NbdProtocolError,
  NbdRequestError,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  Option,
  REPLY_ERROR_BIT,
  Reply,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  TransmissionFlag,
} from './protocol.ts';

interface Pending {
  readonly what: string;
  readonly readLength: number;
  readonly resolve: (data: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class NbdClient {
  readonly size: number;
  /** TransmissionFlag bits of the export. */
  readonly flags: number;
  readonly #socket: Socket;
  readonly #pending = new Map<bigint, Pending>();
  #nextCookie = 1n;
  #failure: Error | undefined;

  private constructor(socket: Socket, reader: ByteReader, size: number, flags: number) {
    this.#socket = socket;
    this.size = size;
    this.flags = flags;
    this.#receive(reader).then(
      () => this.#fail(new NbdProtocolError('the NBD server ended the connection')),
      (error: Error) => this.#fail(error),
    );
  }

  /** Connects and negotiates the export. Rejects with the socket's error, NbdProtocolError or NbdRequestError. */
  static async connect(path: string, exportName: string): Promise<NbdClient> {
    const socket = createConnection({ path });
    // Errors reach the caller through the reader, and through the pending requests later on.
    socket.on('error', () => undefined);
    const reader = new ByteReader(socket);
    try {
      const { size, flags } = await negotiate(socket, reader, exportName);
      return new NbdClient(socket, reader, size, flags);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Largest length is NBD's default maximum, 32 MiB. */
  async read(offset: number, length: number): Promise<Buffer> {
    return this.#request('read', Command.READ, offset, length, 0, undefined);
  }

  async write(offset: number, data: Buffer): Promise<void> {
    await this.#request('write', Command.WRITE, offset, data.length, 0, data);
  }

  async writeZeroes(offset: number, length: number, mayPunchHole: boolean): Promise<void> {
    const flags = mayPunchHole ? 0 : COMMAND_FLAG_NO_HOLE;
    await this.#request('write zeroes', Command.WRITE_ZEROES, offset, length, flags, undefined);
  }

  /** A hint; nothing happens where the server does not offer it. */
  async trim(offset: number, length: number): Promise<void> {
    if ((this.flags & TransmissionFlag.SEND_TRIM) === 0) return;
    await this.#request('trim', Command.TRIM, offset, length, 0, undefined);
  }

  async flush(): Promise<void> {
    if ((this.flags & TransmissionFlag.SEND_FLUSH) === 0) return;
    await this.#request('flush', Command.FLUSH, 0, 0, 0, undefined);
  }

  /** Says good-bye; requests under way fail. */
  close(): void {
    if (this.#failure === undefined) {
      const bye = { flags: 0, type: Command.DISCONNECT, cookie: 0n, offset: 0, length: 0 };
      this.#socket.end(encodeRequest(bye));
    }
    this.#fail(new NbdProtocolError('the NBD connection was closed here'));
  }

  #request(
    what: string,
    type: number,
    offset: number,
    length: number,
    flags: number,
    data: Buffer | undefined,
  ): Promise<Buffer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const cookie = this.#nextCookie;
    this.#nextCookie += 1n;
    return new Promise((resolve, reject) => {
      const readLength = type === Command.READ ? length : 0;
      this.#pending.set(cookie, { what, readLength, resolve, reject });
      this.#socket.cork();
      this.#socket.write(encodeRequest({ flags, type, cookie, offset, length }));
      if (data !== undefined && data.length > 0) this.#socket.write(data);
      this.#socket.uncork();
    });
  }

  async #receive(reader: ByteReader): Promise<void> {
    for (;;) {
      const header = await reader.read(SIMPLE_REPLY_BYTES);
      if (header === undefined) return;
      if (header.readUInt32BE(0) !== SIMPLE_REPLY_MAGIC) {
        throw new NbdProtocolError('wrong reply magic');
      }
      const errno = header.readUInt32BE(4);
      const cookie = header.readBigUInt64BE(8);
      const pending = this.#pending.get(cookie);
      if (pending === undefined) throw new NbdProtocolError('a reply to no request');
      this.#pending.delete(cookie);
      if (errno !== 0) pending.reject(new NbdRequestError(pending.what, errno));
      else if (pending.readLength === 0) pending.resolve(Buffer.alloc(0));
      else pending.resolve(await reader.readExactly(pending.readLength));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
    if (!this.#socket.writableEnded) this.#socket.destroy();
  }
}

async function negotiate(
  socket: Socket,
  reader: ByteReader,
  exportName: string,
): Promise<{ size: number; flags: number }> {
  const greeting = await reader.readExactly(18);
  if (greeting.readBigUInt64BE(0) !== NBD_MAGIC || greeting.readBigUInt64BE(8) !== OPTION_MAGIC) {
    throw new NbdProtocolError('not a newstyle NBD server');
  }
  const common = greeting.readUInt16BE(16) & (FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
  if ((common & FLAG_FIXED_NEWSTYLE) === 0) throw new NbdProtocolError('not fixed newstyle');
  const name = Buffer.from(exportName);
  const hello = Buffer.alloc(4 + 16 + 4 + name.length + 2);
  hello.writeUInt32BE(common, 0);
  hello.writeBigUInt64BE(OPTION_MAGIC, 4);
  hello.writeUInt32BE(Option.GO, 12);
  hello.writeUInt32BE(4 + name.length + 2, 16);
  hello.writeUInt32BE(name.length, 20);
  name.copy(hello, 24);
  socket.write(hello);
  let found: { size: number; flags: number } | undefined;
  for (;;) {
    const header = await reader.readExactly(20);
    const type = header.readUInt32BE(12);
    const length = header.readUInt32BE(16);
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || length > MAX_OPTION_BYTES) {
      throw new NbdProtocolError('malformed option reply');
    }
    const data = length === 0 ? Buffer.alloc(0) : await reader.readExactly(length);
    if (type >= REPLY_ERROR_BIT) {
      throw new NbdProtocolError(`the server refused the export ${exportName}: ${data.toString()}`);
    }
    if (type === Reply.INFO && length >= 12 && data.readUInt16BE(0) === Info.EXPORT) {
      found = { size: Number(data.readBigUInt64BE(2)), flags: data.readUInt16BE(10) };
    }
    if (type !== Reply.ACK) continue;
    if (found === undefined) throw new NbdProtocolError('the server described no export');
    return found;
  }
}
