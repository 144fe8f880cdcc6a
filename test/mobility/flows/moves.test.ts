/** Moves of a guest step by step: after each single change of a table every packet still has exactly one way. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Change,
  type Gateway,
  gatewayFlows,
  isEmpty,
  keyOf,
  type Mapping,
  mappingFlows,
  mappingSchema,
  type Network,
  networkSchema,
  PHASES,
  planChanges,
} from '../../../src/mobility/flows/index.ts';
import { ipToBigInt, macToBigInt } from '../../../src/switch/index.ts';
import { type Fields, type Journey, World } from './world.ts';

const PLACES = ['a', 'b', 's'];
const GUEST_PORT = 10;
const NUMBERS = { guest: 2, other: 3 } as const;
type Kind = 'translation' | 'tunnel' | 'mixed';

const ids = ['a', 'b', 's', 'c'];

/** Tunnels between all in `tunnel`, none in `translation`, and only to and from `b` in a mixed network. */
function networkOf(kind: Kind) {
  const joined = (id: string, other: string) =>
    id !== other && (kind === 'tunnel' || (kind === 'mixed' && (id === 'b' || other === 'b')));
  return networkSchema.parse({
    homePrefixes: ['192.0.2.0/24', '2001:db8:7700::/48'],
    gateways: ids.map((id, index) => ({
      id,
      datapathId: `000000000000000${index + 1}`,
      uplink: {
        port: 1,
        ...(id !== 'c' && { mac: '02:00:00:00:00:01', nextHop: '02:00:00:00:00:02' }),
      },
      ...(id === 'c' && { hosts: { port: 2 } }),
      tunnels: Object.fromEntries(
        ids.filter((other) => joined(id, other)).map((other) => [other, 20 + ids.indexOf(other)]),
      ),
    })),
  });
}

/** The correspondent's addresses: a host behind gateway c, or one anywhere in the network. */
const HOST = { 4: '198.51.100.9', 6: '2001:db8:9::9' } as const;
const hoa = {
  4: (n: number) => `192.0.2.${n}`,
  6: (n: number) => `2001:db8:7700:${n}::5`,
} as const;
const moa = {
  4: (place: string, n: number) => `10.0.${ids.indexOf(place)}.${n}`,
  6: (place: string, n: number) => `2001:db8:a${ids.indexOf(place)}::${n}`,
} as const;
const MAC = { guest: '02:00:00:00:01:02', other: '02:00:00:00:01:03' } as const;

function mappingOf(name: 'guest' | 'other', place: string, kind: Kind): Mapping {
  const number = NUMBERS[name];
  const translated = (at: string) => kind === 'translation' || (kind === 'mixed' && at !== 'b');
  return mappingSchema.parse({
    guest: name,
    number,
    mac: MAC[name],
    hoa4: hoa[4](number),
    hoa6: hoa[6](number),
    place,
    places: Object.fromEntries(
      PLACES.map((at) => [
        at,
        {
          port: GUEST_PORT + number,
          ...(translated(at) && { moa4: moa[4](at, number), moa6: moa[6](at, number) }),
        },
      ]),
    ),
    correspondents: kind === 'translation' ? ['c', ...PLACES] : PLACES,
    ...(kind === 'tunnel' && { anchor: 's' }),
  });
}

/** The network's own routes: mobile addresses to their places, the host behind c, home addresses to the anchor. */
function routes(kind: Kind): (address: bigint) => string | undefined {
  const known = new Map<bigint, string>();
  for (const version of [4, 6] as const) {
    for (const number of Object.values(NUMBERS)) {
      for (const place of PLACES) known.set(ipToBigInt(moa[version](place, number)), place);
      if (kind === 'tunnel') known.set(ipToBigInt(hoa[version](number)), 's');
    }
    if (kind === 'translation') known.set(ipToBigInt(HOST[version]), 'c');
  }
  return (address) => known.get(address);
}

function packet(version: 4 | 6, from: string, to: string, mac: string): Fields {
  const eth = { eth_src: macToBigInt(mac), eth_dst: 1n };
  return version === 4
    ? { ...eth, eth_type: 0x0800n, ipv4_src: ipToBigInt(from), ipv4_dst: ipToBigInt(to) }
    : { ...eth, eth_type: 0x86ddn, ipv6_src: ipToBigInt(from), ipv6_dst: ipToBigInt(to) };
}
const ends = (fields: Fields) => [
  fields.ipv4_src ?? fields.ipv6_src,
  fields.ipv4_dst ?? fields.ipv6_dst,
];

const sameEnds = (a: Fields, b: Fields) => ends(a).join() === ends(b).join();
const HOMES = new Set(
  ([4, 6] as const).flatMap((v) => Object.values(NUMBERS).map((n) => ipToBigInt(hoa[v](n)))),
);
const describeArrivals = ({ arrivals }: Journey) =>
  arrivals.map(({ gateway, port }) => `${gateway || 'the network'}:${port}`).join(' and ') ||
  'nowhere';

class Story {
  readonly world: World;
  readonly kind: Kind;
  readonly network: Network;
  guest: Mapping;
  other: Mapping;

  constructor(kind: Kind, place: string, otherPlace: string) {
    this.kind = kind;
    this.network = networkOf(kind);
    this.guest = mappingOf('guest', place, kind);
    this.other = mappingOf('other', otherPlace, kind);
    this.world = new World(this.network.gateways, routes(kind));
    for (const { id } of this.network.gateways)
      for (const flow of this.desired(id)) this.world.apply(id, { type: 'put', flow });
  }

  desired(id: string) {
    const gateway = this.network.gateways.find((one) => one.id === id) as Gateway;
    return [
      ...gatewayFlows(this.network, gateway, 'push'),
      ...mappingFlows(gateway, this.guest),
      ...mappingFlows(gateway, this.other),
    ];
  }

  /** The changes to what is desired now, phase by phase, in any order of gateways that `pick` makes. */
  steps(pick: (count: number) => number): { id: string; change: Change }[] {
    const plans = ids.map((id) => ({
      id,
      plan: planChanges(this.world.flows(id), this.desired(id)),
    }));
    const steps: { id: string; change: Change }[] = [];
    for (const phase of PHASES) {
      const queues = plans.map(({ id, plan }) => ({ id, queue: [...plan[phase]] }));
      for (;;) {
        const waiting = queues.filter(({ queue }) => queue.length > 0);
        const { id, queue } = waiting[pick(waiting.length)] ?? {};
        const change = queue?.shift();
        if (id === undefined || change === undefined) break;
        steps.push({ id, change });
      }
    }
    return steps;
  }

  /** Every packet to the guest comes to one of `places`, and what it sends from each of `senders` arrives. */
  check(places: readonly string[], senders: readonly string[]): void {
    for (const version of [4, 6] as const) {
      const address = hoa[version](NUMBERS.guest);
      const peer = hoa[version](NUMBERS.other);
      if (this.kind !== 'mixed') {
        const [gateway, port] = this.kind === 'translation' ? ['c', 2] : ['s', 1];
        const to = packet(version, HOST[version], address, '02:00:00:00:09:09');
        this.#arrives(gateway as string, port as number, to, places, NUMBERS.guest);
        for (const at of senders) {
          const back = packet(version, address, HOST[version], MAC.guest);
          const journey = this.world.send(at, GUEST_PORT + NUMBERS.guest, back);
          const [arrival, another] = journey.arrivals;
          const there =
            this.kind === 'translation'
              ? arrival?.gateway === 'c' && arrival.port === 2
              : arrival?.gateway === '';
          if (
            arrival === undefined ||
            !there ||
            another !== undefined ||
            !sameEnds(arrival.fields, back)
          )
            throw new Error(`from ${at}: ${describeArrivals(journey)}`);
          this.#hidden(journey.between);
        }
      }
      const call = packet(version, peer, address, MAC.other);
      this.#arrives(this.other.place, GUEST_PORT + NUMBERS.other, call, places, NUMBERS.guest);
      for (const at of senders) {
        const back = packet(version, address, peer, MAC.guest);
        const there = [this.other.place];
        this.#arrives(at, GUEST_PORT + NUMBERS.guest, back, there, NUMBERS.other);
      }
    }
  }

  /** What the network still brings to a mobile address that the guest had comes to where it is. */
  late(at: string, to: string): void {
    if (this.kind !== 'translation') return;
    for (const version of [4, 6] as const) {
      const sent = packet(version, HOST[version], moa[version](at, 2), '02:00:00:00:00:02');
      const { arrivals } = this.world.send(at, 1, sent);
      expect(arrivals.map(({ gateway }) => gateway)).toEqual([to]);
    }
  }

  #arrives(at: string, port: number, sent: Fields, places: readonly string[], number: number) {
    const journey = this.world.send(at, port, sent);
    const { arrivals, between } = journey;
    const [arrival, another] = arrivals;
    const right =
      arrival !== undefined &&
      another === undefined &&
      places.includes(arrival.gateway) &&
      arrival.port === GUEST_PORT + number &&
      sameEnds(arrival.fields, sent) &&
      arrival.fields.eth_dst === macToBigInt(number === 2 ? MAC.guest : MAC.other);
    // Many thousand times: `expect` would take most of the time.
    if (!right) throw new Error(`from ${at} to ${places}: ${describeArrivals(journey)}`);
    this.#hidden(between);
  }

  /** In translation no packet between sites has a home address. */
  #hidden(between: readonly Fields[]): void {
    if (this.kind !== 'translation') return;
    for (const fields of between)
      if (ends(fields).some((end) => end !== undefined && HOMES.has(end)))
        throw new Error('a home address is between sites');
  }
}

/** Whether a gateway lets the guest send from its port there. */
function admitted(world: World, place: string): boolean {
  const from = BigInt(GUEST_PORT + NUMBERS.guest);
  const versions = world.flows(place).filter(({ match }) => match.in_port === from);
  return versions.length === 2;
}

const kinds: Kind[] = ['translation', 'tunnel', 'mixed'];
const place = fc.constantFrom(...PLACES);

describe.each(kinds)('moves in a network of %s', (kind) => {
  test('leave every packet exactly one way after every step', () => {
    fc.assert(
      fc.property(
        place,
        place,
        fc.array(fc.tuple(place, fc.boolean()), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(3), { minLength: 8, maxLength: 40 }),
        (start, otherPlace, moves, order) => {
          const story = new Story(kind, start, otherPlace);
          // What b sent to a place without a tunnel to the next one cannot be sent on from there.
          const stepwise = kind !== 'mixed' || otherPlace !== 'b';
          story.check([start], [start]);
          let at = 0;
          const pick = (count: number) => (order[at++ % order.length] ?? 0) % Math.max(1, count);
          for (const [to, forgets] of moves) {
            const { from: earlier, ...before } = story.guest;
            if (before.place === to) continue;
            story.guest = { ...before, place: to, from: before.place };
            const places = [before.place, to];
            for (const { id, change } of story.steps(pick)) {
              story.world.apply(id, change);
              if (!stepwise) continue;
              const senders = admitted(story.world, to) ? places : [before.place];
              story.check(places, earlier === to ? [before.place] : senders);
            }
            story.check([to], [to]);
            if (!forgets) continue;
            const { from: _, ...rest } = story.guest;
            story.guest = rest;
            for (const { id, change } of story.steps(pick)) {
              story.world.apply(id, change);
              story.check([to], [to]);
            }
          }
        },
      ),
      { numRuns: 12 },
    );
  }, 30_000);

  test('can be expected: the next place is ready, and packets still go where the guest is', () => {
    fc.assert(
      fc.property(place, place, place, place, (start, via, to, otherPlace) => {
        if (start === via || via === to) return;
        const stepwise = kind !== 'mixed' || otherPlace !== 'b';
        const story = new Story(kind, start, otherPlace);
        const go = (guest: Mapping, places: string[], senders: (to: boolean) => string[]) => {
          story.guest = guest;
          for (const { id, change } of story.steps(() => 0)) {
            story.world.apply(id, change);
            if (stepwise) story.check(places, senders(false));
          }
          story.check(places, senders(true));
        };
        // It has just come from another place, which may be the next one.
        const { from: _, ...at } = story.guest;
        go({ ...at, place: via, from: start }, [start, via], (done) => (done ? [via] : []));
        const came = story.guest;
        go({ ...came, next: to }, [via], (done) => (done ? [via, to] : [via]));
        story.late(start, via);
        const { from: __, ...rest } = story.guest;
        go(rest, [via], () => [via, to]);
        story.late(to, to);
        const { next: ___, ...moved } = rest;
        go({ ...moved, place: to, from: via }, [via, to], () => [via, to]);
        go({ ...at, place: to }, [to], () => [to]);
        for (const id of ids)
          expect(isEmpty(planChanges(story.world.flows(id), story.desired(id)))).toBe(true);
      }),
      { numRuns: 40 },
    );
  }, 30_000);

  test('end in what a new gateway would get, and planning again changes nothing', () => {
    fc.assert(
      fc.property(place, place, (from, to) => {
        const story = new Story(kind, from, 's');
        const before = ids.flatMap((id) => story.world.flows(id).map((f) => `${id} ${keyOf(f)}`));
        expect(new Set(before).size).toBe(before.length);
        story.guest = mappingOf('guest', to, kind);
        for (const { id, change } of story.steps(() => 0)) story.world.apply(id, change);
        for (const id of ids)
          expect(isEmpty(planChanges(story.world.flows(id), story.desired(id)))).toBe(true);
        const fresh = new Story(kind, to, 's');
        for (const id of ids)
          expect(new Set(story.world.flows(id).map(keyOf))).toEqual(
            new Set(fresh.world.flows(id).map(keyOf)),
          );
      }),
      { numRuns: 20 },
    );
  }, 30_000);
});
