import { describe, expect, test } from 'vitest';
import { rewriteIcmpError } from '../../../src/gateway/services/index.ts';
import { ipToBytes, onesSum, pseudoHeaderSum } from '../../../src/switch/index.ts';

const V4 = { hoa: '192.0.2.2', moa: '198.18.10.2', cn: '203.0.113.10', router: '198.51.100.1' };
const V6 = {
  ...{ hoa: '2001:db8:7700:2::2', moa: '2001:db8:a:1::2' },
  ...{ cn: '2001:db8:c::10', router: '2001:db8:9::1' },
};

/** An IP packet with a right checksum in its upper layer, if that has one. */
function packet(source: string, destination: string, protocol: number, payload: Buffer): Buffer {
  const four = !source.includes(':');
  const header = Buffer.alloc(four ? 20 : 40);
  if (four) {
    header.set([0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol]);
    header.writeUInt16BE(20 + payload.length, 2);
    ipToBytes(source).copy(header, 12);
    ipToBytes(destination).copy(header, 16);
    header.writeUInt16BE(~onesSum(header, 0, 20) & 0xffff, 10);
  } else {
    header.writeUInt32BE(0x60000000, 0);
    header.writeUInt16BE(payload.length, 4);
    header.set([protocol, 64], 6);
    ipToBytes(source).copy(header, 8);
    ipToBytes(destination).copy(header, 24);
  }
  const whole = Buffer.concat([header, payload]);
  const at = header.length + (protocol === 17 ? 6 : protocol === 6 ? 16 : 2);
  whole.writeUInt16BE(0, at);
  whole.writeUInt16BE(~upperSum(whole, 0, whole.length) & 0xffff, at);
  return whole;
}

function upperSum(whole: Buffer, at: number, end: number): number {
  const four = (whole[at] as number) >> 4 === 4;
  const l4 = at + (four ? 20 : 40);
  const protocol = whole[at + (four ? 9 : 6)] as number;
  return onesSum(
    whole,
    l4,
    end,
    protocol === 1 ? 0 : pseudoHeaderSum(whole, at, protocol, end - l4),
  );
}

const bodies: [string, number, Buffer][] = [
  ['UDP', 17, Buffer.from('138817700010000068656c6c6f212121', 'hex')],
  ['TCP', 6, Buffer.from('1388177000000001000000025018ffff00000000aabb', 'hex')],
];

describe.each([
  ['IPv4', V4, 1, [3, 3]],
  ['IPv6', V6, 58, [1, 4]],
] as const)('%s', (name, { hoa, moa, cn, router }, icmp, [type, code]) => {
  const header = name === 'IPv4' ? 20 : 40;
  const toHome = (address: Buffer) => (address.equals(ipToBytes(moa)) ? ipToBytes(hoa) : undefined);
  const error = (from: string, to: string, quoted: Buffer) =>
    packet(from, to, icmp, Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), quoted]));

  test.each(bodies)('a router’s error about %s to the mobile address', (_, protocol, body) => {
    const quoted = packet(moa, cn, protocol, body);
    const rewritten = rewriteIcmpError(error(router, moa, quoted), toHome) as Buffer;
    const expected = error(router, hoa, packet(hoa, cn, protocol, body));
    expect(rewritten).toEqual(expected);
    expect(upperSum(rewritten, 0, rewritten.length)).toBe(0xffff);
    expect(upperSum(rewritten, header + 8, rewritten.length)).toBe(0xffff);
  });

  test('only what is quoted has the address: an error to the correspondent', () => {
    const [, protocol, body] = bodies[0] as (typeof bodies)[0];
    const rewritten = rewriteIcmpError(error(router, cn, packet(cn, moa, protocol, body)), toHome);
    expect(rewritten).toEqual(error(router, cn, packet(cn, hoa, protocol, body)));
  });

  test('a quoted echo, and one that is cut off behind eight bytes', () => {
    const echo = Buffer.from([name === 'IPv4' ? 8 : 128, 0, 0, 0, 0, 1, 0, 2, 3, 4]);
    const whole = rewriteIcmpError(error(router, moa, packet(moa, cn, icmp, echo)), toHome);
    expect(whole).toEqual(error(router, hoa, packet(hoa, cn, icmp, echo)));
    const [, , tcp] = bodies[1] as (typeof bodies)[1];
    const cut = (source: string) => packet(source, cn, 6, tcp).subarray(0, header + 8);
    expect(rewriteIcmpError(error(router, moa, cut(moa)), toHome)).toEqual(
      error(router, hoa, cut(hoa)),
    );
  });

  test('nothing to change, no error, damaged, or cut off: left alone', () => {
    const [, protocol, body] = bodies[0] as (typeof bodies)[0];
    const good = error(router, moa, packet(moa, cn, protocol, body));
    expect(rewriteIcmpError(good, () => undefined)).toBeUndefined();
    expect(rewriteIcmpError(packet(moa, cn, protocol, body), toHome)).toBeUndefined();
    const damaged = Buffer.from(good);
    damaged[damaged.length - 1] = 0xee;
    expect(rewriteIcmpError(damaged, toHome)).toBeUndefined();
    for (let end = 0; end < good.length; end++)
      expect(rewriteIcmpError(good.subarray(0, end), toHome)).toBeUndefined();
  });

  test('padding behind the packet is left out, and the original is not written to', () => {
    const [, protocol, body] = bodies[0] as (typeof bodies)[0];
    const good = error(router, moa, packet(moa, cn, protocol, body));
    const padded = Buffer.concat([good, Buffer.alloc(9)]);
    const before = Buffer.from(padded);
    expect(rewriteIcmpError(padded, toHome)?.length).toBe(good.length);
    expect(padded).toEqual(before);
  });
});
