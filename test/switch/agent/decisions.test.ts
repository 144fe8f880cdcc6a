import { expect, test } from 'vitest';
import type { RoleClaim } from '../../../src/openflow/index.ts';
import { DEFAULT_ASYNC, wants } from '../../../src/switch/agent/async-events.ts';
import { retryMs } from '../../../src/switch/agent/dialer.ts';
import { claimRole, type Election, type HeldRole } from '../../../src/switch/agent/roles.ts';
import { formatTarget, parseController, parseListen } from '../../../src/switch/agent/target.ts';

const MAX = 0xffff_ffff_ffff_ffffn;

// OpenFlow 1.3.5, 6.3.4.
test.each<[string, Election, HeldRole, RoleClaim, ReturnType<typeof claimRole> | 'stale']>([
  [
    'the first claim is accepted',
    {},
    'equal',
    { role: 'master', generation: 7n },
    { election: { generation: 7n }, role: 'master', deposes: true },
  ],
  [
    'the same generation is not older',
    { generation: 7n },
    'slave',
    { role: 'master', generation: 7n },
    { election: { generation: 7n }, role: 'master', deposes: true },
  ],
  [
    'an older one is stale',
    { generation: 7n },
    'equal',
    { role: 'master', generation: 6n },
    'stale',
  ],
  [
    'a slave claims with a generation too',
    { generation: 7n },
    'master',
    { role: 'slave', generation: 6n },
    'stale',
  ],
  [
    'a slave deposes nobody',
    { generation: 7n },
    'master',
    { role: 'slave', generation: 8n },
    { election: { generation: 8n }, role: 'slave', deposes: false },
  ],
  [
    'generations wrap',
    { generation: MAX },
    'equal',
    { role: 'master', generation: 0n },
    { election: { generation: 0n }, role: 'master', deposes: true },
  ],
  [
    'and what is before the wrap is old',
    { generation: 0n },
    'equal',
    { role: 'master', generation: MAX },
    'stale',
  ],
  [
    'equal needs no generation',
    { generation: 7n },
    'master',
    { role: 'equal', generation: 0n },
    { election: { generation: 7n }, role: 'equal', deposes: false },
  ],
  [
    'who only asks changes nothing',
    { generation: 7n },
    'master',
    { role: 'nochange', generation: 0n },
    { election: { generation: 7n }, role: 'master', deposes: false },
  ],
])('%s', (_what, election, held, claim, verdict) => {
  if (verdict === 'stale')
    expect(() => claimRole(election, held, claim)).toThrow(/role-request-failed\/stale/);
  else expect(claimRole(election, held, claim)).toEqual(verdict);
});

test('a slave hears of ports only, the others of everything', () => {
  const heard = (role: HeldRole) => [
    wants(DEFAULT_ASYNC, role, { kind: 'packetIn', reason: 'invalid-ttl' }),
    wants(DEFAULT_ASYNC, role, { kind: 'portStatus', reason: 'delete' }),
    wants(DEFAULT_ASYNC, role, { kind: 'flowRemoved', reason: 'group-delete' }),
  ];
  expect(heard('equal')).toEqual([true, true, true]);
  expect(heard('master')).toEqual([true, true, true]);
  expect(heard('slave')).toEqual([false, true, false]);
});

test('a mask names reasons by their bits', () => {
  const only = { master: 0b010, slave: 0b100 };
  const config = { packetIn: only, portStatus: only, flowRemoved: only };
  expect(wants(config, 'master', { kind: 'packetIn', reason: 'action' })).toBe(true);
  expect(wants(config, 'master', { kind: 'packetIn', reason: 'no-match' })).toBe(false);
  expect(wants(config, 'slave', { kind: 'packetIn', reason: 'invalid-ttl' })).toBe(true);
  expect(wants(config, 'slave', { kind: 'flowRemoved', reason: 'hard-timeout' })).toBe(false);
});

test('waits between attempts grow to a limit', () => {
  expect([0, 1, 2, 5, 6, 1000].map((failures) => retryMs(failures, 1))).toEqual([
    250, 500, 1000, 8000, 8000, 8000,
  ]);
  expect(retryMs(3, 0)).toBe(1000);
});

test.each([
  ['tcp:192.0.2.1:6633', 'tcp:192.0.2.1:6633'],
  ['tcp:controller.example', 'tcp:controller.example:6653'],
  ['ssl:[2001:db8::1]:7', 'ssl:[2001:db8::1]:7'],
  ['unix:/run/c.sock', 'unix:/run/c.sock'],
])('the controller %s', (text, formatted) => {
  expect(formatTarget(parseController(text))).toBe(formatted);
});

test.each([
  '',
  'tcp',
  'tcp:',
  'udp:h:1',
  'tcp:h:0',
  'tcp:h:65536',
  'tcp:[192.0.2.1]:1',
  'unix:',
  'ptcp:1',
])('no controller: %j', (text) => {
  expect(() => parseController(text)).toThrow(/is no place for an OpenFlow connection/);
});

test.each([
  ['ptcp:', 'ptcp:6653:127.0.0.1'],
  ['ptcp:7:0.0.0.0', 'ptcp:7:0.0.0.0'],
  ['pssl:7:[::1]', 'pssl:7:[::1]'],
  ['unix:/run/s.mgmt', 'punix:/run/s.mgmt'],
  ['punix:/run/s.mgmt', 'punix:/run/s.mgmt'],
])('listening on %s', (text, formatted) => {
  expect(formatTarget(parseListen(text))).toBe(formatted);
});

test.each(['ptcp:x', 'ptcp:7:host', 'tcp:h:1', 'ptcp:0', 'punix:'])(
  'not listening on %j',
  (text) => {
    expect(() => parseListen(text)).toThrow(/is no place for an OpenFlow connection/);
  },
);
