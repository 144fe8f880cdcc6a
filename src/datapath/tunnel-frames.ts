/**
 * What two datapaths say to each other inside TLS (ALPN `sojourn-tunnel`). Integers are big-endian.
 *
 *   | u16 length | u8 type | payload, `length` bytes |
 *
 *   type        payload
 *   1 HELLO     u8 oldest version, u8 newest version; first frame of each side, 0 is never a version
 *   2 PACKET    an IP packet
 *   3 PING      f64 sender's clock, milliseconds
 *   4 PONG      the payload of the PING
 *   5 ACK       f64 bytes received on this connection so far, headers counted
 *   16 HOLD     guest id (16 bytes), f64 epoch
 *   17 END      guest id, epoch
 *   18 UNHOLD   guest id, epoch
 *   19 FWD_END  guest id, epoch
 *   20 FWD      guest id, epoch, an IP packet
 *
 * Frames of a type that is not known are skipped, so that a later version can add some.
 */
import type { Marker } from './switchover-state.ts';

export const TUNNEL_VERSION = { oldest: 1, newest: 1 } as const;

export const FRAME = {
  hello: 1,
  packet: 2,
  ping: 3,
  pong: 4,
  ack: 5,
  hold: 16,
  end: 17,
  unhold: 18,
  fwdEnd: 19,
  forward: 20,
} as const;

export const FRAME_HEADER_BYTES = 3;
/** Guest id and epoch. */
export const GUEST_HEADER_BYTES = 24;

const MARKER_TYPE: Readonly<Record<Marker, number>> = {
  hold: FRAME.hold,
  end: FRAME.end,
  unhold: FRAME.unhold,
  'fwd-end': FRAME.fwdEnd,
};

export function markerOf(type: number): Marker | undefined {
  const found = Object.entries(MARKER_TYPE).find(([, value]) => value === type);
  return found?.[0] as Marker | undefined;
}

export function encodeFrame(type: number, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame.writeUInt16BE(payload.length, 0);
  frame[2] = type;
  payload.copy(frame, FRAME_HEADER_BYTES);
  return frame;
}

export function encodeNumber(type: number, value: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeDoubleBE(value);
  return encodeFrame(type, payload);
}

export function encodeMarker(marker: Marker, guestId: string, epoch: number): Buffer {
  return encodeFrame(MARKER_TYPE[marker], guestHeader(guestId, epoch));
}

export function encodeForward(guestId: string, epoch: number, packet: Buffer): Buffer {
  return encodeFrame(FRAME.forward, Buffer.concat([guestHeader(guestId, epoch), packet]));
}

/** @returns undefined when the payload is too short or the epoch is none. */
export function decodeGuestHeader(payload: Buffer): { guestId: string; epoch: number } | undefined {
  if (payload.length < GUEST_HEADER_BYTES) return undefined;
  const epoch = payload.readDoubleBE(16);
  if (!Number.isSafeInteger(epoch) || epoch < 0) return undefined;
  const hex = payload.toString('hex', 0, 16);
  const guestId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { guestId, epoch };
}

/** Whether a HELLO names a version that this side speaks. */
export function acceptsHello(payload: Buffer): boolean {
  const [oldest, newest] = [payload[0] ?? 0, payload[1] ?? 0];
  if (oldest === 0 || newest < oldest) return false;
  return oldest <= TUNNEL_VERSION.newest && newest >= TUNNEL_VERSION.oldest;
}

function guestHeader(guestId: string, epoch: number): Buffer {
  const header = Buffer.alloc(GUEST_HEADER_BYTES);
  header.write(guestId.replaceAll('-', ''), 0, 16, 'hex');
  header.writeDoubleBE(epoch, 16);
  return header;
}
