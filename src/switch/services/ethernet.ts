/** Ethernet II and ARP (RFC 826). */
import { ETH_TYPE } from '../fields.ts';

export function ethernet(destination: Buffer, source: Buffer, type: number, payload: Buffer) {
  const header = Buffer.alloc(14);
  destination.copy(header, 0);
  source.copy(header, 6);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
}

export interface Arp {
  readonly operation: number;
  readonly senderMac: Buffer;
  readonly senderIp: Buffer;
  readonly targetMac: Buffer;
  readonly targetIp: Buffer;
}

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** @returns undefined for anything but ARP for Ethernet and IPv4 (hardware type 1, RFC 826). */
export function decodeArp(packet: Buffer): Arp | undefined {
  if (packet.length < 28 || packet.readUInt32BE(0) !== 0x00010800) return undefined;
  if (packet.readUInt16BE(4) !== 0x0604) return undefined;
  return {
    operation: packet.readUInt16BE(6),
    senderMac: packet.subarray(8, 14),
    senderIp: packet.subarray(14, 18),
    targetMac: packet.subarray(18, 24),
    targetIp: packet.subarray(24, 28),
  };
}

export function encodeArp(arp: Arp): Buffer {
  const head = Buffer.from([0, 1, 0x08, 0, 6, 4, 0, arp.operation]);
  return Buffer.concat([head, arp.senderMac, arp.senderIp, arp.targetMac, arp.targetIp]);
}

/** The gateway's answer to an ARP request: it is at `mac`. */
export function arpReply(request: Arp, mac: Buffer): Buffer {
  const reply = encodeArp({
    operation: ARP_REPLY,
    senderMac: mac,
    senderIp: request.targetIp,
    targetMac: request.senderMac,
    targetIp: request.senderIp,
  });
  return ethernet(request.senderMac, mac, ETH_TYPE.arp, reply);
}
