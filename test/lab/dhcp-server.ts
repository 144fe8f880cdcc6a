/** A DHCP server for one guest that is moved without Sojourn: it gets the same address wherever it is. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';

/** Offers `guest` at the interface `guests` of the namespace; its files are in `directory`. */
export async function serveAddress(
  namespace: Namespace,
  { directory, guest, gateway }: { directory: string; guest: string; gateway: string },
): Promise<void> {
  const path = (name: string) => join(directory, `udhcpd.${name}`);
  const configuration = {
    start: guest,
    end: guest,
    interface: 'guests',
    lease_file: path('leases'),
    pidfile: path('pid'),
    'option subnet': '255.255.255.0',
    'option router': gateway,
    'option lease': '86400',
  };
  const lines = Object.entries(configuration).map(([key, value]) => `${key} ${value}\n`);
  await writeFile(path('conf'), lines.join(''));
  await writeFile(path('leases'), '');
  await namespace.spawn(['busybox', 'udhcpd', '-f', path('conf')], { stderr: path('log') });
}
