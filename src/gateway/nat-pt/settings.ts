/** The translator of a port, as a file says it. */
import { readFile } from 'node:fs/promises';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { errorText, SojournError } from '../../common/index.ts';
import { ipToBytes, type Switch } from '../../switch/index.ts';
import { AddressTable } from './addresses.ts';
import { LEAST_MTU6 } from './icmp.ts';
import { NatPtPort } from './port.ts';

const address4 = z.string().refine((text) => ipaddr.IPv4.isValidFourPartDecimal(text), 'IPv4');
const address6 = z.string().refine((text) => ipaddr.IPv6.isValid(text), 'IPv6');

const natPtSettings = z.strictObject({
  /** RFC 6052; IPv4 addresses without a pair are put into the first. */
  prefixes: z.array(z.string()).max(16).default([]),
  /** RFC 7757: IPv4 addresses of guests, and what stands for them. */
  pairs: z
    .array(z.strictObject({ ipv4: address4, ipv6: address6 }))
    .max(65_536)
    .default([]),
  mtu6: z.int().min(LEAST_MTU6).max(65_535).default(1500),
  mtu4: z.int().min(68).max(65_535).default(1500),
  /** What errors of the translator's own come from. */
  own4: address4.optional(),
  own6: address6.optional(),
});

/** @throws SojournError `natpt-settings`, `translation-prefix`. */
export async function readNatPtPort(path: string, number: number, owner: Switch) {
  const { prefixes, pairs, own4, own6, ...limits } = await read(path);
  return new NatPtPort({
    ...{ number, owner, ...limits },
    addresses: new AddressTable(prefixes, pairs),
    ...(own4 !== undefined && { own4: ipToBytes(own4) }),
    ...(own6 !== undefined && { own6: ipToBytes(own6) }),
  });
}

async function read(path: string): Promise<z.infer<typeof natPtSettings>> {
  let why: string;
  try {
    const settings = natPtSettings.safeParse(JSON.parse(await readFile(path, 'utf8')));
    if (settings.success) return settings.data;
    why = z.prettifyError(settings.error).replace(/\s+/g, ' ');
  } catch (error) {
    why = errorText(error);
  }
  throw new SojournError({
    kind: 'usage',
    code: 'natpt-settings',
    message: `The translator in ${path} cannot be used: ${why}`,
    remedy: 'Write prefixes, pairs and MTUs as the README shows',
  });
}
