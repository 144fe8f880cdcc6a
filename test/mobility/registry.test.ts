import type { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/agent/state/database.ts';
import {
  eui64Address,
  networkOfGuest,
  parseHomePrefixes,
  Registry,
} from '../../src/mobility/index.ts';

const prefixes = { prefix4: '192.0.2.0/24', prefix6: '2001:db8:7700::/48', dns: ['192.0.2.1'] };
const here = 'a'.repeat(64);
const there = 'b'.repeat(64);
const at = new Date('2026-01-01T00:00:00Z');
const mac = '52:54:00:12:34:56';

describe('address plan', () => {
  it('gives guest n the n-th address and the n-th /64', () => {
    expect(networkOfGuest(prefixes, 5)).toEqual({
      hoa4: '192.0.2.5',
      hoa4PrefixLength: 24,
      gateway4: '192.0.2.1',
      hoa6Prefix: '2001:db8:7700:5::/64',
      dns: ['192.0.2.1'],
    });
    expect(networkOfGuest({ ...prefixes, prefix4: '10.1.0.0/16' }, 300)).toMatchObject({
      hoa4: '10.1.1.44',
      hoa6Prefix: '2001:db8:7700:12c::/64',
    });
  });

  it('never gives two guests the same address', () => {
    const number = fc.integer({ min: 2, max: 254 });
    fc.assert(
      fc.property(number, number, (a, b) => {
        const [one, two] = [networkOfGuest(prefixes, a), networkOfGuest(prefixes, b)];
        return (
          (one.hoa4 === two.hoa4) === (a === b) && (one.hoa6Prefix === two.hoa6Prefix) === (a === b)
        );
      }),
    );
  });

  it('reduces prefixes to their network address', () => {
    expect(parseHomePrefixes({ ...prefixes, prefix4: '192.0.2.77/24' }).prefix4).toBe(
      '192.0.2.0/24',
    );
  });

  it.each([
    ['192.0.2.0', 'no length'],
    ['192.0.2.0/30', 'too small'],
    ['2001:db8::/48', 'wrong family'],
    ['$(reboot)', 'junk'],
  ])('refuses %s (%s)', (prefix4) => {
    expect(() => parseHomePrefixes({ ...prefixes, prefix4 })).toThrow(/cannot be used/);
  });

  it('computes the autoconfigured address (RFC 4291, appendix A)', () => {
    expect(eui64Address('2001:db8:1:2::/64', '00:11:22:33:44:55')).toBe(
      '2001:db8:1:2:211:22ff:fe33:4455',
    );
  });
});

describe('registry', () => {
  let database: DatabaseSync;
  let registry: Registry;
  beforeEach(() => {
    database = openDatabase(':memory:');
    registry = new Registry(database, prefixes);
  });
  const allocate = (guestId: string, place = here) =>
    registry.allocate({ guestId, guestName: guestId, mac, place, at });

  it('gives the same guest the same address again, and others others', () => {
    const first = allocate('one');
    expect(allocate('one')).toEqual(first);
    expect(allocate('two').hoa4).not.toBe(first.hoa4);
  });

  it('reuses a freed address', () => {
    const first = allocate('one');
    registry.free('one', here);
    expect(allocate('three')).toEqual(first);
  });

  it('takes newer epochs only', () => {
    allocate('one');
    expect(registry.locate('one', there, 2, at)).toMatchObject({ place: there, epoch: 2 });
    expect(registry.locate('one', here, 2, at)).toMatchObject({ place: there, epoch: 2 });
    expect(registry.locate('one', here, 1, at)).toMatchObject({ place: there, epoch: 2 });
    expect(registry.locate('unknown', here, 9, at)).toBeUndefined();
  });

  it('lets only the place that has a guest ask for or free its address', () => {
    allocate('one');
    expect(() => allocate('one', there)).toThrow(/another place/);
    expect(() => registry.free('one', there)).toThrow(/another place/);
    expect(registry.find('one')).toBeDefined();
  });

  it('says when the prefix is used up', () => {
    const small = new Registry(database, { ...prefixes, prefix4: '192.0.2.0/28' });
    const give = (n: number) =>
      small.allocate({ guestId: `g${n}`, guestName: `g${n}`, mac, place: here, at });
    for (let n = 0; n < 13; n += 1) give(n);
    expect(() => give(13)).toThrow(/no home address left/);
  });
});
