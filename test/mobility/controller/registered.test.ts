/** What a controller makes of a registry. */
import { expect, test } from 'vitest';
import {
  newest,
  type Registered,
  registeredMappings,
} from '../../../src/mobility/controller/index.ts';
import { checkMappings, networkSchema } from '../../../src/mobility/flows/index.ts';

const CLOUD = 'c'.repeat(64);
const LAPTOP = 'a'.repeat(64);
const OFFICE = 'b'.repeat(64);
const places = [
  { id: CLOUD, name: 'cloud' },
  { id: LAPTOP, name: 'laptop' },
  { id: OFFICE, name: 'office' },
];
const desk = {
  id: '11111111-1111-4111-8111-111111111111',
  name: 'desk',
  number: 2,
  mac: '52:54:00:12:34:56',
  hoa4: '192.0.2.2',
  hoa6Prefix: '2001:db8:7700:2::/64',
  place: CLOUD,
  epoch: 3,
  expected: null,
};
const registered = (guests: readonly Partial<Registered['guests'][number]>[]): Registered => ({
  home: CLOUD,
  places,
  guests: guests.map((guest) => ({ ...desk, ...guest })),
});

const router = { port: 1, mac: '02:00:00:00:00:01', nextHop: '02:00:00:00:00:02' };
const networkOf = (...gateways: object[]) =>
  networkSchema.parse({
    homePrefixes: ['192.0.2.0/24', '2001:db8:7700::/48'],
    gateways: gateways.map((gateway, index) => ({
      datapathId: `000000000000000${index + 1}`,
      ...gateway,
    })),
  });
/** Cloud and office with guests, and hosts elsewhere, which has no way to home addresses. */
const translated = networkOf(
  {
    ...{ id: 'g-cloud', uplink: router, guests: { place: 'cloud', port: 3 } },
    ...{ pool4: '10.1.0.0/24', pool6: '2001:db8:a::/64' },
  },
  {
    ...{ id: 'g-office', uplink: router, guests: { place: OFFICE, port: 4 } },
    ...{ pool4: '10.2.0.0/24', pool6: '2001:db8:b::/64' },
  },
  { id: 'g-hosts', uplink: { port: 1 }, hosts: { port: 2 } },
  { id: 'g-island' },
);

test('a guest is at the gateway that has the guests of its place, by name or id', () => {
  const { mappings, remarks } = registeredMappings(translated, registered([{ place: OFFICE }]));
  expect(remarks).toEqual([]);
  expect(mappings).toEqual([
    {
      guest: 'desk',
      number: 2,
      mac: desk.mac,
      hoa4: desk.hoa4,
      // Translated, so it is one address: that of its MAC.
      hoa6: '2001:db8:7700:2:5054:ff:fe12:3456',
      place: 'g-office',
      places: {
        'g-cloud': { port: 3, moa4: '10.1.0.2', moa6: '2001:db8:a::2' },
        'g-office': { port: 4, moa4: '10.2.0.2', moa6: '2001:db8:b::2' },
      },
      correspondents: ['g-cloud', 'g-hosts'],
      anchor: 'g-cloud',
    },
  ]);
  checkMappings(new Map(translated.gateways.map((one) => [one.id, one])), mappings);
});

test('with tunnels a guest keeps its whole prefix, and only gateways with a way hold it', () => {
  const network = networkOf(
    { id: 'g-cloud', uplink: router, guests: { place: 'cloud', port: 3 }, tunnels: { office: 9 } },
    { id: 'office', guests: { place: 'office', port: 3 }, tunnels: { 'g-cloud': 9 } },
    { id: 'g-hosts', uplink: { port: 1 }, hosts: { port: 2 } },
  );
  const { mappings, remarks } = registeredMappings(network, registered([{ place: OFFICE }]));
  expect(remarks).toEqual([]);
  expect(mappings).toMatchObject([
    { hoa6: desk.hoa6Prefix, place: 'office', correspondents: ['g-cloud'], anchor: 'g-cloud' },
  ]);
});

test('where it is expected is its next place, unless nothing changes by that', () => {
  const to = (place: string) => ({ expected: { place, epoch: 4 } });
  const next = (guest: object) =>
    registeredMappings(translated, registered([guest])).mappings[0]?.next;
  expect(next(to(OFFICE))).toBe('g-office');
  // The laptop has no gateway: it is behind the cloud.
  expect(next(to(LAPTOP))).toBeUndefined();
  expect(next({ place: LAPTOP, ...to(OFFICE) })).toBe('g-office');
});

test('guests of a place without gateway are led to the gateway of their home, which is said once', () => {
  const guests = [{ place: LAPTOP }, { number: 3, hoa4: '192.0.2.3', name: 'b', place: LAPTOP }];
  const { mappings, remarks } = registeredMappings(translated, registered(guests));
  expect(mappings.map(({ place }) => place)).toEqual(['g-cloud', 'g-cloud']);
  expect(remarks).toMatchObject([{ code: 'place-behind-home', leftOut: false }]);
  expect(remarks[0]?.text).toContain('Guests at laptop are led to g-cloud');
});

test('they are left out where the home has none either, and others are not', () => {
  const network = networkOf({
    id: 'g-office',
    uplink: router,
    guests: { place: 'office', port: 3 },
  });
  const guests = [{ place: LAPTOP }, { number: 3, hoa4: '192.0.2.3', name: 'b', place: OFFICE }];
  const { mappings, remarks } = registeredMappings(network, registered(guests));
  expect(mappings.map(({ guest }) => guest)).toEqual(['b']);
  expect(remarks).toMatchObject([{ code: 'place-without-gateway', leftOut: true }]);
});

test('a guest for which a pool has no room is left out, and only where it matters', () => {
  const network = networkOf(
    {
      ...{ id: 'g-cloud', uplink: router, guests: { place: 'cloud', port: 3 } },
      pool4: '10.1.0.0/30',
    },
    {
      ...{ id: 'g-office', uplink: router, guests: { place: 'office', port: 3 } },
      pool4: '10.2.0.0/24',
    },
  );
  const at = (place: string) => registeredMappings(network, registered([{ number: 9, place }]));
  expect(at(CLOUD)).toMatchObject({ mappings: [], remarks: [{ code: 'pool-too-small' }] });
  const [mapping] = at(OFFICE).mappings;
  expect(Object.keys(mapping?.places ?? {})).toEqual(['g-office']);
  // No IPv6 where only IPv4 is translated.
  expect(mapping).toMatchObject({ hoa4: desk.hoa4, correspondents: ['g-cloud'] });
  expect(mapping?.hoa6).toBeUndefined();
});

test('guests of one name have names of their own', () => {
  const guests = [
    {},
    { number: 3, hoa4: '192.0.2.3' },
    { number: 4, hoa4: '192.0.2.4', name: 'x' },
  ];
  const { mappings } = registeredMappings(translated, registered(guests));
  expect(mappings.map(({ guest }) => guest)).toEqual(['desk#2', 'desk#3', 'x']);
});

test('an older epoch does not win', () => {
  const before = registered([{ place: OFFICE, epoch: 5 }]);
  const old = registered([{ place: CLOUD, epoch: 4, expected: { place: OFFICE, epoch: 5 } }]);
  expect(newest(before, { ...old, places: [] }).guests).toMatchObject([
    { place: OFFICE, epoch: 5, expected: null },
  ]);
  expect(newest(before, { ...old, places: [] }).places).toEqual(places);
  const later = registered([{ place: CLOUD, epoch: 6 }]);
  expect(newest(before, later)).toEqual(later);
  expect(newest(before, registered([])).guests).toEqual([]);
});
