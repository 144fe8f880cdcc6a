/**
 * The packet under way: a window on the chunk it arrived in, and its flow key. One object is used again for
 * every packet; nothing is allocated on the forward path.
 *
 * Ports differ in what they carry: guest and TAP ports Ethernet frames, tunnel ports bare IP packets. The
 * Ethernet addresses live in the key only, so a set-field on them works for both, and whoever sends
 * the packet writes the header it needs.
 */
import { ETH_TYPE, IP_PROTOCOL, KEY_WORDS, WORD } from './fields.ts';

export const ETHERNET_HEADER_BYTES = 14;
/** Extension headers followed in one IPv6 packet; more than any honest stack sends. */
const MAX_EXTENSION_HEADERS = 8;

export class Packet {
  buffer: Buffer = Buffer.alloc(0);
  /** Offset of the layer 3 header. */
  l3 = 0;
  /** Offset of the layer 4 header, 0 when the packet has none that can be read (later fragments). */
  l4 = 0;
  /** End of the layer 3 packet; Ethernet padding is cut off. */
  end = 0;
  inPort = 0;
  /** Queues take it although they are full: it was held before, within a bound. */
  exempt = false;
  readonly key = new Uint32Array(KEY_WORDS);

  get l3Bytes(): number {
    return this.end - this.l3;
  }

  get ethType(): number {
    return this.key[WORD.ethType] as number;
  }

  /** Takes up an Ethernet frame at [start, end). @returns false when it is malformed. */
  loadFrame(inPort: number, buffer: Buffer, start: number, end: number): boolean {
    if (end - start < ETHERNET_HEADER_BYTES) return false;
    const { key } = this;
    key.fill(0);
    key[WORD.ethDst] = u16(buffer, start);
    key[WORD.ethDst + 1] = u32(buffer, start + 2);
    key[WORD.ethSrc] = u16(buffer, start + 6);
    key[WORD.ethSrc + 1] = u32(buffer, start + 8);
    return this.#load(inPort, buffer, start + 14, end, u16(buffer, start + 12));
  }

  /**
   * Takes up a bare IP packet at [start, end). Its Ethernet addresses read as zero.
   * @returns false when it is malformed.
   */
  loadIp(inPort: number, buffer: Buffer, start: number, end: number): boolean {
    if (end - start < 20) return false;
    this.key.fill(0);
    const version = (buffer[start] as number) >> 4;
    if (version !== 4 && version !== 6) return false;
    return this.#load(inPort, buffer, start, end, version === 4 ? ETH_TYPE.ipv4 : ETH_TYPE.ipv6);
  }

  /** Writes the packet as an Ethernet frame. @returns the offset behind it. */
  writeFrame(target: Buffer, offset: number): number {
    const { key } = this;
    putU16(target, offset, key[WORD.ethDst] as number);
    putU32(target, offset + 2, key[WORD.ethDst + 1] as number);
    putU16(target, offset + 6, key[WORD.ethSrc] as number);
    putU32(target, offset + 8, key[WORD.ethSrc + 1] as number);
    putU16(target, offset + 12, key[WORD.ethType] as number);
    return offset + 14 + this.buffer.copy(target, offset + 14, this.l3, this.end);
  }

  /** A copy of the packet as an Ethernet frame of its own, for the slow path. */
  toFrame(): Buffer {
    const frame = Buffer.allocUnsafe(ETHERNET_HEADER_BYTES + this.l3Bytes);
    this.writeFrame(frame, 0);
    return frame;
  }

  #load(inPort: number, buffer: Buffer, l3: number, end: number, ethType: number): boolean {
    this.inPort = inPort;
    this.buffer = buffer;
    this.l3 = l3;
    this.l4 = 0;
    this.end = end;
    this.key[WORD.inPort] = inPort;
    this.key[WORD.ethType] = ethType;
    if (ethType === ETH_TYPE.ipv4) return this.#loadIpv4();
    if (ethType === ETH_TYPE.ipv6) return this.#loadIpv6();
    if (ethType === ETH_TYPE.arp) return this.#loadArp();
    return true;
  }

  /** RFC 791, 3.1. */
  #loadIpv4(): boolean {
    const { key, buffer, l3 } = this;
    if (this.end - l3 < 20) return false;
    const first = buffer[l3] as number;
    const header = (first & 0x0f) * 4;
    const total = u16(buffer, l3 + 2);
    if (first >> 4 !== 4 || header < 20 || total < header || total > this.end - l3) return false;
    this.end = l3 + total;
    const protocol = buffer[l3 + 9] as number;
    // The wire's dscp << 2 | ecn, moved up by a byte, is the key's layout already.
    key[WORD.protocol] = ((buffer[l3 + 1] as number) << 8) | protocol;
    key[WORD.source] = u32(buffer, l3 + 12);
    key[WORD.destination] = u32(buffer, l3 + 16);
    const laterFragment = (u16(buffer, l3 + 6) & 0x1fff) !== 0;
    if (!laterFragment) this.#loadL4(protocol, l3 + header);
    return true;
  }

  /** RFC 8200, 3 and 4. */
  #loadIpv6(): boolean {
    const { key, buffer, l3 } = this;
    if (this.end - l3 < 40) return false;
    const payload = u16(buffer, l3 + 4);
    if ((buffer[l3] as number) >> 4 !== 6 || payload + 40 > this.end - l3) return false;
    this.end = l3 + 40 + payload;
    const first = u32(buffer, l3);
    key[WORD.flowLabel] = first & 0xfffff;
    for (let i = 0; i < 4; i++) {
      key[WORD.source + i] = u32(buffer, l3 + 8 + 4 * i);
      key[WORD.destination + i] = u32(buffer, l3 + 24 + 4 * i);
    }
    let next = buffer[l3 + 6] as number;
    let offset = l3 + 40;
    let whole = true;
    for (let i = 0; i < MAX_EXTENSION_HEADERS && isExtension(next); i++) {
      if (offset + 8 > this.end) return false;
      const isFragment = next === 44;
      if (isFragment && (u16(buffer, offset + 2) & 0xfff8) !== 0) whole = false;
      next = buffer[offset] as number;
      offset += isFragment ? 8 : ((buffer[offset + 1] as number) + 1) * 8;
      if (offset > this.end) return false;
      if (!whole) break;
    }
    key[WORD.protocol] = (((first >>> 20) & 0xff) << 8) | next;
    if (whole) this.#loadL4(next, offset);
    return true;
  }

  #loadL4(protocol: number, l4: number): void {
    const { key, buffer } = this;
    const room = this.end - l4;
    if (protocol === IP_PROTOCOL.tcp || protocol === IP_PROTOCOL.udp || protocol === 132) {
      if (room < 8) return;
      key[WORD.l4] = u32(buffer, l4);
    } else if (protocol === IP_PROTOCOL.icmp || protocol === IP_PROTOCOL.icmp6) {
      if (room < 4) return;
      const type = buffer[l4] as number;
      key[WORD.l4] = (type << 16) | (buffer[l4 + 1] as number);
      if (protocol === IP_PROTOCOL.icmp6 && (type === 135 || type === 136)) this.#loadNd(l4, type);
    } else return;
    this.l4 = l4;
  }

  /** RFC 4861, 4.3 and 4.4: target, and the first option when it is the link-layer address. */
  #loadNd(l4: number, type: number): void {
    const { key, buffer } = this;
    if (this.end - l4 < 24) return;
    for (let i = 0; i < 4; i++) key[WORD.ndTarget + i] = u32(buffer, l4 + 8 + 4 * i);
    const option = l4 + 24;
    if (this.end - option < 8 || buffer[option] !== (type === 135 ? 1 : 2)) return;
    const word = type === 135 ? WORD.hardware1 : WORD.hardware2;
    key[word] = u16(buffer, option + 2);
    key[word + 1] = u32(buffer, option + 4);
  }

  /** RFC 826, with Ethernet and IPv4 only. */
  #loadArp(): boolean {
    const { key, buffer, l3 } = this;
    if (this.end - l3 < 28) return false;
    if (u32(buffer, l3) !== 0x00010800 || u16(buffer, l3 + 4) !== 0x0604) return false;
    key[WORD.protocol] = u16(buffer, l3 + 6);
    key[WORD.hardware1] = u16(buffer, l3 + 8);
    key[WORD.hardware1 + 1] = u32(buffer, l3 + 10);
    key[WORD.source] = u32(buffer, l3 + 14);
    key[WORD.hardware2] = u16(buffer, l3 + 18);
    key[WORD.hardware2 + 1] = u32(buffer, l3 + 20);
    key[WORD.destination] = u32(buffer, l3 + 24);
    return true;
  }
}

/** Hop-by-hop, routing, fragment, destination options, AH excluded (its length counts otherwise). */
function isExtension(next: number): boolean {
  return next === 0 || next === 43 || next === 44 || next === 60;
}

export function u16(buffer: Buffer, offset: number): number {
  return ((buffer[offset] as number) << 8) | (buffer[offset + 1] as number);
}

export function u32(buffer: Buffer, offset: number): number {
  return (
    (((buffer[offset] as number) << 24) |
      ((buffer[offset + 1] as number) << 16) |
      ((buffer[offset + 2] as number) << 8) |
      (buffer[offset + 3] as number)) >>>
    0
  );
}

export function putU16(buffer: Buffer, offset: number, value: number): void {
  buffer[offset] = value >>> 8;
  buffer[offset + 1] = value;
}

export function putU32(buffer: Buffer, offset: number, value: number): void {
  buffer[offset] = value >>> 24;
  buffer[offset + 1] = value >>> 16;
  buffer[offset + 2] = value >>> 8;
  buffer[offset + 3] = value;
}
