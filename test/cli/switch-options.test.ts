import { expect, test } from 'vitest';
import { type SwitchFlags, switchOptions } from '../../src/cli/commands/switch.ts';

const options = (flags: Partial<SwitchFlags>) =>
  switchOptions({ datapathId: '1', failMode: 'secure', logLevel: 'info', ...flags });

test('a switch with ports, controllers and a socket for tools', () => {
  expect(
    options({
      datapathId: '0xabc',
      port: ['1=stream:/run/guest.sock', '2=tap:tap0'],
      controller: ['tcp:192.0.2.1:6653', 'ssl:c.example'],
      listen: ['unix:/run/s.mgmt'],
    }),
  ).toEqual({
    datapathId: 0xabcn,
    ports: [
      { number: 1, type: 'stream', path: '/run/guest.sock' },
      { number: 2, type: 'tap', name: 'tap0' },
    ],
    controllers: [
      { type: 'tcp', host: '192.0.2.1', port: 6653 },
      { type: 'ssl', host: 'c.example', port: 6653 },
    ],
    listen: [{ type: 'punix', path: '/run/s.mgmt' }],
    failMode: 'secure',
    qemu: 'qemu-system-x86_64',
  });
});

test.each([
  ['12', 12n],
  ['0xABC', 0xabcn],
  ['0000000000000010', 16n],
])('datapath id %s', (datapathId, id) => {
  expect(options({ datapathId }).datapathId).toBe(id);
});

test.each(['0', '-1', 'abc', '0x10000000000000000', ''])('no datapath id: %j', (datapathId) => {
  expect(() => options({ datapathId })).toThrow(/is no datapath id/);
});

test.each([
  '1',
  '0=tap:t',
  '1=tap:',
  '1=tap:a/b',
  '1=tap:sixteen-letters-',
  '1=vxlan:x',
  '4294967041=tap:t',
])('no port: %j', (port) => {
  expect(() => options({ port: [port] })).toThrow(/is no port/);
});

test('a port number is used once', () => {
  expect(() => options({ port: ['1=tap:a', '1=tap:b'] })).toThrow(/given twice/);
});
