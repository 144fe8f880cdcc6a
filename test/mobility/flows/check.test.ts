import { expect, test } from 'vitest';
import {
  checkMappings,
  checkNetwork,
  gatewaySchema,
  mappingSchema,
  mobileAddresses,
  networkSchema,
} from '../../../src/mobility/flows/index.ts';

const router = { port: 1, mac: '02:00:00:00:00:01', nextHop: '02:00:00:00:00:02' };
const network = networkSchema.parse({
  homePrefixes: ['192.0.2.0/24'],
  gateways: [
    { id: 'a', datapathId: '0000000000000001', uplink: router },
    { id: 'b', datapathId: '0000000000000002', uplink: router },
    { id: 'c', datapathId: '0000000000000003', uplink: { port: 1 }, hosts: { port: 2 } },
    { id: 'd', datapathId: '0000000000000004', tunnels: { a: 5 } },
  ],
});
const gateways = new Map(network.gateways.map((one) => [one.id, one]));
const guest = {
  guest: 'g',
  number: 2,
  mac: '02:00:00:00:01:02',
  hoa4: '192.0.2.2',
  place: 'a',
  places: { a: { port: 3, moa4: '10.1.0.2' }, d: { port: 3 } },
};
const mapping = (part: object) => mappingSchema.parse({ ...guest, ...part });
const code = (work: () => void): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test.each([
  ['as it should be', {}, undefined],
  ['a correspondent with an uplink', { correspondents: ['c'] }, undefined],
  ['a tunnel', { place: 'd', correspondents: [] }, undefined],
  ['a place that is no gateway', { place: 'x' }, 'mapping-place'],
  ['a correspondent that is no gateway', { correspondents: ['x'] }, 'mapping-place'],
  ['a place without a port', { place: 'b' }, 'mapping-place'],
  ['sent on to itself', { from: 'a' }, 'mapping-place'],
  ['expected where it is', { next: 'a' }, 'mapping-place'],
  ['expected where nothing leads yet', { next: 'd' }, undefined],
  ['expected at a place without a port', { next: 'b' }, 'mapping-place'],
  ['no tunnel back', { place: 'd', correspondents: ['a'] }, 'mapping-no-way'],
  [
    'a guest in translation behind a gateway that is no router',
    { place: 'c', places: { c: { port: 3, moa4: '10.3.0.2' } } },
    'mapping-no-way',
  ],
  [
    'a translated prefix',
    { hoa6: '2001:db8::/64', places: { a: { port: 3, moa6: '2001:db8:a::2' } } },
    'mapping-prefix',
  ],
])('a mapping: %s', (_name, part, expected) => {
  expect(code(() => checkMappings(gateways, [mapping(part)]))).toBe(expected);
});

test.each([
  ['number', { guest: 'h', hoa4: '192.0.2.3', places: { a: { port: 3 } } }],
  ['home address', { guest: 'h', number: 3, places: { a: { port: 3 } } }],
  ['mobile address', { guest: 'h', number: 3, hoa4: '192.0.2.3' }],
  ['name', { number: 3, hoa4: '192.0.2.3', places: { a: { port: 3 } } }],
])('two guests with the same %s', (_what, part) => {
  expect(code(() => checkMappings(gateways, [mapping({}), mapping(part)]))).toBe('mapping-twice');
});

test('two gateways with the same datapath', () => {
  const [first] = network.gateways;
  const twice = { ...network, gateways: [...network.gateways, { ...first, id: 'e' }] };
  expect(code(() => checkNetwork(networkSchema.parse(twice)))).toBe('gateway-twice');
});

test('mobile addresses are taken from the pools by number', () => {
  const pools = { pool4: '10.1.0.0/24', pool6: '2001:db8:a::/64' };
  const gateway = gatewaySchema.parse({ id: 'a', datapathId: '0000000000000001', ...pools });
  expect(mobileAddresses(gateway, 2)).toEqual({ moa4: '10.1.0.2', moa6: '2001:db8:a::2' });
  expect(mobileAddresses(gateway, 254).moa4).toBe('10.1.0.254');
  expect(code(() => mobileAddresses(gateway, 255))).toBe('pool-too-small');
});
