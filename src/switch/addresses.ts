/** Text and number forms of addresses. */
import ipaddr from 'ipaddr.js';

export function macToBigInt(mac: string): bigint {
  return BigInt(`0x${mac.replaceAll(':', '')}`);
}

export function macToBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

export function ipToBytes(address: string): Buffer {
  return Buffer.from(ipaddr.parse(address).toByteArray());
}

export function ipToBigInt(address: string): bigint {
  return BigInt(`0x${ipToBytes(address).toString('hex')}`);
}

export function ipFromBytes(bytes: Buffer): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** `10.0.0.0/8` to its first address and length; bits behind the length are cleared. */
export function cidrToBigInt(cidr: string): { value: bigint; length: number; bits: 32 | 128 } {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const bits = address.kind() === 'ipv4' ? 32 : 128;
  const raw = BigInt(`0x${Buffer.from(address.toByteArray()).toString('hex')}`);
  const hostBits = BigInt(bits - length);
  return { value: (raw >> hostBits) << hostBits, length, bits };
}
