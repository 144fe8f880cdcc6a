/**
 * The stateless translator between IPv4 and IPv6 (RFC 7915), as a value: addresses, limits, and nothing that it remembers of the
 * packets. "NAT-PT" is the name under which the research uses it; the protocol of that name (RFC 2766) is historic, and what
 * made it so, a name service that it changes, is not here.
 */
import type { AddressMapper } from './addresses.ts';
import { translate4to6 } from './four-to-six.ts';
import { dropped, type Outcome } from './outcome.ts';
import { translate6to4 } from './six-to-four.ts';

export interface TranslatorOptions {
  readonly addresses: AddressMapper;
  /** Of the link toward IPv6, at least 1280, and of that toward IPv4, at least 68; bytes. */
  readonly mtu6: number;
  readonly mtu4: number;
  /**
   * The translator's own addresses, 4 and 16 bytes: errors of its own come from them, and those of routers whose address has no
   * counterpart (RFC 6791). Without, such errors are not sent.
   */
  readonly own4?: Buffer;
  readonly own6?: Buffer;
  /** For packets that may be fragmented after it (RFC 7915, 5.1); 16 bits of it are used. */
  readonly nextIdentification: () => number;
}

/** @param packet from its IP header on; bytes behind its end, such as padding, do not matter. */
export function translatePacket(packet: Buffer, options: TranslatorOptions): Outcome {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return translate4to6(packet, options);
  if (version === 6) return translate6to4(packet, options);
  return dropped('malformed');
}
