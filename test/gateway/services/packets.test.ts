import { describe, expect, test } from 'vitest';
import { GatewayPackets } from '../../../src/gateway/index.ts';
import {
  cookieOf,
  gatewaySchema,
  type Mapping,
  mappingSchema,
  PURPOSE,
} from '../../../src/mobility/flows/index.ts';
import { NO_BUFFER, type PacketInMessage, type PacketOut } from '../../../src/openflow/index.ts';
import { ipToBytes, OpenFlowSwitch } from '../../../src/switch/index.ts';

const HOME = ['192.0.2.0/24', '2001:db8:7700::/48'];
const guest = mappingSchema.parse({
  ...{ guest: 'one', number: 2, mac: '52:54:00:00:00:02', place: 'a' },
  ...{ hoa4: '192.0.2.2', hoa6: '2001:db8:7700:2::2' },
  places: {
    a: { port: 5, moa4: '198.18.10.2', moa6: '2001:db8:a:1::2' },
    b: { port: 6, moa4: '198.18.20.2', moa6: '2001:db8:b:1::2' },
  },
  correspondents: ['c'],
});
const a = gatewaySchema.parse({
  ...{ id: 'a', datapathId: '00000000000000a1' },
  uplink: { port: 1, mac: '02:00:00:00:00:aa', nextHop: '02:00:00:00:00:01' },
  ...{ pool4: '198.18.10.0/24', pool6: '2001:db8:a:1::/64' },
});
const c = gatewaySchema.parse({
  ...{ id: 'c', datapathId: '00000000000000c1', uplink: { port: 1 }, hosts: { port: 2 } },
});

function packets(mappings: readonly Mapping[] = [guest]) {
  let now = 0;
  const services = new GatewayPackets({
    homePrefixes: () => HOME,
    mappings: () => mappings,
    now: () => now,
  });
  const ask = (gateway: typeof a, inPort: number, frame: Buffer, of?: Mapping) => {
    const sent: { port: number; data: Buffer }[] = [];
    const message: PacketInMessage = {
      ...{ type: 'packet-in', buffer: NO_BUFFER, reason: 'action', table: 0 },
      ...{ totalLength: frame.length, match: { in_port: BigInt(inPort) }, data: frame },
      cookie: cookieOf(PURPOSE.service, of?.number ?? 0),
    };
    services.packetIn(gateway, of, message, ({ actions, data }: Omit<PacketOut, 'type'>) => {
      const [action] = actions;
      if (action?.type !== 'output') throw new Error('an output is expected');
      sent.push({ port: action.port, data: Buffer.from(data) });
    });
    return sent;
  };
  return {
    services,
    ask,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

const mac = (text: string) => Buffer.from(text.replaceAll(':', ''), 'hex');
const arp = (from: string, sender: string, target: string) =>
  Buffer.concat([
    ...[Buffer.alloc(6, 0xff), mac(from), Buffer.from('08060001080006040001', 'hex')],
    ...[mac(from), ipToBytes(sender), Buffer.alloc(6), ipToBytes(target)],
  ]);

describe('ARP', () => {
  test('a guest is told the gateway’s address, for any other address than its own', () => {
    const { ask } = packets();
    const [answer] = ask(a, 5, arp(guest.mac, '192.0.2.2', '192.0.2.1'), guest);
    expect(answer?.port).toBe(5);
    expect(answer?.data.toString('hex', 6, 12)).toBe('02534f4a0001');
    expect(ask(a, 5, arp(guest.mac, '192.0.2.2', '192.0.2.2'), guest)).toEqual([]);
  });

  test('a router on it is told again, in time, with the first answer after 25 minutes', () => {
    const { ask, pass } = packets();
    const question = arp(guest.mac, '192.0.2.2', '192.0.2.1');
    expect(ask(a, 5, question, guest)).toHaveLength(2);
    expect(ask(a, 5, question, guest)).toHaveLength(1);
    pass(1_500_000);
    const [, advertisement] = ask(a, 5, question, guest);
    expect(advertisement?.data[54]).toBe(134);
  });

  test('the network is told where a mobile address is, and of no other', () => {
    const { ask } = packets();
    const [answer] = ask(a, 1, arp('02:00:00:00:00:01', '198.18.10.1', '198.18.10.2'));
    expect(answer?.port).toBe(1);
    expect(answer?.data.toString('hex', 6, 12)).toBe('0200000000aa');
    expect(ask(a, 1, arp('02:00:00:00:00:01', '198.18.10.1', '198.18.10.3'))).toEqual([]);
  });
});

describe('bounds', () => {
  test('one guest is answered 400 times at once, 200 a second after that; another one still is', () => {
    const other = mappingSchema.parse({ ...guest, number: 3, guest: 'two' });
    const { ask, pass } = packets();
    const question = arp(guest.mac, '192.0.2.2', '192.0.2.1');
    let answers = 0;
    for (let n = 0; n < 1000; n++) if (ask(a, 5, question, guest).length > 0) answers += 1;
    expect(answers).toBe(400);
    expect(ask(a, 5, question, other)).not.toEqual([]);
    pass(1000);
    answers = 0;
    for (let n = 0; n < 1000; n++) if (ask(a, 5, question, guest).length > 0) answers += 1;
    expect(answers).toBe(200);
  });

  test('frames of every length up to a header, and parts of packets, are left alone', () => {
    const { ask, services } = packets();
    for (let bytes = 0; bytes < 60; bytes++)
      for (const port of [1, 5]) expect(ask(a, port, Buffer.alloc(bytes, 0x45))).toEqual([]);
    const message = { totalLength: 2000, match: { in_port: 5n }, data: Buffer.alloc(64) };
    services.packetIn(a, guest, message as never, () => {
      throw new Error('nothing is to be sent');
    });
  });
});

describe('flows', () => {
  test('every one can be installed in a switch', () => {
    const { services } = packets();
    const flows = [
      ...services.gatewayFlows(a),
      ...services.gatewayFlows(c),
      ...services.guestFlows(a, guest),
    ];
    const { engine } = new OpenFlowSwitch({ datapathId: 1n });
    for (const flow of flows) engine.addFlow(flow as never);
    expect(flows.length).toBeGreaterThan(30);
  });

  test('a guest has them where it is, and nowhere else', () => {
    const { services } = packets();
    expect(services.guestFlows(a, { ...guest, place: 'b' })).toEqual([]);
    expect(services.guestFlows(c, guest)).toEqual([]);
  });
});
