/** The datapath's flows where its TAP leads to a gateway under a controller, in a switch of their own. */
import { beforeEach, describe, expect, it } from 'vitest';
import { guestFlows, type SiteFlows, siteFlows } from '../../src/datapath/program/index.ts';
import { ipToBytes, macToBytes, Switch } from '../../src/switch/index.ts';
import { GATEWAY_MAC } from '../../src/switch/services/index.ts';
import { udp4 } from '../../src/switch/services/ip.ts';
import { Sink } from '../switch/subject.ts';

const [TAP, GUEST_PORT, TUNNEL] = [1, 2, 3];
const GUEST = { mac: '52:54:00:00:00:02', hoa: '192.0.2.2' };
const OTHER = { mac: '52:54:00:00:00:03', hoa: '192.0.2.3' };
const OUTSIDE = '198.51.100.7';
const network = {
  ...{ hoa4: GUEST.hoa, hoa4PrefixLength: 24, gateway4: '192.0.2.1' },
  ...{ hoa6Prefix: '2001:db8:77:2::/64', dns: [] },
};
const tap: SiteFlows['tap'] = { port: TAP, toward: 'gateway', prefixes: [], gateways: [] };

let owner: Switch;
let ports: Map<number, Sink>;

/** `where` the guest runs: behind its port here, or behind the tunnel. */
function install(where: 'here' | 'behind the tunnel'): void {
  const here = where === 'here';
  owner = new Switch(() => {});
  ports = new Map([TAP, GUEST_PORT, TUNNEL].map((number) => [number, new Sink(number)]));
  for (const port of ports.values()) owner.attach(port);
  const guest = guestFlows({
    ...{ index: 1, network, mac: GUEST.mac, here, gateway: TAP, fromTunnel: undefined },
    ...{ port: here ? GUEST_PORT : undefined, output: here ? GUEST_PORT : TUNNEL },
    // A guest that is here is anchored at the other end.
    ...{ sources: here ? [] : [TUNNEL], uplink: here ? TUNNEL : undefined },
  });
  for (const flow of [...siteFlows({ tunnels: [TUNNEL], tap }), ...guest]) owner.addFlow(flow);
}

/** A packet that arrives at a port. */
function arrives(
  port: number,
  { to, from, source, destination }: Record<'to' | 'from' | 'source' | 'destination', string>,
): void {
  const addresses = { source: ipToBytes(source), destination: ipToBytes(destination) };
  const packet = udp4(addresses, 4000, 5000, Buffer.alloc(8));
  const frame = Buffer.concat([
    macToBytes(to),
    macToBytes(from),
    Buffer.from('0800', 'hex'),
    packet,
  ]);
  const at = ports.get(port);
  if (at === undefined) throw new Error(`there is no port ${port}`);
  owner.receiveFrame(at, frame, 0, frame.length);
}

/** Frames that left by a port: link-layer addresses. */
const left = (port: number) =>
  ports.get(port)?.frames.map((frame) => ({
    to: frame.toString('hex', 0, 6),
    from: frame.toString('hex', 6, 12),
  }));
const hex = (mac: string) => mac.replaceAll(':', '');
const toGateway = { to: hex(GATEWAY_MAC), from: hex(GUEST.mac) };

describe('of a guest that is here', () => {
  beforeEach(() => install('here'));

  it('packets leave toward the gateway from its own link-layer address, not through the tunnel', () => {
    const frame = { to: GATEWAY_MAC, from: GUEST.mac, source: GUEST.hoa, destination: OUTSIDE };
    arrives(GUEST_PORT, frame);
    expect(left(TAP)).toEqual([toGateway]);
    expect(left(TUNNEL)).toEqual([]);
  });

  it('packets from the gateway reach it', () => {
    const frame = { to: GUEST.mac, from: GATEWAY_MAC, source: OTHER.hoa, destination: GUEST.hoa };
    arrives(TAP, frame);
    expect(left(GUEST_PORT)).toEqual([{ to: hex(GUEST.mac), from: hex(GATEWAY_MAC) }]);
  });

  it('nobody behind the TAP passes for it, and nobody but the gateway speaks there', () => {
    const spoofed = { to: GUEST.mac, from: GATEWAY_MAC, source: GUEST.hoa, destination: GUEST.hoa };
    arrives(TAP, spoofed);
    const stranger = { to: GUEST.mac, from: OTHER.mac, source: OUTSIDE, destination: GUEST.hoa };
    arrives(TAP, stranger);
    expect(left(GUEST_PORT)).toEqual([]);
  });

  it('it cannot pass for another', () => {
    const frame = { to: GATEWAY_MAC, from: GUEST.mac, source: OTHER.hoa, destination: OUTSIDE };
    arrives(GUEST_PORT, frame);
    expect(left(TAP)).toEqual([]);
  });
});

describe('of a guest behind a tunnel', () => {
  beforeEach(() => install('behind the tunnel'));

  it('packets go between tunnel and gateway, as if it were here', () => {
    const out = { to: GATEWAY_MAC, from: GATEWAY_MAC, source: GUEST.hoa, destination: OUTSIDE };
    arrives(TUNNEL, out);
    expect(left(TAP)).toEqual([toGateway]);
    const back = { to: GUEST.mac, from: GATEWAY_MAC, source: OUTSIDE, destination: GUEST.hoa };
    arrives(TAP, back);
    expect(left(TUNNEL)).toHaveLength(1);
  });

  it('packets of guests that nobody knows here go nowhere', () => {
    const frame = { to: GATEWAY_MAC, from: GATEWAY_MAC, source: OTHER.hoa, destination: OUTSIDE };
    arrives(TUNNEL, frame);
    expect(left(TAP)).toEqual([]);
  });
});
