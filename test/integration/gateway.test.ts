/** One compliance suite for gateways: the embedded switch and Open vSwitch, driven by the same controller. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Namespace } from '../lab/namespace.ts';
import {
  ADDRESS,
  GatewayLab,
  NETWORK_ADDRESSES,
  startEmbeddedGateway,
  startOpenVSwitchGateway,
} from './gateway-lab.ts';

const PEER = join(import.meta.dirname, 'gateway-peer.ts');
const OPEN = 7007;
const CLOSED = 7008;
const ANSWER_MS = 1000;

/** How each target answers a datagram from `place`. */
async function ask(place: Namespace, targets: readonly string[], ms = ANSWER_MS) {
  const argv = [process.execPath, PEER, 'ask', `${ms}`, ...targets];
  const lines = (await place.run(argv)).trim().split('\n');
  return lines.map((line) => line.slice(line.indexOf(' ') + 1));
}

async function serve(place: Namespace, ...addresses: string[]): Promise<void> {
  const argv = [process.execPath, PEER, 'serve', `${OPEN}`, ...addresses];
  const server = await place.spawn(argv, { stdout: 'pipe' });
  if (server.stdout !== null) await once(server.stdout, 'data');
}

/** Echo requests that a place has taken in (proc_net(5), snmp: Icmp InEchos). */
async function echoesOf(place: Namespace): Promise<number> {
  const [names = '', values = ''] = (await place.run(['grep', '^Icmp:', '/proc/net/snmp'])).split(
    '\n',
  );
  return Number(values.split(' ')[names.split(' ').indexOf('InEchos')]);
}

describe.each([
  ['the embedded switch', startEmbeddedGateway],
  ['Open vSwitch', startOpenVSwitchGateway],
])('%s as a gateway', (_, start) => {
  let lab: GatewayLab;

  beforeAll(async () => {
    lab = await GatewayLab.create(start);
    await Promise.all([serve(lab.places.network, ...NETWORK_ADDRESSES), serve(lab.places.guest)]);
  });
  afterAll(() => lab?.close());

  test('gives the guest its home addresses by DHCP and router advertisement', async () => {
    const { guest } = lab.places;
    const device = lab.ends.guest;
    const script = join(lab.directory, 'lease');
    await writeFile(
      script,
      '#!/bin/sh\n[ "$1" = bound ] || exit 0\n' +
        'ip address add $ip/$mask dev $interface && ip route add default via $router\n' +
        'echo mtu $mtu\n',
      { mode: 0o700 },
    );
    const lease = await guest.run([
      ...['busybox', 'udhcpc', '-i', device, '-s', script, '-O', 'mtu'],
      ...['-n', '-q', '-t', '5', '-T', '1'],
    ]);
    expect(lease).toContain('mtu 1380');
    const shown = await guest.run(['ip', 'address', 'show', 'dev', device, 'scope', 'global']);
    expect(shown).toContain(`inet ${ADDRESS.guest4}/24`);
    expect(shown).toContain(`inet6 ${ADDRESS.guest6}/64`);
  });

  test('translates what the guest sends and gets, to one mobile address of each family', async () => {
    const { guest, network } = lab.places;
    const there = [`${ADDRESS.peer4}:${OPEN}`, `${ADDRESS.peer6}:${OPEN}`];
    expect(await ask(guest, there)).toEqual([ADDRESS.moa4, ADDRESS.moa6]);
    const here = [`${ADDRESS.moa4}:${OPEN}`, `${ADDRESS.moa6}:${OPEN}`];
    expect(await ask(network, here)).toEqual(['198.18.10.1', '2001:db8:a:1::1']);
  });

  test('leads hosts to guests that are here, and translates to where the others are', async () => {
    const to = [ADDRESS.guest4, ADDRESS.guest6, ADDRESS.away4, ADDRESS.away6];
    const answers = await ask(
      lab.places.hosts,
      to.map((address) => `${address}:${OPEN}`),
    );
    expect(answers).toEqual([ADDRESS.host4, ADDRESS.host6, ADDRESS.host4, ADDRESS.host6]);
  });

  test('translates ICMP errors with what they quote, or no socket would hear of them', async () => {
    const { guest, network, hosts } = lab.places;
    const refused = async (place: Namespace, ...addresses: string[]) => {
      const answers = await ask(
        place,
        addresses.map((address) => `${address}:${CLOSED}`),
      );
      expect(answers).toEqual(addresses.map(() => 'ECONNREFUSED'));
    };
    await Promise.all([
      refused(guest, ADDRESS.peer4, ADDRESS.peer6),
      refused(network, ADDRESS.moa4, ADDRESS.moa6),
      refused(hosts, ADDRESS.away4, ADDRESS.away6, ADDRESS.guest4, ADDRESS.guest6),
    ]);
  });

  test('lets nobody send from a home address that is not theirs', async () => {
    const { guest, hosts } = lab.places;
    await Promise.all([
      guest.ip(
        `address add 192.0.2.9/24 dev ${lab.ends.guest}`,
        `route add ${ADDRESS.peer4} via 192.0.2.1 src 192.0.2.9`,
      ),
      hosts.ip(
        `address add 192.0.2.8/32 dev ${lab.ends.hosts}`,
        `route add ${ADDRESS.peer4} via 203.0.113.1 src 192.0.2.8`,
      ),
    ]);
    const target = [`${ADDRESS.peer4}:${OPEN}`];
    const answers = await Promise.all([ask(guest, target, 300), ask(hosts, target, 300)]);
    expect(answers.flat()).toEqual(['nothing', 'nothing']);
    await Promise.all([
      guest.ip(
        `route delete ${ADDRESS.peer4}`,
        `address delete 192.0.2.9/24 dev ${lab.ends.guest}`,
      ),
      hosts.ip(`route delete ${ADDRESS.peer4}`),
    ]);
  });

  test('follows a guest that moves, and sends on what still comes for it', async () => {
    const { hosts, network, guest } = lab.places;
    const to = [`${ADDRESS.guest4}:${OPEN}`, `${ADDRESS.guest6}:${OPEN}`];
    const sent = async () => {
      const argv = ['ip', '-s', '-j', 'link', 'show', 'dev', lab.ends.guest];
      const [device] = JSON.parse(await guest.run(argv));
      return device.stats64.rx.packets as number;
    };
    await lab.controller.move('near', 'there');
    const before = await sent();
    expect(await ask(hosts, to)).toEqual([ADDRESS.host4, ADDRESS.host6]);
    expect(await sent()).toBe(before);
    // What was under way to the old mobile address leaves the gateway for the new one.
    const echoes = await echoesOf(network);
    await hosts.run(['sh', '-c', `ping -c 1 -W 0.2 ${ADDRESS.moa4} || true`]);
    expect(await echoesOf(network)).toBe(echoes + 1);
    await lab.controller.move('near', 'here');
    expect(await ask(hosts, to)).toEqual([ADDRESS.host4, ADDRESS.host6]);
    expect(await sent()).toBeGreaterThan(before);
  });

  // The embedded switch alone keeps its ports no longer than its process.
  if (start !== startOpenVSwitchGateway) return;
  test('is restored after it was killed', async () => {
    const { ovs } = lab;
    if (ovs === undefined) throw new Error('there is no Open vSwitch');
    const again = lab.nextRepair();
    await ovs.killDaemon();
    await ovs.killDatabase();
    await ovs.startDatabase();
    await ovs.startDaemon();
    await again;
    const there = [`${ADDRESS.peer4}:${OPEN}`, `${ADDRESS.peer6}:${OPEN}`];
    expect(await ask(lab.places.guest, there)).toEqual([ADDRESS.moa4, ADDRESS.moa6]);
  });
});
