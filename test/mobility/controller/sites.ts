/** Two guest sites and a correspondent's, joined by a network that routes by destination, around a fleet of gateways. */
import { EventEmitter } from 'node:events';
import {
  type Mapping,
  mappingSchema,
  type Network,
  networkSchema,
} from '../../../src/mobility/flows/index.ts';
import { checksum, pseudoHeaderSum } from '../../../src/switch/checksum.ts';
import { IP_PROTOCOL, ipFromBytes, ipToBytes, macToBytes } from '../../../src/switch/index.ts';
import { type IpAddresses, ipv6, udp4 } from '../../../src/switch/services/ip.ts';
import type { BridgeSpec, Fleet } from './fleet.ts';

export const UPLINK = 1;
export const HOSTS = 2;
export const GUEST = 3;
const ROUTER = '02:00:00:00:00:ff';
const GUEST_MAC = '02:00:00:00:01:02';

export const ADDRESSES = {
  4: {
    host: '198.51.100.9',
    hoa: '192.0.2.2',
    moa: { 'site-a': '10.1.0.2', 'site-b': '10.2.0.2' },
  },
  6: {
    host: '2001:db8:9::9',
    hoa: '2001:db8:7700:2::5',
    moa: { 'site-a': '2001:db8:a::2', 'site-b': '2001:db8:b::2' },
  },
} as const;

const sites = ['site-a', 'site-b'] as const;

export const specs: readonly BridgeSpec[] = [
  ...sites.map((id, index) => ({
    id,
    datapathId: `00000000000000a${index + 1}`,
    ports: [UPLINK, GUEST],
  })),
  { id: 'site-c', datapathId: '00000000000000a9', ports: [UPLINK, HOSTS] },
];

export const network: Network = networkSchema.parse({
  homePrefixes: ['192.0.2.0/24', '2001:db8:7700::/48'],
  mobilePrefixes: ['10.0.0.0/8', '2001:db8:a::/47'],
  gateways: specs.map(({ id, datapathId }) => ({
    id,
    datapathId,
    uplink: {
      port: UPLINK,
      ...(id !== 'site-c' && { mac: '02:00:00:00:00:01', nextHop: ROUTER }),
    },
    ...(id === 'site-c' && { hosts: { port: HOSTS } }),
  })),
});

export function guestAt(place: (typeof sites)[number], number = 2): Mapping {
  const suffix = (address: string) => address.replace(/2$/, String(number));
  return mappingSchema.parse({
    guest: `guest-${number}`,
    number,
    mac: GUEST_MAC,
    hoa4: suffix(ADDRESSES[4].hoa),
    hoa6: number === 2 ? ADDRESSES[6].hoa : `2001:db8:7700:${number}::5`,
    place,
    places: Object.fromEntries(
      sites.map((id) => [
        id,
        { port: GUEST, moa4: suffix(ADDRESSES[4].moa[id]), moa6: suffix(ADDRESSES[6].moa[id]) },
      ]),
    ),
    correspondents: ['site-c'],
  });
}

export interface Seen {
  readonly bridge: string;
  readonly port: number;
  readonly source: string;
  readonly destination: string;
  readonly text: string;
  /** Destination. */
  readonly eth: string;
  /** Its checksum is right. */
  readonly intact: boolean;
}

/** The network between the sites; what comes out of other ports is emitted as `seen`. */
export class Internet extends EventEmitter<{ seen: [Seen] }> {
  /** Sources and destinations between the sites. */
  readonly between = new Set<string>();
  readonly #fleet: Fleet;

  constructor(fleet: Fleet) {
    super();
    this.#fleet = fleet;
    fleet.onFrame = (bridge, port, frame) => {
      const seen = read(bridge, port, frame);
      if (port !== UPLINK) {
        this.emit('seen', seen);
        return;
      }
      for (const address of [seen.source, seen.destination]) this.between.add(address);
      const to = whereTo(seen.destination);
      if (to !== undefined) fleet.send(to, UPLINK, frame);
    };
  }

  /** A datagram from the host to the guest. */
  toGuest(version: 4 | 6, text: string): void {
    const { host, hoa } = ADDRESSES[version];
    this.#fleet.send(
      'site-c',
      HOSTS,
      frameOf(version, host, hoa, ROUTER, '02:00:00:00:09:09', text),
    );
  }

  fromGuest(place: string, version: 4 | 6, text: string): void {
    const { host, hoa } = ADDRESSES[version];
    this.#fleet.send(
      place,
      GUEST,
      frameOf(version, hoa, host, '02:53:4f:4a:00:01', GUEST_MAC, text),
    );
  }

  /** A datagram that the network delivers to the uplink of a place. */
  straight(place: string, from: string, to: string, text: string): void {
    this.#fleet.send(place, UPLINK, frameOf(4, from, to, '02:00:00:00:00:01', ROUTER, text));
  }

  /** Resolves when a datagram with this text is seen. */
  arrival(text: string): Promise<Seen> {
    return new Promise((resolve) => {
      const look = (seen: Seen) => {
        if (seen.text !== text) return;
        this.off('seen', look);
        resolve(seen);
      };
      this.on('seen', look);
    });
  }
}

function whereTo(destination: string): string | undefined {
  for (const version of [4, 6] as const) {
    if (destination === ADDRESSES[version].host) return 'site-c';
    for (const site of sites) if (destination === ADDRESSES[version].moa[site]) return site;
  }
  return undefined;
}

function frameOf(
  version: 4 | 6,
  from: string,
  to: string,
  ethTo: string,
  ethFrom: string,
  text: string,
) {
  const addresses = { source: ipToBytes(from), destination: ipToBytes(to) };
  const payload = Buffer.from(text.padEnd(32));
  const packet = version === 4 ? udp4(addresses, 4000, 5000, payload) : udp6(addresses, payload);
  const type = Buffer.from(version === 4 ? '0800' : '86dd', 'hex');
  return Buffer.concat([macToBytes(ethTo), macToBytes(ethFrom), type, packet]);
}

function udp6(addresses: IpAddresses, payload: Buffer): Buffer {
  const datagram = Buffer.alloc(8 + payload.length);
  datagram.writeUInt16BE(4000, 0);
  datagram.writeUInt16BE(5000, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  payload.copy(datagram, 8);
  const packet = ipv6(addresses, IP_PROTOCOL.udp, datagram);
  const pseudo = pseudoHeaderSum(packet, 0, IP_PROTOCOL.udp, datagram.length);
  packet.writeUInt16BE(checksum(packet, 40, packet.length, pseudo) || 0xffff, 46);
  return packet;
}

/** Whether the UDP checksum is right (RFC 768). */
function intact(frame: Buffer): boolean {
  const l4 = frame.readUInt16BE(12) === 0x0800 ? 34 : 54;
  const end = l4 + frame.readUInt16BE(l4 + 4);
  const pseudo = pseudoHeaderSum(frame, 14, IP_PROTOCOL.udp, end - l4);
  return checksum(frame, l4, end, pseudo) === 0;
}

function read(bridge: string, port: number, frame: Buffer): Seen {
  const four = frame.readUInt16BE(12) === 0x0800;
  const [source, destination, payload] = four ? [26, 30, 42] : [22, 38, 62];
  const bytes = four ? 4 : 16;
  return {
    bridge,
    port,
    source: ipFromBytes(frame.subarray(source, source + bytes)),
    destination: ipFromBytes(frame.subarray(destination, destination + bytes)),
    text: frame.subarray(payload).toString('latin1').trim(),
    eth: frame.subarray(0, 6).toString('hex'),
    intact: intact(frame),
  };
}
