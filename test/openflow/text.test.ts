import { expect, test } from 'vitest';
import {
  formatAction,
  formatInstruction,
  formatMatch,
  formatMessage,
} from '../../src/openflow/index.ts';

test.each([
  [0n, '::'],
  [1n, '::1'],
  [0x20010db8_00000000_00000000_00000001n, '2001:db8::1'],
  [0xfe80_0000_0000_0000_0000_0000_0000_0000n, 'fe80::'],
  [0x2001_0000_0000_0001_0000_0000_0000_0001n, '2001:0:0:1::1'],
  [0x2001_0000_0001_0002_0003_0004_0005_0006n, '2001:0:1:2:3:4:5:6'],
])('an IPv6 address reads as RFC 5952 says: %s', (value, text) => {
  expect(formatMatch({ ipv6_dst: value })).toBe(`ipv6_dst=${text}`);
});

test('matches, actions and instructions', () => {
  expect(formatMatch({})).toBe('*');
  expect(
    formatMatch({
      in_port: 0xfffffffen,
      eth_dst: { value: 0x0100_0000_0000n, mask: 0x0100_0000_0000n },
      eth_type: 0x800n,
      ipv4_src: 0xc0000201n,
      unknown: [{ oxmClass: 1, field: 5, value: new Uint8Array([1]), mask: new Uint8Array([3]) }],
    }),
  ).toBe(
    'in_port=LOCAL,eth_dst=01:00:00:00:00:00/01:00:00:00:00:00,eth_type=0x800,ipv4_src=192.0.2.1,oxm:0x1.5=01/03',
  );
  expect(formatAction({ type: 'output', port: 0xfffffffd, maxLength: 128 })).toBe(
    'output:CONTROLLER:128',
  );
  expect(formatAction({ type: 'push-mpls', ethType: 0x8847 })).toBe('push-mpls:0x8847');
  expect(
    formatInstruction({
      type: 'apply-actions',
      actions: [{ type: 'pop-vlan' }, { type: 'output', port: 2 }],
    }),
  ).toBe('apply-actions[pop-vlan output:2]');
});

test('what a peer sends cannot break a line or fill the log', () => {
  const text = formatMessage({
    xid: 1,
    message: {
      type: 'multipart-reply',
      more: false,
      body: {
        kind: 'desc',
        manufacturer: 'a\n\u001b[31m"b"',
        hardware: '',
        software: '1.0',
        serial: '-',
        datapath: 'x y',
      },
    },
  });
  expect([...text].filter((character) => character < ' ' || character > '~')).toEqual([]);
  const data = new Uint8Array(5000);
  expect(formatMessage({ xid: 1, message: { type: 'echo-request', data } })).toMatch(
    /0\.\.\(5000\)$/,
  );
});
