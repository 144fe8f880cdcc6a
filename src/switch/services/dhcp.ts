/**
 * The DHCPv4 server for one guest (RFC 2131, options of RFC 2132). It has one address to give and always the same, so
 * it keeps no state, and any place can answer a renewal of a lease that another gave.
 *
 *   op 1 | htype 1 | hlen 1 | hops 1 | xid 4 | secs 2 | flags 2 | ciaddr 4 | yiaddr 4 | siaddr 4 | giaddr 4 |
 *   chaddr 16 | sname 64 | file 128 | magic cookie 4 | options: (code 1 | length 1 | value)* 255
 */
const FIXED_BYTES = 236;
const MAGIC = 0x63825363;
/** RFC 2131, 2: what a client must be prepared to accept; some drop shorter ones (BOOTP, RFC 951). */
const MIN_MESSAGE_BYTES = 300;
/** One day. The address never changes; the length only decides how often a guest asks. */
const LEASE_SECONDS = 86_400;
const BROADCAST_FLAG = 0x8000;

export const DHCP = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

const OPTION = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  mtu: 26,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  serverId: 54,
  end: 255,
} as const;

export interface DhcpLease {
  readonly address: Buffer;
  readonly prefixLength: number;
  /** Router and server identifier. */
  readonly gateway: Buffer;
  readonly dns: readonly Buffer[];
  readonly mtu: number;
  readonly mac: Buffer;
}

export interface DhcpMessage {
  readonly op: number;
  readonly xid: number;
  readonly flags: number;
  readonly clientAddress: Buffer;
  readonly yourAddress: Buffer;
  readonly hardware: Buffer;
  readonly options: ReadonlyMap<number, Buffer>;
}

export interface DhcpReply {
  readonly payload: Buffer;
  /** To 255.255.255.255 instead of the leased address (RFC 2131, 4.1). */
  readonly broadcast: boolean;
}

/** @returns undefined for what is no DHCP message on Ethernet. Options behind a truncated one are ignored. */
export function decodeDhcp(payload: Buffer): DhcpMessage | undefined {
  if (payload.length < FIXED_BYTES + 4 || payload.readUInt32BE(FIXED_BYTES) !== MAGIC)
    return undefined;
  if (payload[1] !== 1 || payload[2] !== 6) return undefined;
  const options = new Map<number, Buffer>();
  let offset = FIXED_BYTES + 4;
  while (offset < payload.length && payload[offset] !== OPTION.end) {
    const code = payload[offset] as number;
    if (code === 0) {
      offset++;
      continue;
    }
    const length = payload[offset + 1];
    if (length === undefined || offset + 2 + length > payload.length) break;
    const value = payload.subarray(offset + 2, offset + 2 + length);
    const earlier = options.get(code);
    // RFC 3396, 5: an option that occurs again goes on where it left off.
    options.set(code, earlier === undefined ? value : Buffer.concat([earlier, value]));
    offset += 2 + length;
  }
  return {
    op: payload[0] as number,
    xid: payload.readUInt32BE(4),
    flags: payload.readUInt16BE(10),
    clientAddress: payload.subarray(12, 16),
    yourAddress: payload.subarray(16, 20),
    hardware: payload.subarray(28, 34),
    options,
  };
}

/** The server's answer (RFC 2131, 4.3). @returns undefined when the message wants none. */
export function answerDhcp(payload: Buffer, lease: DhcpLease): DhcpReply | undefined {
  const message = decodeDhcp(payload);
  if (message === undefined || message.op !== 1) return undefined;
  if (!message.hardware.equals(lease.mac)) return undefined;
  const type = message.options.get(OPTION.messageType)?.[0];
  const server = message.options.get(OPTION.serverId);
  if (server !== undefined && !server.equals(lease.gateway)) return undefined;
  const unconfigured = message.clientAddress.every((byte) => byte === 0);
  const broadcast = unconfigured && (message.flags & BROADCAST_FLAG) !== 0;
  if (type === DHCP.discover)
    return { payload: encodeReply(message, DHCP.offer, lease), broadcast };
  if (type === DHCP.inform) return { payload: encodeReply(message, DHCP.ack, lease), broadcast };
  if (type !== DHCP.request) return undefined;
  const wanted = message.options.get(OPTION.requestedAddress) ?? message.clientAddress;
  // RFC 2131, 4.3.2: a NAK is broadcast, the client may have no usable address.
  if (!wanted.equals(lease.address))
    return { payload: encodeReply(message, DHCP.nak, lease), broadcast: true };
  return { payload: encodeReply(message, DHCP.ack, lease), broadcast };
}

function encodeReply(message: DhcpMessage, type: number, lease: DhcpLease): Buffer {
  const inform = message.options.get(OPTION.messageType)?.[0] === DHCP.inform;
  const fixed = Buffer.alloc(FIXED_BYTES);
  fixed[0] = 2;
  fixed[1] = 1;
  fixed[2] = 6;
  fixed.writeUInt32BE(message.xid, 4);
  fixed.writeUInt16BE(message.flags, 10);
  if (type !== DHCP.nak) {
    message.clientAddress.copy(fixed, 12);
    if (!inform) lease.address.copy(fixed, 16);
  }
  message.hardware.copy(fixed, 28);
  const options = [option(OPTION.messageType, [type]), option(OPTION.serverId, lease.gateway)];
  if (type !== DHCP.nak) {
    if (!inform) options.push(option(OPTION.leaseTime, word(LEASE_SECONDS)));
    const mask = (0xffffffff << (32 - lease.prefixLength)) >>> 0;
    options.push(option(OPTION.subnetMask, word(mask)));
    options.push(option(OPTION.router, lease.gateway));
    options.push(option(OPTION.mtu, [lease.mtu >>> 8, lease.mtu & 0xff]));
    if (lease.dns.length > 0) options.push(option(OPTION.dns, Buffer.concat([...lease.dns])));
  }
  const whole = Buffer.concat([fixed, word(MAGIC), ...options, Buffer.from([OPTION.end])]);
  const padding = Math.max(0, MIN_MESSAGE_BYTES - whole.length);
  return Buffer.concat([whole, Buffer.alloc(padding)]);
}

function option(code: number, value: Buffer | number[]): Buffer {
  return Buffer.from([code, value.length, ...value]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
