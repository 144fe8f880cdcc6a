/**
 * NBD, fixed newstyle with simple replies, as far as a disk mirror needs it. Section names are those of
 * `doc/proto.md` in the NetworkBlockDevice/nbd repository; all numbers are big-endian.
 *
 *   "Newstyle negotiation"       S: u64 NBDMAGIC, u64 IHAVEOPT, u16 handshake flags
 *                                C: u32 client flags
 *   "Option haggling"            C: u64 IHAVEOPT, u32 option, u32 length, data
 *                                S: u64 reply magic, u32 option, u32 reply type, u32 length, data
 *   "Request message"            C: u32 request magic, u16 flags, u16 type, u64 cookie, u64 offset, u32 length, data
 *   "Simple reply message"       S: u32 simple reply magic, u32 error, u64 cookie, data of a read
 */

/** "Values"; `NBDMAGIC` and `IHAVEOPT` in ASCII. */
export const NBD_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;

/** "Handshake flags" and "Client flags" share their bits. */
export const FLAG_FIXED_NEWSTYLE = 1 << 0;
export const FLAG_NO_ZEROES = 1 << 1;

/** "Transmission flags". */
export const TransmissionFlag = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
} as const;

/** "Option types". */
export const Option = { EXPORT_NAME: 1, ABORT: 2, LIST: 3, INFO: 6, GO: 7 } as const;

/** "Option reply types"; errors have the top bit. */
export const Reply = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  ERROR_UNSUPPORTED: 0x8000_0001,
  ERROR_INVALID: 0x8000_0003,
  ERROR_UNKNOWN: 0x8000_0006,
  ERROR_TOO_BIG: 0x8000_0009,
} as const;
export const REPLY_ERROR_BIT = 0x8000_0000;

/** "Option types", information types of NBD_REP_INFO. */
export const Info = { EXPORT: 0, BLOCK_SIZE: 3 } as const;

/** "Request types". */
export const Command = {
  READ: 0,
  WRITE: 1,
  DISCONNECT: 2,
  FLUSH: 3,
  TRIM: 4,
  WRITE_ZEROES: 6,
} as const;

/** "Command flags". */
export const COMMAND_FLAG_FUA = 1 << 0;
export const COMMAND_FLAG_NO_HOLE = 1 << 1;

/** "Error values"; the numbers of Linux. */
export const NbdErrno = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  ENOTSUP: 95,
} as const;

export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;

/** "Block size constraints": what both sides may assume without more being said, bytes. */
export const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;
/** Longest option data taken, bytes; an export name has at most 4096. */
export const MAX_OPTION_BYTES = 8 * 1024;

/** The peer broke the protocol; the connection is of no use any more. */
export class NbdProtocolError extends Error {
  override readonly name = 'NbdProtocolError';
}

/** The server answered a request with an error. */
export class NbdRequestError extends Error {
  override readonly name = 'NbdRequestError';
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`the NBD server answered ${what} with error ${errno}`);
    this.errno = errno;
  }
}

export interface Request {
  readonly flags: number;
  readonly type: number;
  /** Opaque to the server; returned as it came. */
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

export function encodeRequest(request: Request): Buffer {
  const bytes = Buffer.allocUnsafe(REQUEST_BYTES);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(request.flags, 4);
  bytes.writeUInt16BE(request.type, 6);
  bytes.writeBigUInt64BE(request.cookie, 8);
  bytes.writeBigUInt64BE(BigInt(request.offset), 16);
  bytes.writeUInt32BE(request.length, 24);
  return bytes;
}

/** Throws NbdProtocolError. An offset beyond 2^53 is none that a disk can have. */
export function decodeRequest(bytes: Buffer): Request {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) throw new NbdProtocolError('wrong request magic');
  const offset = bytes.readBigUInt64BE(16);
  return {
    flags: bytes.readUInt16BE(4),
    type: bytes.readUInt16BE(6),
    cookie: bytes.readBigUInt64BE(8),
    offset: offset > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(offset),
    length: bytes.readUInt32BE(24),
  };
}

export function encodeSimpleReply(cookie: bigint, errno: number): Buffer {
  const bytes = Buffer.allocUnsafe(SIMPLE_REPLY_BYTES);
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(errno, 4);
  bytes.writeBigUInt64BE(cookie, 8);
  return bytes;
}

export function encodeOptionReply(
  option: number,
  type: number,
  data: Buffer = Buffer.alloc(0),
): Buffer {
  const header = Buffer.allocUnsafe(20);
  header.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(data.length, 16);
  return Buffer.concat([header, data]);
}
