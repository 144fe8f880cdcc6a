import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type AgentFlags, agentOptions } from '../../src/cli/commands/agent.ts';

const options = (flags: Partial<AgentFlags>) =>
  agentOptions({ profile: 'site', logLevel: 'info', state: '/s', ...flags }, {});

test('a device', () => {
  expect(options({ profile: 'device' })).toEqual({
    profile: 'device',
    stateDirectory: '/s',
    name: hostname(),
    listen: undefined,
    tunnelPort: undefined,
    hoa4: undefined,
    hoa6: undefined,
    tap: undefined,
    tapToward: 'host',
    advertise: [],
    dns: [],
    perPeer: { guests: undefined, memoryMiB: undefined, diskBytes: undefined },
    answerMs: 45_000,
    logLevel: 'info',
    accelerator: undefined,
  });
});

test('a site', () => {
  expect(
    options({
      name: 'cloud',
      listen: '[2001:db8::1]:9000',
      hoa4: '192.0.2.0/24',
      hoa6: '2001:db8:77::/48',
      tap: 'tap0',
      advertise: 'cloud.example, 203.0.113.7,',
      dns: '192.0.2.53,2001:db8::53',
      accelerator: 'tcg',
      peerGuests: '3',
      peerMemory: '8G',
      peerDisk: '20G',
      answerWithin: '5',
    }),
  ).toMatchObject({
    answerMs: 5_000,
    perPeer: { guests: 3, memoryMiB: 8192, diskBytes: 20 * 1024 ** 3 },
    name: 'cloud',
    listen: { host: '2001:db8::1', port: 9000 },
    tunnelPort: 9001,
    hoa4: '192.0.2.0/24',
    hoa6: '2001:db8:77::/48',
    tap: 'tap0',
    tapToward: 'host',
    advertise: ['cloud.example', '203.0.113.7'],
    dns: ['192.0.2.53', '2001:db8::53'],
    accelerator: 'tcg',
  });
  expect(options({ tap: 'tap0', tapToward: 'gateway' })).toMatchObject({
    ...{ tap: 'tap0', tapToward: 'gateway' },
    ...{ hoa4: undefined, hoa6: undefined },
  });
  expect(options({})).toMatchObject({ listen: { host: '0.0.0.0', port: 7420 }, tunnelPort: 7421 });
});

describe('is refused', () => {
  test.each<[Partial<AgentFlags>, string]>([
    [{ answerWithin: '46' }, 'answer-time-malformed'],
    [{ listen: '9000' }, 'listen-malformed'],
    [{ listen: '2001:db8::1:9000' }, 'listen-malformed'],
    [{ listen: '0.0.0.0:0' }, 'port-malformed'],
    [{ listen: '0.0.0.0:65536' }, 'port-malformed'],
    [{ listen: '0.0.0.0:65535' }, 'port-malformed'],
    [{ tunnelPort: '7x' }, 'port-malformed'],
    [{ hoa4: '192.0.2.0' }, 'prefix-malformed'],
    [{ hoa4: '192.0.2.0/30' }, 'prefix-malformed'],
    [{ hoa4: '2001:db8::/48' }, 'prefix-malformed'],
    [{ hoa6: '2001:db8::/64' }, 'prefix-malformed'],
    [{ hoa6: '2001:db8::/48/1' }, 'prefix-malformed'],
    [{ tap: 'tap0' }, 'tap-without-prefixes'],
    [{ tapToward: 'gateway' }, 'tap-missing'],
    [{ dns: 'dns.example' }, 'address-malformed'],
    [{ profile: 'device', tunnelPort: '7421' }, 'option-for-sites'],
  ])('%j: %s', (flags, code) => {
    expect(() => options(flags)).toThrow(expect.objectContaining({ kind: 'usage', code }));
  });
});
