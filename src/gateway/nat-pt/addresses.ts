/**
 * Which IPv6 address stands for an IPv4 address, and back: explicit pairs (RFC 7757) before an algorithm (RFC 6052, 2.2).
 *
 *   PL  0-------------32--40--48--56--64--72--80--88--96-------128
 *   32  |     prefix    |v4(32)         | u | suffix             |
 *   40  |     prefix        |v4(24)     | u |(8)| suffix         |
 *   48  |     prefix            |v4(16) | u | (16)  | suffix     |
 *   56  |     prefix                |(8)| u |  v4(24)   | suffix |
 *   64  |     prefix                    | u |   v4(32)      | su |
 *   96  |     prefix                                    | v4(32) |
 *
 * Bits 64 to 71 ("u") and the suffix are zero.
 */
import ipaddr from 'ipaddr.js';
import { SojournError } from '../../common/index.ts';
import { ipFromBytes, ipToBytes } from '../../switch/index.ts';

const LENGTHS = [32, 40, 48, 56, 64, 96];
/** RFC 6052, 2.2: this byte stays zero. */
const U_BYTE = 8;

/** A prefix that IPv4 addresses are embedded in. */
export interface EmbeddingPrefix {
  /** 16 bytes; zero behind the length. */
  readonly bytes: Buffer;
  /** One of 32, 40, 48, 56, 64, 96. */
  readonly length: number;
}

/** @throws SojournError `translation-prefix` for anything but ADDRESS/LENGTH of RFC 6052. */
export function parseEmbeddingPrefix(cidr: string): EmbeddingPrefix {
  const valid = ipaddr.IPv6.isValidCIDR(cidr);
  const [address, length] = valid ? ipaddr.IPv6.parseCIDR(cidr) : [undefined, 0];
  if (address === undefined || !LENGTHS.includes(length) || address.toByteArray()[U_BYTE] !== 0)
    throw new SojournError({
      kind: 'usage',
      code: 'translation-prefix',
      message: `IPv4 addresses cannot be embedded in ${cidr.slice(0, 60)}`,
      remedy: 'Give an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, such as 64:ff9b::/96',
    });
  const bytes = Buffer.alloc(16);
  Buffer.from(address.toByteArray()).copy(bytes, 0, 0, length / 8);
  return { bytes, length };
}

/** @param address 4 bytes. @returns 16 bytes. */
export function embed({ bytes, length }: EmbeddingPrefix, address: Buffer): Buffer {
  const embedded = Buffer.from(bytes);
  let at = length / 8;
  for (const byte of address) {
    if (at === U_BYTE) at++;
    embedded[at++] = byte;
  }
  return embedded;
}

/** @returns the 4 bytes in it; undefined when it is not of the prefix. */
export function extract({ bytes, length }: EmbeddingPrefix, address: Buffer): Buffer | undefined {
  const prefixBytes = length / 8;
  if (!address.subarray(0, prefixBytes).equals(bytes.subarray(0, prefixBytes))) return undefined;
  if (address[U_BYTE] !== 0) return undefined;
  const extracted = Buffer.alloc(4);
  let at = prefixBytes;
  for (let i = 0; i < 4; i++) {
    if (at === U_BYTE) at++;
    extracted[i] = address[at++] as number;
  }
  return extracted;
}

/** What the translator asks. Answers are new buffers or ones that nobody writes to. */
export interface AddressMapper {
  to6(address: Buffer): Buffer | undefined;
  to4(address: Buffer): Buffer | undefined;
}

/** An IPv4 address of a guest and the IPv6 address that stands for it. */
export interface AddressPair {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** Explicit pairs first, then prefixes: the first is what IPv4 addresses are put into, all are taken apart. */
export class AddressTable implements AddressMapper {
  readonly #prefixes: readonly EmbeddingPrefix[];
  readonly #to6 = new Map<number, Buffer>();
  readonly #to4 = new Map<string, Buffer>();

  constructor(prefixes: readonly string[], pairs: readonly AddressPair[] = []) {
    this.#prefixes = prefixes.map(parseEmbeddingPrefix);
    for (const pair of pairs) this.set(pair);
  }

  /** Replaces what either address was paired with. */
  set({ ipv4, ipv6 }: AddressPair): void {
    this.delete(ipv4);
    const [four, six] = [ipToBytes(ipv4), ipToBytes(ipv6)];
    const other = this.#to4.get(ipv6Key(six));
    if (other !== undefined) this.delete(ipFromBytes(other));
    this.#to6.set(four.readUInt32BE(0), six);
    this.#to4.set(ipv6Key(six), four);
  }

  delete(ipv4: string): void {
    const key = ipToBytes(ipv4).readUInt32BE(0);
    const six = this.#to6.get(key);
    if (six === undefined) return;
    this.#to6.delete(key);
    this.#to4.delete(ipv6Key(six));
  }

  to6(address: Buffer): Buffer | undefined {
    const paired = this.#to6.get(address.readUInt32BE(0));
    if (paired !== undefined) return paired;
    const [prefix] = this.#prefixes;
    return prefix === undefined ? undefined : embed(prefix, address);
  }

  to4(address: Buffer): Buffer | undefined {
    const paired = this.#to4.get(ipv6Key(address));
    if (paired !== undefined) return paired;
    for (const prefix of this.#prefixes) {
      const extracted = extract(prefix, address);
      if (extracted !== undefined) return extracted;
    }
    return undefined;
  }
}

function ipv6Key(address: Buffer): string {
  return address.toString('latin1');
}
