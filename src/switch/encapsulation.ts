/**
 * Push and pop of tags (OpenFlow 1.3.5, 5.12, tables 6 and 7). A new tag stands right behind the Ethernet addresses, before all
 * others; a label is pushed onto the label stack where there is one. Popping what is not there does nothing; a
 * frame that gets too short for Ethernet by it is padded.
 */
import { putU16, putU32, u32 } from './bytes.ts';
import { ETH_TYPE, VLAN_PRESENT, WORD } from './fields.ts';
import type { Packet } from './packet.ts';
import { outermostTtl } from './ttl.ts';

const ADDRESS_BYTES = 12;
const LABEL_BYTES = 4;
const VLAN_BYTES = 4;
/** eth_type and I-TAG, before the addresses of the customer. */
const SERVICE_TAG_BYTES = 6;

/** Identifier and priority are copied from the outermost tag, else zero. */
export function pushVlan(packet: Packet, ethType: number): void {
  const tag = packet.tagged ? (packet.key[WORD.ethType] as number) >>> 16 : 0;
  packet.grow(VLAN_BYTES);
  putU16(packet.buffer, packet.l2 + 12, ethType);
  putU16(packet.buffer, packet.l2 + 14, tag & 0xefff);
  packet.reload();
}

export function popVlan(packet: Packet): void {
  if (!packet.tagged) return;
  packet.shrink(VLAN_BYTES);
  packet.reload();
}

/** Label and class are copied from the outermost label, else zero; the TTL from that or from IP, else zero. */
export function pushMpls(packet: Packet, ethType: number): void {
  const ttl = outermostTtl(packet) ?? 0;
  const stacked = packet.labelled;
  const copied = stacked ? u32(packet.buffer, packet.l3) & 0xfffffe00 : 0x100;
  packet.grow(LABEL_BYTES);
  const { buffer, l2, typeAt } = packet;
  // The tags before a stack stay before it.
  let at = l2 + ADDRESS_BYTES;
  if (stacked) {
    buffer.copyWithin(at, at + LABEL_BYTES, typeAt);
    at = typeAt - LABEL_BYTES;
  }
  putU16(buffer, at, ethType);
  putU32(buffer, at + 2, ((copied & ~0xff) | ttl) >>> 0);
  packet.reload();
}

/** @param ethType of what is below the label. */
export function popMpls(packet: Packet, ethType: number): void {
  if (!packet.labelled) return;
  const { buffer, l2, typeAt } = packet;
  const tags = l2 + ADDRESS_BYTES;
  buffer.copyWithin(tags + LABEL_BYTES, tags, typeAt);
  putU16(buffer, typeAt + LABEL_BYTES, ethType);
  packet.shrink(LABEL_BYTES);
  packet.reload();
}

/**
 * The addresses become those of the customer and stay those of the backbone. The service is copied from the outer I-TAG, else
 * zero, the priority from the VLAN tag, else zero.
 */
export function pushPbb(packet: Packet, ethType: number): void {
  const { key } = packet;
  const inner = packet.ethType === ETH_TYPE.pbb ? (key[WORD.source] as number) & 0xffffff : 0;
  const tag = key[WORD.ethType] as number;
  const priority = (tag & VLAN_PRESENT) !== 0 ? tag >>> 29 : 0;
  packet.grow(SERVICE_TAG_BYTES + ADDRESS_BYTES);
  const { buffer, l2 } = packet;
  putU16(buffer, l2 + 12, ethType);
  putU32(buffer, l2 + 14, ((priority << 29) | inner) >>> 0);
  packet.writeAddresses(buffer, l2 + 18);
  packet.reload();
}

/** What is left is the customer's frame; tags before the I-TAG go with it. */
export function popPbb(packet: Packet): void {
  if (packet.ethType !== ETH_TYPE.pbb) return;
  const customer = packet.l3 + LABEL_BYTES;
  if (customer + ADDRESS_BYTES + 2 > packet.end) return;
  packet.loadAddresses(customer);
  packet.shrink(customer - packet.l2);
  packet.reload();
}
