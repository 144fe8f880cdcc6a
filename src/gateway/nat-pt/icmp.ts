/** ICMP (RFC 792) and ICMPv6 (RFC 4443) in each other's terms: RFC 7915, 4.2 and 5.2. */

export interface IcmpLimits {
  /** Of the link toward IPv6 and of that toward IPv4, bytes. */
  readonly mtu6: number;
  readonly mtu4: number;
}

/** An error: what comes before the quoted packet. */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** Bytes 4 to 7: a pointer, an MTU, or nothing. */
  readonly rest: number;
}

const ECHO: ReadonlyMap<number, number> = new Map([
  [8, 128],
  [0, 129],
]);
const ECHO_BACK: ReadonlyMap<number, number> = new Map([...ECHO].map(([four, six]) => [six, four]));

/** Smallest MTU of IPv6 (RFC 8200, 5). */
export const LEAST_MTU6 = 1280;
/** RFC 1191, 7.1: what a router that says no MTU may have meant. */
const PLATEAUS = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492];
const HEADER_DIFFERENCE = 20;

/** Of echo request and reply; undefined for all else. */
export function echoTo6(type: number): number | undefined {
  return ECHO.get(type);
}

export function echoTo4(type: number): number | undefined {
  return ECHO_BACK.get(type);
}

type Rewritten = readonly [type: number, code: number, rest: number];

/** By code of a Destination Unreachable: type, code and rest in ICMPv6. 4, too big, is not among them. */
const UNREACHABLE_TO_6: ReadonlyMap<number, Rewritten> = new Map<number, Rewritten>([
  ...[0, 1, 5, 6, 7, 8, 11, 12].map((code) => [code, [1, 0, 0]] as [number, Rewritten]),
  // Protocol unreachable is a parameter problem whose pointer is at Next Header.
  [2, [4, 1, 6]],
  [3, [1, 4, 0]],
  ...[9, 10, 13, 15].map((code) => [code, [1, 1, 0]] as [number, Rewritten]),
]);

/** Field by field, from the offset in one header to that in the other; what is missing has no counterpart. */
const POINTER_TO_6 = new Map([
  [0, 0],
  [1, 1],
  [2, 4],
  [3, 4],
  [8, 7],
  [9, 6],
  ...[12, 13, 14, 15].map((at) => [at, 8] as const),
  ...[16, 17, 18, 19].map((at) => [at, 24] as const),
]);

/**
 * @param message of ICMP, from its type on. @param quotedTotal the length that the quoted packet's header says.
 * @returns undefined for what has no counterpart, which is dropped without a word.
 */
export function errorTo6(
  message: Buffer,
  quotedTotal: number,
  limits: IcmpLimits,
): IcmpError | undefined {
  const [type, code] = [message[0] as number, message[1] as number];
  if (type === 3 && code === 4) {
    const told = message.readUInt16BE(6);
    const guess = PLATEAUS.find((each) => each < quotedTotal && each >= LEAST_MTU6) ?? LEAST_MTU6;
    const path = (told === 0 ? guess : told) + HEADER_DIFFERENCE;
    const mtu = Math.min(path, limits.mtu6, limits.mtu4 + HEADER_DIFFERENCE);
    return { type: 2, code: 0, rest: Math.max(LEAST_MTU6, mtu) };
  }
  if (type === 3) {
    const [type6 = 0, code6 = 0, rest = 0] = UNREACHABLE_TO_6.get(code) ?? [];
    return type6 === 0 ? undefined : { type: type6, code: code6, rest };
  }
  if (type === 11) return { type: 3, code, rest: 0 };
  if (type === 12 && (code === 0 || code === 2)) {
    const pointer = POINTER_TO_6.get(message[4] as number);
    return pointer === undefined ? undefined : { type: 4, code: 0, rest: pointer };
  }
  return undefined;
}

const UNREACHABLE_TO_4: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [1, 10],
  [2, 1],
  [3, 1],
  [4, 3],
]);

function pointerTo4(pointer: number): number | undefined {
  if (pointer <= 1) return pointer;
  if (pointer === 4 || pointer === 5) return 2;
  if (pointer === 6) return 9;
  if (pointer === 7) return 8;
  if (pointer >= 8 && pointer <= 23) return 12;
  if (pointer >= 24 && pointer <= 39) return 16;
  return undefined;
}

/** The other way round. */
export function errorTo4(message: Buffer, limits: IcmpLimits): IcmpError | undefined {
  const [type, code] = [message[0] as number, message[1] as number];
  if (type === 1) {
    const code4 = UNREACHABLE_TO_4.get(code);
    return code4 === undefined ? undefined : { type: 3, code: code4, rest: 0 };
  }
  if (type === 2) {
    const path = message.readUInt32BE(4) - HEADER_DIFFERENCE;
    const mtu = Math.min(path, limits.mtu4, limits.mtu6 - HEADER_DIFFERENCE);
    return { type: 3, code: 4, rest: Math.max(0, mtu) };
  }
  if (type === 3) return { type: 11, code, rest: 0 };
  if (type === 4 && code === 1) return { type: 3, code: 2, rest: 0 };
  if (type === 4 && code === 0) {
    const pointer = pointerTo4(message.readUInt32BE(4));
    // The pointer of ICMP is the first byte (RFC 792).
    return pointer === undefined ? undefined : { type: 12, code: 0, rest: (pointer << 24) >>> 0 };
  }
  return undefined;
}

/**
 * The quoted packet without extensions behind it (RFC 4884): those are for the family they came in.
 * @param wordBytes of the length field's unit, @param lengthAt its offset: 4 and 5 in ICMP, 8 and 4 in ICMPv6.
 */
export function quotedPacket(message: Buffer, lengthAt: number, wordBytes: number): Buffer {
  const words = message[lengthAt] as number;
  return message.subarray(8, words === 0 ? message.length : 8 + words * wordBytes);
}
