/**
 * Other addresses in an ICMP error: around it, and in the packet that it quotes, which is what its receiver knows the connection
 * by (RFC 5508, 4.2). OpenFlow can set only the outer ones. Packets begin with their IP header.
 */
import { checksum, onesSum, pseudoHeaderSum, updateChecksum } from '../../switch/index.ts';

const ICMP = 1;
const ICMP6 = 58;
const TCP = 6;
const UDP = 17;
/** Destination Unreachable, Time Exceeded, Parameter Problem. */
const ERRORS4 = [3, 11, 12];

/** @returns the address to be written instead, as long as the one given; undefined to leave it. */
export type AddressChange = (address: Buffer) => Buffer | undefined;

/**
 * @returns a changed copy, with right checksums; undefined for what is no whole, undamaged ICMP error, and when there is nothing to
 *   change.
 */
export function rewriteIcmpError(packet: Buffer, change: AddressChange): Buffer | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return rewrite4(packet, change);
  return version === 6 ? rewrite6(packet, change) : undefined;
}

function rewrite4(original: Buffer, change: AddressChange): Buffer | undefined {
  if (original.length < 20) return undefined;
  const header = ((original[0] as number) & 0x0f) * 4;
  const total = original.readUInt16BE(2);
  const fragment = (original.readUInt16BE(6) & 0x3fff) !== 0;
  if (header < 20 || total > original.length || total < header + 28 || fragment) return undefined;
  if (original[9] !== ICMP || !ERRORS4.includes(original[header] as number)) return undefined;
  if (onesSum(original, header, total) !== 0xffff) return undefined;
  const packet = Buffer.from(original.subarray(0, total));
  const outer = replace(packet, 12, 4, change);
  const inner = rewriteQuoted4(packet, header + 8, change);
  if (!outer && !inner) return undefined;
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(checksum(packet, 0, header), 10);
  packet.writeUInt16BE(0, header + 2);
  packet.writeUInt16BE(checksum(packet, header, total), header + 2);
  return packet;
}

function rewrite6(original: Buffer, change: AddressChange): Buffer | undefined {
  if (original.length < 40 + 8 + 40) return undefined;
  const total = 40 + original.readUInt16BE(4);
  // An error with extension headers is none that a router sends.
  if (total > original.length || original[6] !== ICMP6 || (original[40] as number) >= 128)
    return undefined;
  const sum = (packet: Buffer) =>
    onesSum(packet, 40, total, pseudoHeaderSum(packet, 0, ICMP6, total - 40));
  if (sum(original) !== 0xffff) return undefined;
  const packet = Buffer.from(original.subarray(0, total));
  const outer = replace(packet, 8, 16, change);
  const inner = rewriteQuoted6(packet, 48, change);
  if (!outer && !inner) return undefined;
  packet.writeUInt16BE(0, 42);
  packet.writeUInt16BE(~sum(packet) & 0xffff, 42);
  return packet;
}

function rewriteQuoted4(packet: Buffer, at: number, change: AddressChange): boolean {
  const header = ((packet[at] as number) & 0x0f) * 4;
  if ((packet[at] as number) >> 4 !== 4 || header < 20 || at + header > packet.length) return false;
  const before = onesSum(packet, at + 12, at + 20);
  if (!replace(packet, at + 12, 4, change)) return false;
  const after = onesSum(packet, at + 12, at + 20);
  const old = packet.readUInt16BE(at + 10);
  packet.writeUInt16BE(updateChecksum(old, before, after), at + 10);
  const first = (packet.readUInt16BE(at + 6) & 0x1fff) === 0;
  if (first) adjust(packet, at + header, packet[at + 9] as number, before, after);
  return true;
}

function rewriteQuoted6(packet: Buffer, at: number, change: AddressChange): boolean {
  if ((packet[at] as number) >> 4 !== 6 || at + 40 > packet.length) return false;
  const before = onesSum(packet, at + 8, at + 40);
  if (!replace(packet, at + 8, 16, change)) return false;
  const after = onesSum(packet, at + 8, at + 40);
  adjust(packet, at + 40, packet[at + 6] as number, before, after);
  return true;
}

/** The checksum of the quoted upper layer covers the addresses, but for ICMP; it may have been cut off. */
function adjust(packet: Buffer, at: number, protocol: number, before: number, after: number) {
  const offset = protocol === TCP ? 16 : protocol === UDP ? 6 : protocol === ICMP6 ? 2 : undefined;
  if (offset === undefined || at + offset + 2 > packet.length) return;
  const old = packet.readUInt16BE(at + offset);
  if (protocol === UDP && old === 0) return;
  const sum = updateChecksum(old, before, after);
  packet.writeUInt16BE(protocol === UDP && sum === 0 ? 0xffff : sum, at + offset);
}

/** Source and destination, one behind the other. */
function replace(packet: Buffer, at: number, bytes: number, change: AddressChange): boolean {
  let changed = false;
  for (const offset of [at, at + bytes]) {
    const next = change(packet.subarray(offset, offset + bytes));
    if (next === undefined) continue;
    next.copy(packet, offset);
    changed = true;
  }
  return changed;
}
