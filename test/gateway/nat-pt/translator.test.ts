import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AddressTable,
  embed,
  extract,
  type Outcome,
  parseEmbeddingPrefix,
  type TranslatorOptions,
  translatePacket,
} from '../../../src/gateway/nat-pt/index.ts';
import { ipFromBytes, ipToBytes, onesSum, pseudoHeaderSum } from '../../../src/switch/index.ts';

const PREFIX = '2001:db8:64::/96';
const GUEST = { ipv4: '198.51.100.2', ipv6: '2001:db8:1::2' };
const HOST4 = '203.0.113.10';
const HOST6 = '2001:db8:64::cb00:710a';

function options(change: Partial<TranslatorOptions> = {}): TranslatorOptions {
  return {
    addresses: new AddressTable([PREFIX], [GUEST]),
    mtu6: 1500,
    mtu4: 1500,
    own4: ipToBytes('198.51.100.254'),
    own6: ipToBytes('2001:db8:1::fe'),
    nextIdentification: () => 0x1234,
    ...change,
  };
}

/** The translated packets; throws for every other outcome. */
function translated(outcome: Outcome): readonly Buffer[] {
  if (outcome.kind !== 'translated') throw new Error(JSON.stringify(outcome));
  return outcome.packets;
}

function only(outcome: Outcome): Buffer {
  const packets = translated(outcome);
  expect(packets).toHaveLength(1);
  return packets[0] as Buffer;
}

interface Fields {
  protocol: number;
  payload: Buffer;
  ttl?: number;
  tos?: number;
  identification?: number;
  flags?: number;
  ipOptions?: Buffer;
}

/** From the host to the guest. The checksum of the upper layer is the caller's. */
function ipv4(fields: Fields, source = HOST4, destination = GUEST.ipv4): Buffer {
  const { protocol, payload, ipOptions = Buffer.alloc(0) } = fields;
  const header = Buffer.alloc(20 + ipOptions.length);
  header[0] = 0x40 | (header.length / 4);
  header[1] = fields.tos ?? 0;
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(fields.identification ?? 7, 4);
  header.writeUInt16BE(fields.flags ?? 0, 6);
  header[8] = fields.ttl ?? 64;
  header[9] = protocol;
  ipToBytes(source).copy(header, 12);
  ipToBytes(destination).copy(header, 16);
  ipOptions.copy(header, 20);
  header.writeUInt16BE(~onesSum(header, 0, header.length) & 0xffff, 10);
  return Buffer.concat([header, payload]);
}

function ipv6(
  { protocol, payload, ttl = 64, tos = 0 }: Fields,
  source = GUEST.ipv6,
  destination = HOST6,
): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(((6 << 28) | (tos << 20)) >>> 0, 0);
  header.writeUInt16BE(payload.length, 4);
  header[6] = protocol;
  header[7] = ttl;
  ipToBytes(source).copy(header, 8);
  ipToBytes(destination).copy(header, 24);
  return Buffer.concat([header, payload]);
}

/** Writes the checksum of the upper layer, whose offset in it is given. */
function summed(packet: Buffer, at: number, protocol: number, pseudo = true): Buffer {
  const l4 = (packet[0] as number) >> 4 === 4 ? ((packet[0] as number) & 15) * 4 : 40;
  packet.writeUInt16BE(0, l4 + at);
  const initial = pseudo ? pseudoHeaderSum(packet, 0, protocol, packet.length - l4) : 0;
  packet.writeUInt16BE(~onesSum(packet, l4, packet.length, initial) & 0xffff, l4 + at);
  return packet;
}

/** Sums to ones when the checksum is right. */
function upperSum(packet: Buffer): number {
  const four = (packet[0] as number) >> 4 === 4;
  const l4 = four ? 20 : 40;
  const protocol = packet[four ? 9 : 6] as number;
  const pseudo = protocol === 1 ? 0 : pseudoHeaderSum(packet, 0, protocol, packet.length - l4);
  return onesSum(packet, l4, packet.length, pseudo);
}

function udp(payload: Buffer): Buffer {
  const datagram = Buffer.alloc(8 + payload.length);
  datagram.writeUInt16BE(5000, 0);
  datagram.writeUInt16BE(6000, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  payload.copy(datagram, 8);
  return datagram;
}

const echo4 = (payload = Buffer.from('ping'), fields: Partial<Fields> = {}) => {
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0, 1, 2, 0, 9]), payload]);
  return summed(ipv4({ protocol: 1, payload: message, ...fields }), 2, 1, false);
};

describe('addresses', () => {
  test.each([
    ['2001:db8::/32', '2001:db8:c000:221::'],
    ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
    ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
    ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
    ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100:0'],
    ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'],
    ['64:ff9b::/96', '64:ff9b::c000:221'],
  ])('the table of RFC 6052, 2.4: %s', (cidr, expected) => {
    const prefix = parseEmbeddingPrefix(cidr);
    const made = embed(prefix, ipToBytes('192.0.2.33'));
    expect(made).toEqual(ipToBytes(expected));
    expect(ipFromBytes(extract(prefix, made) as Buffer)).toBe('192.0.2.33');
  });

  test.each(['2001:db8::/33', '2001:db8::', '10.0.0.0/8', '2001:db8:0:0:ff00::/96'])(
    'nothing can be embedded in %s',
    (cidr) => {
      expect(() => parseEmbeddingPrefix(cidr)).toThrow(
        expect.objectContaining({ code: 'translation-prefix' }),
      );
    },
  );

  test('a pair goes before the prefix, and gives way to a later one of either address', () => {
    const table = new AddressTable([PREFIX], [GUEST]);
    expect(table.to6(ipToBytes(GUEST.ipv4))).toEqual(ipToBytes(GUEST.ipv6));
    table.set({ ipv4: '198.51.100.3', ipv6: GUEST.ipv6 });
    expect(table.to4(ipToBytes(GUEST.ipv6))).toEqual(ipToBytes('198.51.100.3'));
    expect(table.to6(ipToBytes(GUEST.ipv4))).toEqual(ipToBytes('2001:db8:64::c633:6402'));
    table.delete('198.51.100.3');
    expect(table.to4(ipToBytes(GUEST.ipv6))).toBeUndefined();
  });
});

const golden: { name: string; in: string; out: string[] }[] = JSON.parse(
  readFileSync(new URL('golden/tayga.json', import.meta.url), 'utf8'),
);

/**
 * Captured on TAYGA's own interface (Debian 12) between a host with IPv4 and one with IPv6, both Linux: pings, datagrams to open
 * and closed ports with and without fragments, and a TCP connection. TAYGA does as RFC 6145: no packet that it makes may be fragmented. RFC 7915, 5.1 lets those up to 1260 bytes be, with an
 * identification; so these fields and the header checksum are not compared.
 */
function withoutFragmentation(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  const header = (at: number) => {
    copy.fill(0, at + 4, at + 6);
    copy[at + 6] = (copy[at + 6] as number) & ~0x40;
    copy.fill(0, at + 10, at + 12);
  };
  if ((copy[0] as number) >> 4 !== 4) return copy;
  header(0);
  if (copy[9] === 1 && copy[20] === 3) {
    header(28);
    copy.fill(0, 22, 24);
  }
  return copy;
}

describe('what TAYGA 0.9.2 makes of the same packets', () => {
  test.each(golden)('$name', (pair) => {
    const packets = translated(translatePacket(Buffer.from(pair.in, 'hex'), options()));
    const expected = pair.out.map((hex) => withoutFragmentation(Buffer.from(hex, 'hex')));
    expect(packets.map((packet) => withoutFragmentation(packet))).toEqual(expected);
    for (const packet of packets)
      if ((packet[0] as number) >> 4 === 4) {
        expect(onesSum(packet, 0, 20)).toBe(0xffff);
        if (packet[9] === 1) expect(onesSum(packet, 20, packet.length)).toBe(0xffff);
      }
  });
});

describe('there and back', () => {
  const payload = fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.from(bytes));
  const both = (packet: Buffer) => {
    const six = only(translatePacket(packet, options()));
    expect(upperSum(six)).toBe(0xffff);
    // The other end sees source and destination the other way round, but translates them alike.
    const back = only(translatePacket(six, options()));
    expect(upperSum(back)).toBe(0xffff);
    expect(onesSum(back, 0, 20)).toBe(0xffff);
    return back;
  };

  test('UDP, TCP and echo keep payload, ports, class, addresses and right checksums; two hops are gone', () => {
    fc.assert(
      fc.property(
        payload,
        fc.integer({ min: 0, max: 255 }),
        fc.constantFrom(1, 6, 17),
        (data, tos, protocol) => {
          const message =
            protocol === 17
              ? udp(data)
              : protocol === 6
                ? Buffer.concat([
                    Buffer.from('1388177000000001000000025018ffff00000000', 'hex'),
                    data,
                  ])
                : Buffer.concat([Buffer.from([8, 0, 0, 0, 1, 2, 0, 9]), data]);
          const at = protocol === 17 ? 6 : protocol === 6 ? 16 : 2;
          const packet = summed(
            ipv4({ protocol, payload: message, tos }),
            at,
            protocol,
            protocol !== 1,
          );
          const back = both(packet);
          expect(back.subarray(20)).toEqual(packet.subarray(20));
          expect(back[1]).toBe(tos);
          expect(back[8]).toBe(62);
          expect(back.subarray(12, 20)).toEqual(packet.subarray(12, 20));
        },
      ),
    );
  });

  test('a wrong checksum stays wrong', () => {
    const packet = summed(ipv4({ protocol: 17, payload: udp(Buffer.from('x')) }), 6, 17);
    packet.writeUInt16BE(packet.readUInt16BE(26) ^ 0x0101, 26);
    expect(upperSum(only(translatePacket(packet, options())))).not.toBe(0xffff);
  });

  test('nothing that comes in throws, and what goes out is whole', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(0x45, 0x46, 0x4f, 0x60),
        (bytes, first) => {
          const packet = Buffer.from(bytes);
          if (packet.length > 0) packet[0] = first;
          check(translatePacket(packet, options()));
        },
      ),
    );
  });

  test('nor does any packet that is cut off, or has one byte changed', () => {
    for (const { in: hex } of golden) {
      const packet = Buffer.from(hex, 'hex').subarray(0, 160);
      for (let at = 0; at < packet.length; at++) {
        check(translatePacket(packet.subarray(0, at), options()));
        const changed = Buffer.from(packet);
        changed[at] = (changed[at] as number) ^ 0x55;
        check(translatePacket(changed, options()));
      }
    }
  });

  function check(outcome: Outcome): void {
    if (outcome.kind === 'dropped') return;
    for (const packet of outcome.kind === 'reply' ? [outcome.packet] : outcome.packets) {
      const four = (packet[0] as number) >> 4 === 4;
      expect(four ? packet.readUInt16BE(2) : packet.readUInt16BE(4) + 40).toBe(packet.length);
    }
  }
});

describe('fragments', () => {
  test('a packet that may be cut is, above 1280 bytes, and every piece has its place', () => {
    const packet = summed(ipv4({ protocol: 17, payload: udp(Buffer.alloc(1400, 7)) }), 6, 17);
    const packets = translated(translatePacket(packet, options()));
    expect(packets.map((each) => each.length)).toEqual([1280, 224]);
    for (const each of packets) expect([each[6], each[40]]).toEqual([44, 17]);
    expect(packets.map((each) => each.readUInt16BE(42))).toEqual([1, 1232]);
    expect(packets.map((each) => each.readUInt32BE(44))).toEqual([7, 7]);
    const whole = Buffer.concat(packets.map((each) => each.subarray(48)));
    const rebuilt = ipv6({ protocol: 17, payload: whole }, HOST6, GUEST.ipv6);
    expect(upperSum(rebuilt)).toBe(0xffff);
  });

  test('one that may not is refused with the MTU that fits', () => {
    const packet = summed(
      ipv4({ protocol: 17, payload: udp(Buffer.alloc(1460)), flags: 0x4000 }),
      6,
      17,
    );
    const outcome = translatePacket(packet, options());
    if (outcome.kind !== 'reply') throw new Error(outcome.kind);
    expect([...outcome.packet.subarray(20, 22)]).toEqual([3, 4]);
    expect(outcome.packet.readUInt16BE(26)).toBe(1480);
    expect(outcome.packet.subarray(12, 20)).toEqual(
      Buffer.concat([ipToBytes('198.51.100.254'), ipToBytes(HOST4)]),
    );
    const fits = summed(
      ipv4({ protocol: 17, payload: udp(Buffer.alloc(1452)), flags: 0x4000 }),
      6,
      17,
    );
    expect(only(translatePacket(fits, options()))).toHaveLength(1500);
  });

  test('the way back: a large packet may not be cut, and is refused when the link is smaller', () => {
    const packet = summed(ipv6({ protocol: 17, payload: udp(Buffer.alloc(1380)) }), 6, 17);
    expect(only(translatePacket(packet, options())).readUInt16BE(6)).toBe(0x4000);
    const outcome = translatePacket(packet, options({ mtu4: 1300 }));
    if (outcome.kind !== 'reply') throw new Error(outcome.kind);
    expect(outcome.packet[40]).toBe(2);
    expect(outcome.packet.readUInt32BE(44)).toBe(1320);
  });

  test('ICMP in pieces, and UDP in pieces without a checksum, are dropped', () => {
    expect(translatePacket(echo4(undefined, { flags: 0x2000 }), options())).toEqual({
      kind: 'dropped',
      reason: 'fragmented-icmp',
    });
    const open = ipv4({ protocol: 17, payload: udp(Buffer.alloc(16)), flags: 0x2000 });
    expect(translatePacket(open, options())).toEqual({
      kind: 'dropped',
      reason: 'fragment-without-checksum',
    });
  });

  test('a whole datagram without a checksum gets one', () => {
    const open = ipv4({ protocol: 17, payload: udp(Buffer.from('odd')) });
    expect(upperSum(only(translatePacket(open, options())))).toBe(0xffff);
  });
});

describe('what a router does', () => {
  test('a packet at its last hop causes a Time Exceeded in its own family', () => {
    const outcome = translatePacket(echo4(undefined, { ttl: 1 }), options());
    if (outcome.kind !== 'reply') throw new Error(outcome.kind);
    expect(outcome.packet[20]).toBe(11);
    const six = summed(ipv6({ protocol: 17, payload: udp(Buffer.from('x')), ttl: 1 }), 6, 17);
    const other = translatePacket(six, options());
    if (other.kind !== 'reply') throw new Error(other.kind);
    expect(other.packet[40]).toBe(3);
    expect(translatePacket(six, { ...options(), own6: undefined as never })).toEqual({
      kind: 'dropped',
      reason: 'no-reply-address',
    });
  });

  test('a source route that is not at its end is refused, other options are left out', () => {
    const route = Buffer.from([131, 7, 4, 10, 0, 0, 1, 0]);
    const outcome = translatePacket(echo4(undefined, { ipOptions: route }), options());
    if (outcome.kind !== 'reply') throw new Error(outcome.kind);
    expect([...outcome.packet.subarray(20, 22)]).toEqual([3, 5]);
    const done = Buffer.from([131, 7, 8, 10, 0, 0, 1, 0]);
    expect(only(translatePacket(echo4(undefined, { ipOptions: done }), options()))[6]).toBe(58);
  });

  test('a routing header with segments left is refused, other extension headers are left out', () => {
    const extended = (header: Buffer, next: number) => {
      const inner = summed(ipv6({ protocol: 17, payload: udp(Buffer.from('x')) }), 6, 17);
      const packet = Buffer.concat([inner.subarray(0, 40), header, inner.subarray(40)]);
      packet[6] = next;
      packet.writeUInt16BE(packet.length - 40, 4);
      return packet;
    };
    const routed = translatePacket(extended(Buffer.from([17, 0, 4, 1, 0, 0, 0, 0]), 43), options());
    if (routed.kind !== 'reply') throw new Error(routed.kind);
    expect(routed.packet[40]).toBe(4);
    expect(routed.packet.readUInt32BE(44)).toBe(43);
    const destination = extended(Buffer.from([17, 0, 1, 4, 0, 0, 0, 0]), 60);
    const plain = only(translatePacket(destination, options()));
    expect(plain[9]).toBe(17);
    expect(upperSum(plain)).toBe(0xffff);
  });

  test('addresses that nobody has, and those of no single host, go nowhere', () => {
    const stranger = summed(
      ipv6({ protocol: 17, payload: udp(Buffer.from('x')) }, '2001:db8:9::9'),
      6,
      17,
    );
    expect(translatePacket(stranger, options())).toMatchObject({ reason: 'no-address' });
    const group = ipv4({ protocol: 17, payload: udp(Buffer.from('x')) }, HOST4, '224.0.0.1');
    expect(translatePacket(group, options())).toMatchObject({ reason: 'not-unicast' });
  });

  test('an error of an IPv6 router without an IPv4 address comes from the translator (RFC 6791)', () => {
    const quoted = ipv6({ protocol: 17, payload: udp(Buffer.from('x')) }, HOST6, GUEST.ipv6);
    const message = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]), quoted]);
    const error = summed(ipv6({ protocol: 58, payload: message }, '2001:db8:1::1'), 2, 58);
    const packet = only(translatePacket(error, options()));
    expect(packet.subarray(12, 16)).toEqual(ipToBytes('198.51.100.254'));
    expect(packet[20]).toBe(11);
    expect(packet.subarray(40, 48)).toEqual(
      Buffer.concat([ipToBytes(HOST4), ipToBytes(GUEST.ipv4)]),
    );
  });
});

describe('ICMP errors', () => {
  const quoted4 = ipv4({ protocol: 17, payload: udp(Buffer.from('x')) }, GUEST.ipv4, HOST4);
  const error4 = (head: number[], quoted = quoted4) =>
    summed(ipv4({ protocol: 1, payload: Buffer.concat([Buffer.from(head), quoted]) }), 2, 1, false);

  test.each<[string, number[], number[] | undefined]>([
    ['net unreachable', [3, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0]],
    ['protocol unreachable', [3, 2, 0, 0, 0, 0, 0, 0], [4, 1, 6]],
    ['port unreachable', [3, 3, 0, 0, 0, 0, 0, 0], [1, 4, 0]],
    ['too big, 1400', [3, 4, 0, 0, 0, 0, 0x05, 0x78], [2, 0, 1420]],
    ['too big, 600: no less than 1280', [3, 4, 0, 0, 0, 0, 0x02, 0x58], [2, 0, 1280]],
    ['too big, of a router that says no MTU', [3, 4, 0, 0, 0, 0, 0, 0], [2, 0, 1300]],
    ['prohibited', [3, 13, 0, 0, 0, 0, 0, 0], [1, 1, 0]],
    ['precedence cutoff', [3, 15, 0, 0, 0, 0, 0, 0], [1, 1, 0]],
    ['host precedence violation', [3, 14, 0, 0, 0, 0, 0, 0], undefined],
    ['source quench', [4, 0, 0, 0, 0, 0, 0, 0], undefined],
    ['redirect', [5, 1, 0, 0, 0, 0, 0, 0], undefined],
    ['time exceeded', [11, 1, 0, 0, 0, 0, 0, 0], [3, 1, 0]],
    ['a wrong TTL field', [12, 0, 0, 0, 8, 0, 0, 0], [4, 0, 7]],
    ['a wrong identification has no counterpart', [12, 0, 0, 0, 4, 0, 0, 0], undefined],
  ])('%s', (_, head, expected) => {
    const outcome = translatePacket(error4(head), options());
    if (expected === undefined) {
      expect(outcome).toMatchObject({ reason: 'untranslatable-icmp' });
      return;
    }
    const packet = only(outcome);
    expect([packet[40], packet[41], packet.readUInt32BE(44)]).toEqual(expected);
    expect(upperSum(packet)).toBe(0xffff);
    expect(packet.subarray(56, 88)).toEqual(
      Buffer.concat([ipToBytes(GUEST.ipv6), ipToBytes(HOST6)]),
    );
  });

  test.each<[string, number[], number[] | undefined]>([
    ['no route', [1, 0, 0, 0, 0, 0, 0, 0], [3, 1, 0]],
    ['prohibited', [1, 1, 0, 0, 0, 0, 0, 0], [3, 10, 0]],
    ['port unreachable', [1, 4, 0, 0, 0, 0, 0, 0], [3, 3, 0]],
    ['too big, 1280', [2, 0, 0, 0, 0, 0, 0x05, 0], [3, 4, 1260]],
    ['time exceeded', [3, 0, 0, 0, 0, 0, 0, 0], [11, 0, 0]],
    ['unknown next header', [4, 1, 0, 0, 0, 0, 0, 6], [3, 2, 0]],
    ['a wrong hop limit field', [4, 0, 0, 0, 0, 0, 0, 7], [12, 0, 8 << 24]],
    ['an unknown option has no counterpart', [4, 2, 0, 0, 0, 0, 0, 0], undefined],
    ['a multicast listener report', [131, 0, 0, 0, 0, 0, 0, 0], undefined],
  ])('from IPv6: %s', (_, head, expected) => {
    const quoted = ipv6({ protocol: 17, payload: udp(Buffer.from('x')) }, HOST6, GUEST.ipv6);
    const payload = Buffer.concat([Buffer.from(head), quoted]);
    const outcome = translatePacket(summed(ipv6({ protocol: 58, payload }), 2, 58), options());
    if (expected === undefined) {
      expect(outcome).toMatchObject({ reason: 'untranslatable-icmp' });
      return;
    }
    const packet = only(outcome);
    expect([packet[20], packet[21], packet.readUInt32BE(24)]).toEqual(expected);
    expect(onesSum(packet, 20, packet.length)).toBe(0xffff);
    expect(onesSum(packet, 28, 48)).toBe(0xffff);
  });

  test('a damaged error is dropped, and so is one that quotes a stranger', () => {
    const damaged = error4([3, 3, 0, 0, 0, 0, 0, 0]);
    damaged[damaged.length - 1] = 0xee;
    expect(translatePacket(damaged, options())).toMatchObject({ reason: 'malformed' });
    const strange = new AddressTable([], [GUEST, { ipv4: HOST4, ipv6: HOST6 }]);
    const quoted = ipv4({ protocol: 17, payload: udp(Buffer.from('x')) }, GUEST.ipv4, '192.0.2.77');
    const error = error4([3, 1, 0, 0, 0, 0, 0, 0], quoted);
    expect(translatePacket(error, options({ addresses: strange }))).toMatchObject({
      reason: 'untranslatable-icmp',
    });
  });

  test('extensions behind the quoted packet are left out (RFC 4884)', () => {
    const padded = Buffer.concat([quoted4, Buffer.alloc(128 - quoted4.length)]);
    const extended = Buffer.concat([padded, Buffer.from('2000000000080101', 'hex')]);
    const packet = only(translatePacket(error4([11, 0, 0, 0, 0, 32, 0, 0], extended), options()));
    // The quoted packet says how long it is, and nothing follows it.
    expect(packet.length).toBe(40 + 8 + 40 + 9);
    expect(packet.readUInt32BE(44)).toBe(0);
  });
});
