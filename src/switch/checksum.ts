/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3). */

/** One's complement sum of [start, end), folded to 16 bits, with `initial` added; not inverted. */
export function onesSum(buffer: Buffer, start: number, end: number, initial = 0): number {
  let sum = initial;
  let offset = start;
  for (; offset + 1 < end; offset += 2)
    sum += ((buffer[offset] as number) << 8) | (buffer[offset + 1] as number);
  if (offset < end) sum += (buffer[offset] as number) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

export function checksum(buffer: Buffer, start: number, end: number, initial = 0): number {
  return ~onesSum(buffer, start, end, initial) & 0xffff;
}

/** The checksum after a 16-bit word changed: HC' = ~(~HC + ~m + m'). */
export function updateChecksum(old: number, before: number, after: number): number {
  let sum = (~old & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1), to be passed as `initial`. */
export function pseudoHeaderSum(packet: Buffer, l3: number, protocol: number, l4Bytes: number) {
  const version = (packet[l3] as number) >> 4;
  const start = version === 4 ? l3 + 12 : l3 + 8;
  const end = version === 4 ? l3 + 20 : l3 + 40;
  return onesSum(packet, start, end, protocol + (l4Bytes & 0xffff) + (l4Bytes >>> 16));
}
