import { describe, expect, test } from 'vitest';
import { type DatabaseRows, planBridge, planRemoval } from '../../../src/gateway/ovs/plan.ts';
import { type BridgeSettings, bridgeSettings } from '../../../src/gateway/ovs/settings.ts';

const settings = bridgeSettings.parse({
  ...{ name: 'gw', datapathId: '00000000000000a1', datapathType: 'netdev' },
  controllers: ['tcp:127.0.0.1:6653'],
  ports: [{ number: 1, name: 'uplink0' }],
});
const EMPTY: DatabaseRows = { bridges: [], ports: [], interfaces: [], controllers: [] };
const mark: ['map', [string, string][]] = ['map', [['sojourn', 'gateway']]];

/** The database after `settings` were carried out, as Open vSwitch 3.1 tells it. */
function present(change: Record<string, unknown> = {}): DatabaseRows {
  return {
    bridges: [
      {
        _uuid: ['uuid', 'b'],
        ...{ name: 'gw', datapath_type: 'netdev', fail_mode: 'secure', protocols: 'OpenFlow13' },
        other_config: [
          'map',
          [
            ['datapath-id', '00000000000000a1'],
            ['disable-in-band', 'true'],
          ],
        ],
        external_ids: mark,
        ports: [
          'set',
          [
            ['uuid', 'p0'],
            ['uuid', 'p1'],
          ],
        ],
        controller: ['uuid', 'c'],
        ...change,
      } as never,
    ],
    ports: [
      { _uuid: ['uuid', 'p0'], name: 'gw', interfaces: ['uuid', 'i0'], external_ids: mark },
      { _uuid: ['uuid', 'p1'], name: 'uplink0', interfaces: ['uuid', 'i1'], external_ids: mark },
    ],
    interfaces: [
      { _uuid: ['uuid', 'i0'], name: 'gw', ofport_request: ['set', []] },
      { _uuid: ['uuid', 'i1'], name: 'uplink0', ofport_request: 1 },
    ],
    controllers: [
      {
        ...{ _uuid: ['uuid', 'c'], target: 'tcp:127.0.0.1:6653', connection_mode: 'out-of-band' },
        ...{ max_backoff: 1000, controller_rate_limit: 1000, controller_burst_limit: 1000 },
      },
    ],
  };
}

const kinds = (rows: DatabaseRows, wanted: BridgeSettings = settings) =>
  planBridge(rows, wanted).map(({ op, table }) => `${op} ${table}`);

describe('what has to be done', () => {
  test('nothing, when it is done', () => {
    expect(planBridge(present(), settings)).toEqual([]);
  });

  test('all, when there is no such bridge, in one transaction', () => {
    expect(kinds(EMPTY)).toEqual([
      ...['insert Interface', 'insert Port', 'insert Interface', 'insert Port'],
      ...['insert Controller', 'insert Bridge', 'mutate Open_vSwitch', 'mutate Open_vSwitch'],
    ]);
  });

  test.each([
    ['another fail mode', { fail_mode: ['set', []] }, ['update Bridge']],
    ['another datapath', { datapath_type: 'system' }, ['update Bridge']],
    ['no protocol', { protocols: ['set', []] }, ['update Bridge']],
    ['no datapath id', { other_config: ['map', []] }, ['update Bridge']],
    ['no controller', { controller: ['set', []] }, ['insert Controller', 'update Bridge']],
    [
      'a port less',
      { ports: ['uuid', 'p0'] },
      ['insert Interface', 'insert Port', 'mutate Bridge'],
    ],
  ])('%s', (_, change, expected) => {
    expect(kinds(present(change))).toEqual([...expected, 'mutate Open_vSwitch']);
  });

  test('what others wrote into the maps stays', () => {
    const others = ['map', [['hwaddr', '02:00:00:00:00:01']]];
    const [update] = planBridge(present({ other_config: others }), settings);
    expect(JSON.stringify(update)).toContain('["hwaddr","02:00:00:00:00:01"]');
  });

  test('a port of ours that is wanted no more goes, one of others stays', () => {
    const without = { ...settings, ports: [] };
    expect(kinds(present(), without)).toEqual(['mutate Bridge', 'mutate Open_vSwitch']);
    const rows = present();
    const foreign = rows.ports.map((port) => ({ ...port, external_ids: ['map', []] }) as never);
    expect(planBridge({ ...rows, ports: foreign }, without)).toEqual([]);
  });

  test('a port with another number is asked for its own', () => {
    const wanted = { ...settings, ports: [{ number: 7, name: 'uplink0' }] };
    expect(kinds(present(), wanted)).toEqual(['update Interface', 'mutate Open_vSwitch']);
  });
});

describe('removal', () => {
  test('of our bridge, not of one that somebody else made', () => {
    expect(planRemoval(present(), 'gw')).toHaveLength(1);
    expect(planRemoval(present({ external_ids: ['map', []] }), 'gw')).toEqual([]);
    expect(planRemoval(EMPTY, 'gw')).toEqual([]);
  });
});

test.each([
  { name: 'a name with spaces' },
  { datapathId: 'a1' },
  { controllers: ['10.0.0.1'] },
  { ports: [{ number: 0, name: 'x' }] },
  { unknown: true },
])('settings are checked: %j', (change) => {
  expect(bridgeSettings.safeParse({ ...settings, ...change }).success).toBe(false);
});
