/** What a switch reads in packets and writes to them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IPV6_EXTENSION, type Match } from '../../src/openflow/index.ts';
import { onesSum, pseudoHeaderSum } from '../../src/switch/checksum.ts';
import { crc32c } from '../../src/switch/crc32c.ts';
import {
  popMpls,
  popPbb,
  popVlan,
  pushMpls,
  pushPbb,
  pushVlan,
} from '../../src/switch/encapsulation.ts';
import { readField } from '../../src/switch/fields.ts';
import { FlowTable } from '../../src/switch/flow-table.ts';
import { ipToBigInt, ipToBytes, Packet } from '../../src/switch/index.ts';
import { compileMatch } from '../../src/switch/match.ts';
import { compileFieldWrite, writeField } from '../../src/switch/rewrite.ts';
import { copyTtlIn, copyTtlOut, decrementTtl, outermostTtl } from '../../src/switch/ttl.ts';
import { numbered } from '../datapath/harness.ts';

const udp = numbered({ mac: '52:54:00:00:00:02', address: '192.0.2.2' }, '192.0.2.3', 1);
const addresses = udp.subarray(0, 12).toString('hex');
const payload = udp.subarray(14).toString('hex');

function load(frame: Buffer): Packet {
  const packet = new Packet();
  packet.keepsAll = true;
  const copy = Buffer.from(frame);
  expect(packet.loadFrame(1, copy, 0, copy.length)).toBe(true);
  return packet;
}

const hex = (packet: Packet) => packet.toFrame().toString('hex');
const setTo = (packet: Packet, field: Parameters<typeof compileFieldWrite>[0], value: bigint) =>
  writeField(packet, compileFieldWrite(field, value));

describe('tags', () => {
  it('are pushed and popped to any depth, before all others, and leave the rest alone', () => {
    const packet = load(udp);
    const tags: string[] = [];
    for (let n = 0; n < 60; n++) {
      pushVlan(packet, n % 2 === 0 ? 0x8100 : 0x88a8);
      setTo(packet, 'vlan_vid', BigInt(0x1000 | n));
      tags.unshift(`${n % 2 === 0 ? '8100' : '88a8'}${n.toString(16).padStart(4, '0')}`);
      expect(hex(packet)).toBe(`${addresses}${tags.join('')}0800${payload}`);
      expect(readField(packet.key, 'vlan_vid')).toBe(BigInt(0x1000 | n));
      expect(packet.ethType).toBe(0x0800);
    }
    for (let n = 0; n < 61; n++) popVlan(packet);
    expect(hex(packet)).toBe(udp.toString('hex'));
    expect(readField(packet.key, 'vlan_vid')).toBe(0n);
  });

  it('do not touch the frame before in the chunk', () => {
    const chunk = Buffer.concat([udp, udp]);
    const packet = new Packet();
    packet.loadFrame(1, chunk, udp.length, 2 * udp.length);
    for (let n = 0; n < 5; n++) pushVlan(packet, 0x8100);
    pushPbb(packet, 0x88e7);
    expect(chunk.subarray(0, udp.length)).toEqual(udp);
  });

  it('of MPLS stand right behind the addresses, and before the labels that are there', () => {
    const packet = load(udp);
    pushMpls(packet, 0x8847);
    expect(hex(packet)).toBe(`${addresses}884700000140${payload}`);
    setTo(packet, 'mpls_label', 100n);
    setTo(packet, 'mpls_tc', 5n);
    pushVlan(packet, 0x8100);
    pushMpls(packet, 0x8848);
    expect(hex(packet)).toBe(`${addresses}81000000884800064a4000064b40${payload}`);
    popVlan(packet);
    popMpls(packet, 0x8847);
    popMpls(packet, 0x0800);
    popMpls(packet, 0x0800);
    expect(hex(packet)).toBe(udp.toString('hex'));
  });

  it('of backbones keep the addresses of the customer', () => {
    const packet = load(udp);
    setTo(packet, 'eth_dst', 0xffn);
    pushPbb(packet, 0x88e7);
    setTo(packet, 'pbb_isid', 0x123456n);
    setTo(packet, 'eth_dst', 0xeen);
    const customer = `0000000000ff${addresses.slice(12)}0800${payload}`;
    expect(hex(packet)).toBe(`0000000000ee${addresses.slice(12)}88e700123456${customer}`);
    expect(readField(packet.key, 'pbb_isid')).toBe(0x123456n);
    popPbb(packet);
    expect(hex(packet)).toBe(customer);
  });

  it('are pushed onto bare IP packets, too', () => {
    const packet = new Packet();
    const copy = Buffer.from(udp);
    packet.loadIp(1, copy, 14, copy.length);
    pushVlan(packet, 0x8100);
    expect(hex(packet)).toBe(`${'00'.repeat(12)}810000000800${payload}`);
    expect(copy).toEqual(udp);
  });

  it('that are cut off make no packet of it that anything else could be read from', () => {
    const packet = load(udp);
    for (let n = 0; n < 3; n++) pushMpls(packet, 0x8847);
    const frame = packet.toFrame();
    for (let end = 14; end < frame.length; end++) {
      const part = load(frame.subarray(0, end));
      for (const work of [popMpls, popPbb, popVlan, copyTtlIn, copyTtlOut]) {
        work(part, 0x0800);
        expect(part.end).toBeGreaterThanOrEqual(part.l3);
      }
    }
  });
});

describe('TTL', () => {
  it('is copied between labels, IP and IP in IP', () => {
    const inner = udp.subarray(14);
    const outer = Buffer.from(inner.subarray(0, 20));
    outer.writeUInt16BE(20 + inner.length, 2);
    outer[8] = 9;
    outer[9] = 4;
    outer.writeUInt16BE(0, 10);
    outer.writeUInt16BE(~onesSum(outer, 0, 20) & 0xffff, 10);
    const packet = load(Buffer.concat([udp.subarray(0, 14), outer, inner]));
    pushMpls(packet, 0x8847);
    expect(outermostTtl(packet)).toBe(9);
    setTo(packet, 'mpls_label', 7n);
    packet.buffer[packet.l3 + 3] = 200;
    copyTtlIn(packet);
    popMpls(packet, 0x0800);
    expect(outermostTtl(packet)).toBe(200);
    expect(onesSum(packet.buffer, packet.l3, packet.l3 + 20)).toBe(0xffff);
    copyTtlOut(packet);
    expect(outermostTtl(packet)).toBe(64);
    expect(onesSum(packet.buffer, packet.l3, packet.l3 + 20)).toBe(0xffff);
    expect(decrementTtl(packet)).toBe(true);
    expect(outermostTtl(packet)).toBe(63);
  });
});

function ipv6(
  extensions: readonly [type: number, bytes: string][],
  last: number,
  rest: string,
): Buffer {
  const types = [...extensions.map(([type]) => type), last];
  const headers = extensions.map(([, bytes], n) =>
    Buffer.concat([Buffer.from([types[n + 1] as number]), Buffer.from(bytes, 'hex')]),
  );
  const body = Buffer.concat([...headers, Buffer.from(rest, 'hex')]);
  const fixed = Buffer.alloc(40);
  fixed[0] = 0x60;
  fixed.writeUInt16BE(body.length, 4);
  fixed[6] = types[0] as number;
  fixed[7] = 64;
  ipToBytes('2001:db8::1').copy(fixed, 8);
  ipToBytes('2001:db8::2').copy(fixed, 24);
  return Buffer.concat([udp.subarray(0, 12), Buffer.from('86dd', 'hex'), fixed, body]);
}

describe('IPv6 extension headers (7.2.3.8, RFC 8200)', () => {
  const [hop, options, routing, fragment, auth] = [0, 60, 43, 44, 51];
  const plain = '00010400000000';
  const first = '00000000000001';
  const sum = '01000000000000000000000000'.slice(0, 22);
  const ports = '1234567800080000';
  const bits = IPV6_EXTENSION;
  it.each([
    ['none', [], 0],
    ['hop-by-hop', [hop], bits.hop],
    [
      'in order',
      [hop, options, routing, fragment, auth, options],
      bits.hop | bits.dest | bits.router | bits.fragment | bits.auth,
    ],
    ['out of order', [routing, hop], bits.router | bits.hop | bits.unsequenced],
    ['repeated', [routing, routing], bits.router | bits.unrepeated],
    ['options three times', [options, options, options], bits.dest | bits.unrepeated],
  ] as const)('%s', (_name, types, expected) => {
    const bytes = (type: number) => (type === auth ? sum : type === fragment ? first : plain);
    const packet = load(
      ipv6(
        types.map((type) => [type, bytes(type)]),
        17,
        ports,
      ),
    );
    expect(readField(packet.key, 'ipv6_exthdr')).toBe(BigInt(expected));
    expect(readField(packet.key, 'ip_proto')).toBe(17n);
    expect(readField(packet.key, 'udp_src')).toBe(0x1234n);
  });

  it('end at what cannot be read behind', () => {
    for (const [type, bit] of [
      [50, bits.esp],
      [59, bits.noNext],
    ] as const) {
      const packet = load(ipv6([[hop, plain]], type, ports));
      expect(readField(packet.key, 'ipv6_exthdr')).toBe(BigInt(bits.hop | bit));
      expect([readField(packet.key, 'ip_proto'), packet.l4]).toEqual([BigInt(type), 0]);
    }
  });

  it('with segments left keep the checksum from the destination in the header', () => {
    const routed = '00000100000000';
    const arrived = '00000000000000';
    for (const [header, covered] of [
      [routed, false],
      [arrived, true],
    ] as const) {
      const frame = ipv6([[routing, header]], 17, '123456780008abcd');
      const packet = load(frame);
      setTo(packet, 'ipv6_dst', ipToBigInt('2001:db8::3'));
      expect(hex(packet).endsWith('abcd')).toBe(!covered);
      setTo(packet, 'ipv6_src', ipToBigInt('2001:db8::9'));
      expect(hex(packet).endsWith('abcd')).toBe(false);
    }
  });

  it('cut off at any length are read no further than they go', () => {
    const frame = ipv6(
      [
        [hop, plain],
        [routing, plain],
        [auth, sum],
      ],
      17,
      ports,
    );
    for (let end = 14; end < frame.length; end++) {
      const strict = new Packet();
      expect(strict.loadFrame(1, frame, 0, end)).toBe(false);
      const packet = load(frame.subarray(0, end));
      expect([packet.l4, readField(packet.key, 'udp_src')]).toEqual([0, 0n]);
    }
  });
});

describe('checksums', () => {
  it('of UDP that are zero stay zero, and none becomes zero', () => {
    const none = Buffer.from(udp);
    none.writeUInt16BE(0, 40);
    const packet = load(none);
    setTo(packet, 'udp_dst', 9n);
    setTo(packet, 'ipv4_src', 5n);
    expect(packet.buffer.readUInt16BE(40)).toBe(0);
    for (let port = 0; port < 0x10000; port += 257) {
      const other = load(udp);
      other.buffer.writeUInt16BE(0, 40);
      const sum = pseudoHeaderSum(other.buffer, 14, 17, udp.length - 34);
      other.buffer.writeUInt16BE(
        ~onesSum(other.buffer, 34, udp.length, sum) & 0xffff || 0xffff,
        40,
      );
      setTo(other, 'udp_src', BigInt(port));
      expect(other.buffer.readUInt16BE(40)).not.toBe(0);
      expect(onesSum(other.buffer, 34, udp.length, sum)).toBe(0xffff);
    }
  });

  it('of SCTP are right after a write, and as wrong as before when they were wrong', () => {
    const frame = Buffer.from(udp);
    frame[23] = 132;
    frame.writeUInt32LE(crc32c(frame, 34, frame.length, 42), 42);
    const packet = load(frame);
    setTo(packet, 'sctp_dst', 77n);
    expect(packet.buffer.readUInt32LE(42)).toBe(crc32c(packet.buffer, 34, frame.length, 42));
    frame[50] = (frame[50] as number) ^ 1;
    const wrong = load(frame);
    setTo(wrong, 'sctp_dst', 77n);
    expect(wrong.buffer.readUInt32LE(42)).not.toBe(crc32c(wrong.buffer, 34, frame.length, 42));
  });

  it('are not looked for in later fragments, which have no ports either', () => {
    const frame = Buffer.from(udp);
    frame.writeUInt16BE(0x2001, 20);
    const packet = load(frame);
    const before = packet.buffer.subarray(34).toString('hex');
    setTo(packet, 'ipv4_dst', 1n);
    setTo(packet, 'udp_dst', 1n);
    expect(packet.buffer.subarray(34).toString('hex')).toBe(before);
    const table = new FlowTable();
    const l4: Match = { eth_type: 0x0800n, ip_proto: 17n, udp_src: 0n };
    table.add({ table: 0, priority: 1, match: l4, instructions: [] });
    expect(table.lookup(packet.key)).toBeUndefined();
  });
});

describe('selections of flows', () => {
  const some: fc.Arbitrary<Match> = fc.record(
    {
      in_port: fc.constantFrom(1n, 2n),
      eth_dst: fc.tuple(fc.nat(3), fc.nat(3)).map(([value, mask]) => ({
        value: BigInt(value & mask),
        mask: BigInt(mask),
      })),
      eth_type: fc.constantFrom(0x0800n, 0x0806n),
    },
    { requiredKeys: [] },
  );
  const flows = fc.array(fc.tuple(some, fc.nat(2)), { maxLength: 25 });

  it('agree with looking at every flow: within, and overlapping', () => {
    fc.assert(
      fc.property(flows, some, fc.nat(2), (specs, match, priority) => {
        const table = new FlowTable();
        for (const [one, rank] of specs)
          table.add({ table: 0, priority: rank, match: one, instructions: [] });
        const wanted = compileMatch(match);
        const within = [...table].filter((entry) => {
          const { key, mask } = compileMatch(entry.match);
          return wanted.mask.every(
            (bits, n) =>
              (bits & ~(mask[n] as number)) === 0 &&
              ((key[n] as number) & bits) >>> 0 === wanted.key[n],
          );
        });
        expect(new Set(table.within(wanted))).toEqual(new Set(within));
        const overlapping = [...table].some((entry) => {
          const { key, mask } = compileMatch(entry.match);
          const apart = key.some(
            (word, n) =>
              ((word ^ (wanted.key[n] as number)) &
                (mask[n] as number) &
                (wanted.mask[n] as number)) !==
              0,
          );
          return entry.priority === priority && !apart;
        });
        expect(table.overlaps(wanted, priority)).toBe(overlapping);
      }),
    );
  });
});
