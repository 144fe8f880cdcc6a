import { describe, expect, it } from 'vitest';
import type { GuestNetwork } from '../../src/guest/spec.ts';
import { onesSum, pseudoHeaderSum } from '../../src/switch/checksum.ts';
import { ipToBytes, macToBytes } from '../../src/switch/index.ts';
import {
  answerGuest,
  answerHost,
  decodeDhcp,
  fragment4,
  GATEWAY_MAC,
  guestGateway,
  icmpError,
  isPresenceReply,
  presenceRequest,
  TokenBucket,
} from '../../src/switch/services/index.ts';
import { golden } from './golden-frames.ts';

const network: GuestNetwork = {
  hoa4: '192.0.2.7',
  hoa4PrefixLength: 24,
  gateway4: '192.0.2.1',
  hoa6Prefix: '2001:db8:77:7::/64',
  dns: ['192.0.2.53', '2001:db8::53'],
};
const guest = guestGateway(network, '52:54:00:00:00:07');
const gatewayMac = macToBytes(GATEWAY_MAC);

function solicitation(target: string, source: string, hopLimit = 255): Buffer {
  const frame = Buffer.from(golden.duplicateAddressDetection.subarray(0, 78));
  frame.writeUInt16BE(24, 18);
  frame[21] = hopLimit;
  ipToBytes(source).copy(frame, 22);
  ipToBytes(target).copy(frame, 62);
  return frame;
}

function expectIcmp6Checksum(packet: Buffer): void {
  const bytes = packet.length - 40;
  expect(onesSum(packet, 40, packet.length, pseudoHeaderSum(packet, 0, 58, bytes))).toBe(0xffff);
}

describe('what a Linux guest asks and gets', () => {
  it.each([
    ['discover', 'offer'],
    ['request', 'ack'],
    ['arpRequest', 'arpReply'],
    ['echoRequest', 'echoReply'],
    ['routerSolicitation', 'routerAdvertisement'],
  ] as const)('%s: %s, byte for byte', (question, answer) => {
    expect(answerGuest(golden[question], guest)?.toString('hex')).toBe(
      golden[answer].toString('hex'),
    );
  });

  it.each(['multicastReport', 'duplicateAddressDetection'] as const)('%s: nothing', (question) => {
    expect(answerGuest(golden[question], guest)).toBeUndefined();
  });

  it('survives all of it cut off anywhere', () => {
    for (const frame of Object.values(golden))
      for (let end = 34; end < frame.length; end++)
        expect(() => answerGuest(Buffer.from(frame.subarray(0, end)), guest)).not.toThrow();
  });
});

describe('DHCP', () => {
  const offset = 14 + 28;
  const withOption = (frame: Buffer, code: number, value: number[]) => {
    const at = frame.indexOf(Buffer.from([code, value.length]), offset + 240);
    const copy = Buffer.from(frame);
    copy.set(value, at + 2);
    return copy;
  };

  it('says no to another address, to everybody', () => {
    const answer = answerGuest(withOption(golden.request, 50, [192, 0, 2, 8]), guest) as Buffer;
    expect(decodeDhcp(answer.subarray(offset))?.options.get(53)).toEqual(Buffer.from([6]));
    expect(answer.subarray(0, 6)).toEqual(Buffer.alloc(6, 0xff));
  });

  it('broadcasts to a client that asks for it', () => {
    const question = Buffer.from(golden.discover);
    question.writeUInt16BE(0x8000, offset + 10);
    const answer = answerGuest(question, guest) as Buffer;
    expect(answer.subarray(30, 34)).toEqual(Buffer.alloc(4, 0xff));
  });

  it('keeps silent for another server, another client, a release, a reply', () => {
    expect(answerGuest(withOption(golden.request, 54, [192, 0, 2, 9]), guest)).toBeUndefined();
    expect(answerGuest(withOption(golden.request, 53, [7]), guest)).toBeUndefined();
    const other = Buffer.from(golden.discover);
    other[offset + 33] = 0x99;
    expect(answerGuest(other, guest)).toBeUndefined();
    const reply = Buffer.from(golden.discover);
    reply[offset] = 2;
    expect(answerGuest(reply, guest)).toBeUndefined();
  });
});

describe('ARP and neighbor discovery', () => {
  it("leave the guest's own address alone (RFC 5227)", () => {
    const probe = Buffer.from(golden.arpRequest);
    probe.fill(0, 28, 32);
    ipToBytes('192.0.2.7').copy(probe, 38);
    expect(answerGuest(probe, guest)).toBeUndefined();
    expect(answerGuest(solicitation('2001:db8:77:7::5', '::'), guest)).toBeUndefined();
    expect(
      answerGuest(solicitation('2001:db8:77:7::5', '2001:db8:77:7::6'), guest),
    ).toBeUndefined();
    expect(answerGuest(solicitation('fe80::5', 'fe80::6'), guest)).toBeUndefined();
  });

  it.each(['fe80::1', '2001:db8:77:7::1', '2001:db8:1::1'])('answer for %s', (target) => {
    const answer = answerGuest(solicitation(target, 'fe80::7'), guest) as Buffer;
    expect(answer[54]).toBe(136);
    // Router, solicited, override.
    expect(answer[58]).toBe(0xe0);
    expect(answer.subarray(62, 78)).toEqual(ipToBytes(target));
    expect(answer.subarray(80, 86)).toEqual(gatewayMac);
    expectIcmp6Checksum(answer.subarray(14));
  });

  it('answer a duplicate of the gateway to all nodes, unsolicited', () => {
    const answer = answerGuest(solicitation('fe80::1', '::'), guest) as Buffer;
    expect(answer[58]).toBe(0xa0);
    expect(answer.subarray(38, 54)).toEqual(ipToBytes('ff02::1'));
  });

  it('ignore what a router has passed on', () => {
    expect(answerGuest(solicitation('fe80::1', 'fe80::7', 254), guest)).toBeUndefined();
  });

  it('answer the host for home addresses and no others', () => {
    const owns = (address: Buffer) => address.equals(ipToBytes('192.0.2.1'));
    expect(answerHost(golden.arpRequest, owns)).toEqual(golden.arpReply);
    expect(answerHost(golden.arpRequest, () => false)).toBeUndefined();
    expect(answerHost(solicitation('2001:db8:77:7::5', 'fe80::2'), () => true)?.[54]).toBe(136);
  });

  it('know whether the guest has read its queue', () => {
    const request = presenceRequest(guest);
    const reply = Buffer.from(request);
    reply.writeUInt16BE(2, 20);
    request.copy(reply, 28, 38, 42);
    request.copy(reply, 38, 28, 32);
    expect(isPresenceReply(reply, guest)).toBe(true);
    expect(isPresenceReply(golden.arpRequest, guest)).toBe(false);
  });
});

describe('ICMP errors', () => {
  const gateway4 = ipToBytes('192.0.2.1');
  const gateway6 = ipToBytes('2001:db8:77:7::1');
  const packet4 = golden.echoRequest.subarray(14);
  const tooBig = { kind: 'too-big', mtu: 1380 } as const;
  const packet6 = Buffer.alloc(1400);
  packet6.set([0x60, 0, 0, 0, 0x05, 0x50, 17, 64]);
  ipToBytes('2001:db8::9').copy(packet6, 8);
  ipToBytes('2001:db8:77:7::5').copy(packet6, 24);

  it('quote the packet and the MTU', () => {
    const error = icmpError(packet4, gateway4, tooBig) as Buffer;
    expect([...error.subarray(20, 22), error.readUInt16BE(26)]).toEqual([3, 4, 1380]);
    expect(error.subarray(28)).toEqual(packet4);
    expect(onesSum(error, 20, error.length)).toBe(0xffff);
    expect(onesSum(error, 0, 20)).toBe(0xffff);
    const error6 = icmpError(packet6, gateway6, tooBig) as Buffer;
    expect([error6[40], error6.readUInt32BE(44)]).toEqual([2, 1380]);
    expect(error6.length).toBe(1280);
    expectIcmp6Checksum(error6);
  });

  it('never answer errors, multicast, later fragments, nobody', () => {
    const problem = { kind: 'time-exceeded' } as const;
    const error = icmpError(packet4, gateway4, problem) as Buffer;
    expect(error[20]).toBe(11);
    expect(icmpError(error, gateway4, problem)).toBeUndefined();
    const altered = (offset: number, ...bytes: number[]) => {
      const copy = Buffer.from(packet4);
      copy.set(bytes, offset);
      return copy;
    };
    expect(icmpError(altered(16, 224), gateway4, problem)).toBeUndefined();
    expect(icmpError(altered(6, 0, 1), gateway4, problem)).toBeUndefined();
    expect(icmpError(altered(12, 0, 0, 0, 0), gateway4, problem)).toBeUndefined();
    const error6 = icmpError(packet6, gateway6, problem) as Buffer;
    expect(icmpError(error6, gateway6, problem)).toBeUndefined();
  });
});

describe('fragmentation', () => {
  it('gives pieces that fit and make up the whole', () => {
    const packet = Buffer.alloc(20 + 3000, 7);
    packet.set([0x45, 0, ...[3020 >> 8, 3020 & 255], 0, 9, 0, 0, 64, 17, 0, 0]);
    const parts = fragment4(packet, 1380);
    expect(parts.map((part) => part.length)).toEqual([1380, 1380, 300]);
    expect(parts.map((part) => part.readUInt16BE(6))).toEqual([0x2000, 0x2000 + 170, 340]);
    for (const part of parts) expect(onesSum(part, 0, 20)).toBe(0xffff);
    expect(Buffer.concat(parts.map((part) => part.subarray(20)))).toEqual(packet.subarray(20));
  });
});

describe('a token bucket', () => {
  it('lets a burst through, then the rate', () => {
    const bucket = new TokenBucket(10, 3, 0);
    const taken = [0, 0, 0, 0, 100, 100, 10_000].map((now) => bucket.take(now));
    expect(taken).toEqual([true, true, true, false, true, false, true]);
  });
});
