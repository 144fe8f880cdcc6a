/**
 * The packet under way: a window on the chunk it arrived in, and its flow key. One object is used again for
 * every packet; nothing is allocated on the forward path.
 *
 * Ports differ in what they carry: guest and TAP ports Ethernet frames, tunnel ports bare IP packets. The
 * Ethernet addresses live in the key only, so a set-field on them works for both, and whoever sends
 * the packet writes the header it needs.
 *
 *      l2                   typeAt  l3                      l4                     l3End   end
 *      | (addresses: unused) | tags | eth_type | header     | header | payload      | trailer |
 *
 * As the twelve bytes of the addresses are free, short tags are pushed in place; for longer ones the packet moves into a
 * buffer of its own.
 */
import { putU16, putU32, u16, u32 } from './bytes.ts';
import { ETH_TYPE, KEY_WORDS, VLAN_BITS, WORD } from './fields.ts';
import { parseLayers } from './parse.ts';

export { putU16, putU32, u16, u32 } from './bytes.ts';

export const ETHERNET_HEADER_BYTES = 14;
/** IEEE 802.3, 3.2.8, without the checksum. */
const LEAST_FRAME_BYTES = 60;
/** Room before a packet in a buffer of its own, bytes; what is pushed beyond it makes the buffer anew. */
const HEADROOM = 128;

export class Packet {
  buffer: Buffer = Buffer.alloc(0);
  /** Offset of the Ethernet header. The bytes of its addresses are not those of the packet; they are in the key. */
  l2 = 0;
  /** Offset of the field that holds eth_type, behind all VLAN tags. */
  typeAt = 0;
  /** Offset of what follows eth_type. */
  l3 = 0;
  /** Offset of the layer 4 header, 0 when the packet has none that can be read (later fragments). */
  l4 = 0;
  /** Offset of the byte that names the protocol of layer 4. */
  protocolAt = 0;
  /** End of the layer 3 packet; 0 when there is none or it is malformed. */
  l3End = 0;
  end = 0;
  inPort = 0;
  /** An IPv6 routing header has segments left, so that the destination in the header is not that of the checksum. */
  routed = false;
  /** Of an IP packet that is cut in pieces. */
  fragment = false;
  /** Bytes of Ethernet padding are kept, and malformed IP packets, without their fields, too. */
  keepsAll = false;
  /** Switches of this process that it has come through (`PatchPort`). */
  hops = 0;
  /** Queues take it although they are full: it was held before, within a bound. */
  exempt = false;
  readonly key = new Uint32Array(KEY_WORDS);
  /** First byte that may be written when the packet grows at its front. */
  #floor = 0;
  /** It came without an Ethernet header. */
  #bare = false;
  #own: Buffer | undefined;

  get l3Bytes(): number {
    return this.end - this.l3;
  }

  get ethType(): number {
    return (this.key[WORD.ethType] as number) & 0xffff;
  }

  /** Whether there is a whole label stack entry at `l3`. */
  get labelled(): boolean {
    const { ethType } = this;
    const mpls = ethType === ETH_TYPE.mpls || ethType === ETH_TYPE.mplsMulticast;
    return mpls && this.l3 + 4 <= this.end;
  }

  /** Whether it has VLAN tags, so that there is more between the addresses and eth_type. */
  get tagged(): boolean {
    return ((this.key[WORD.ethType] as number) & VLAN_BITS) !== 0;
  }

  /** Bytes as an Ethernet frame, without checksum. */
  get frameBytes(): number {
    return this.end - this.l2;
  }

  /** Takes up an Ethernet frame at [start, end). @returns false when it is malformed. */
  loadFrame(inPort: number, buffer: Buffer, start: number, end: number): boolean {
    if (end - start < ETHERNET_HEADER_BYTES) return false;
    this.#begin(inPort, buffer, start, end);
    this.#floor = start;
    this.#bare = false;
    this.loadAddresses(start);
    return parseLayers(this);
  }

  /**
   * Takes up a bare IP packet at [start, end). Its Ethernet addresses read as zero.
   * @returns false when it is malformed.
   */
  loadIp(inPort: number, buffer: Buffer, start: number, end: number): boolean {
    if (end - start < 20) return false;
    const version = (buffer[start] as number) >> 4;
    if (version !== 4 && version !== 6) return false;
    this.#begin(inPort, buffer, start - ETHERNET_HEADER_BYTES, end);
    this.#bare = true;
    return parseLayers(this, version === 4 ? ETH_TYPE.ipv4 : ETH_TYPE.ipv6);
  }

  /** Reads the layers again after what was pushed, popped or written has changed what they are. */
  reload(): void {
    const bareType = this.#bare ? this.ethType : undefined;
    this.key.fill(0, WORD.ethType, WORD.tunnel);
    // What cannot be read any more is passed on without its fields.
    parseLayers(this, bareType);
  }

  /** Takes the Ethernet addresses at `offset` for those of the packet. */
  loadAddresses(offset: number): void {
    const { key, buffer } = this;
    key[WORD.ethDst] = u16(buffer, offset);
    key[WORD.ethDst + 1] = u32(buffer, offset + 2);
    key[WORD.ethSrc] = u16(buffer, offset + 6);
    key[WORD.ethSrc + 1] = u32(buffer, offset + 8);
  }

  /** Writes the Ethernet addresses to `offset` of the packet's buffer or another. */
  writeAddresses(target: Buffer, offset: number): void {
    const { key } = this;
    putU16(target, offset, key[WORD.ethDst] as number);
    putU32(target, offset + 2, key[WORD.ethDst + 1] as number);
    putU16(target, offset + 6, key[WORD.ethSrc] as number);
    putU32(target, offset + 8, key[WORD.ethSrc + 1] as number);
  }

  /** Writes the packet as an Ethernet frame. @returns the offset behind it. */
  writeFrame(target: Buffer, offset: number): number {
    this.writeAddresses(target, offset);
    if (this.#bare) {
      putU16(target, offset + 12, this.ethType);
      return offset + 14 + this.buffer.copy(target, offset + 14, this.l3, this.end);
    }
    return offset + 12 + this.buffer.copy(target, offset + 12, this.l2 + 12, this.end);
  }

  /** A copy of the packet as an Ethernet frame of its own, for the slow path. */
  toFrame(): Buffer {
    const frame = Buffer.allocUnsafe(this.frameBytes);
    this.writeFrame(frame, 0);
    return frame;
  }

  /** Makes `bytes` of room between the addresses and what follows them. `l2` moves; the rest stays where it is. */
  grow(bytes: number): void {
    if (this.#bare || this.l2 - bytes + 12 < this.#floor) this.#moveToOwn(bytes);
    this.l2 -= bytes;
  }

  /**
   * Takes away the first `bytes` of what follows the addresses. A frame that was long enough for Ethernet stays so, where padding
   * is kept at all.
   */
  shrink(bytes: number): void {
    const missing = Math.min(bytes, LEAST_FRAME_BYTES - (this.frameBytes - bytes));
    this.l2 += bytes;
    if (missing <= 0 || !this.keepsAll || this.frameBytes + bytes < LEAST_FRAME_BYTES) return;
    if (this.buffer !== this.#own || this.end + missing > this.buffer.length)
      this.#moveToOwn(missing);
    this.buffer.fill(0, this.end, this.end + missing);
    this.end += missing;
  }

  /** Becomes a copy of another packet, in a buffer of its own. */
  copyFrom(other: Packet): void {
    const frame = this.#buffer(HEADROOM + other.frameBytes);
    other.writeFrame(frame, HEADROOM);
    const moved = HEADROOM - other.l2;
    this.inPort = other.inPort;
    this.keepsAll = other.keepsAll;
    this.exempt = other.exempt;
    this.hops = other.hops;
    this.key.set(other.key);
    this.#place(other, frame, moved);
  }

  #begin(inPort: number, buffer: Buffer, l2: number, end: number): void {
    const { key } = this;
    key.fill(0);
    key[WORD.inPort] = inPort;
    key[WORD.physicalPort] = inPort;
    this.inPort = inPort;
    this.hops = 0;
    this.buffer = buffer;
    this.l2 = l2;
    this.end = end;
  }

  #moveToOwn(bytes: number): void {
    const room = HEADROOM + bytes;
    const needed = room + this.frameBytes + LEAST_FRAME_BYTES;
    // The packet may be in the buffer already.
    const frame = this.buffer === this.#own ? Buffer.allocUnsafe(needed) : this.#buffer(needed);
    this.writeFrame(frame, room);
    if (this.buffer === this.#own) this.#own = frame;
    this.#place(this, frame, room - this.l2);
  }

  #buffer(bytes: number): Buffer {
    if (this.#own === undefined || this.#own.length < bytes)
      this.#own = Buffer.allocUnsafe(Math.max(2048, bytes));
    return this.#own;
  }

  #place(from: Packet, buffer: Buffer, moved: number): void {
    this.buffer = buffer;
    this.#floor = 0;
    this.#bare = false;
    this.typeAt = from.typeAt + moved;
    this.l3 = from.l3 + moved;
    this.l4 = from.l4 === 0 ? 0 : from.l4 + moved;
    this.protocolAt = from.protocolAt + moved;
    this.l3End = from.l3End === 0 ? 0 : from.l3End + moved;
    this.end = from.end + moved;
    this.routed = from.routed;
    this.fragment = from.fragment;
    this.l2 = from.l2 + moved;
  }
}

/** Packets to use again; as many are made as are under way at once. */
export class PacketPool {
  readonly #free: Packet[] = [];
  readonly #keepsAll: boolean;

  constructor(keepsAll: boolean) {
    this.#keepsAll = keepsAll;
  }

  take(): Packet {
    const packet = this.#free.pop() ?? new Packet();
    packet.keepsAll = this.#keepsAll;
    return packet;
  }

  give(packet: Packet): void {
    this.#free.push(packet);
  }
}
