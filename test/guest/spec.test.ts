/** What a peer may say of a guest: it becomes QEMU's command line, paths and node names. */
import { expect, test } from 'vitest';
import { type GuestAbi, guestSpec } from '../../src/guest/spec.ts';
import { tinySpec } from '../lab/tiny-guest.ts';

const spec = tinySpec();

function accepts(change: Partial<GuestAbi>): boolean {
  return guestSpec.safeParse({ ...spec, abi: { ...spec.abi, ...change } }).success;
}

function acceptsCommandLine(commandLine: string): boolean {
  const blob = { digest: '0'.repeat(64), bytes: 1 };
  return accepts({ boot: { kind: 'kernel', kernel: blob, commandLine } });
}

test('machine and CPU are names, to which no option can be added', () => {
  for (const machine of ['pc-q35-10.0', 'virt-9.2']) expect(accepts({ machine })).toBe(true);
  for (const machine of ['', 'pc-q35-10.0,initrd=/etc/shadow', 'pc q35', 'q35\n', 'a'.repeat(65)])
    expect(accepts({ machine })).toBe(false);
  for (const cpu of ['Nehalem', 'Skylake-Client-v1,+aes,-vmx,+sse4.2'])
    expect(accepts({ cpu })).toBe(true);
  for (const cpu of [
    '',
    'Nehalem,vendor=/x',
    'Nehalem,+aes=/x',
    'Nehalem,,',
    'max,+a b',
    `max${',+aes'.repeat(300)}`,
  ])
    expect(accepts({ cpu })).toBe(false);
});

test('a kernel command line is one printable argument', () => {
  expect(acceptsCommandLine('console=ttyS0,115200 root="LABEL=é" -- -x')).toBe(true);
  for (const bad of ['a\0b', 'a\nb', 'a'.repeat(2049)]) expect(acceptsCommandLine(bad)).toBe(false);
});

test('every disk has a plain name of its own', () => {
  const [disk] = spec.abi.disks;
  if (disk === undefined) throw new Error('the guest has no disk');
  expect(accepts({ disks: [disk, { ...disk, name: 'disk1' }] })).toBe(true);
  expect(accepts({ disks: [disk, disk] })).toBe(false);
  for (const name of ['../disk', 'disk0-base', 'a,b', ''])
    expect(accepts({ disks: [{ ...disk, name }] })).toBe(false);
});

test('addresses and times are nothing else', () => {
  const network = (change: Partial<typeof spec.network>) =>
    guestSpec.safeParse({ ...spec, network: { ...spec.network, ...change } }).success;
  expect(network({ dns: ['192.0.2.53', '2001:db8::53'] })).toBe(true);
  expect(network({ dns: ['192.0.2.53,x'] })).toBe(false);
  expect(network({ hoa6Prefix: '2001:db8:77:5::/64;x' })).toBe(false);
  expect(guestSpec.safeParse({ ...spec, createdAt: 'now' }).success).toBe(false);
});
