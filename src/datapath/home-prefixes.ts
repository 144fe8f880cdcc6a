import { cidrToBigInt } from '../switch/index.ts';

/** The gateway of the anchored prefix that an address is in: the first address of the prefix. */
export function gatewayIn(prefixes: readonly string[], address: Buffer): Buffer | undefined {
  const value = BigInt(`0x${address.toString('hex')}`);
  for (const cidr of prefixes) {
    const { value: base, length, bits } = cidrToBigInt(cidr);
    const rest = BigInt(bits - length);
    if (bits !== address.length * 8 || value >> rest !== base >> rest) continue;
    return Buffer.from((base + 1n).toString(16).padStart(bits / 4, '0'), 'hex');
  }
  return undefined;
}
