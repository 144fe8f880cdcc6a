/** Two guests behind Open vSwitch at two sites, who talk to each other while both move; and IPv4 over a network that has none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterEach, expect, test } from 'vitest';
import { buildArguments } from '../../src/guest/index.ts';
import { Evidence } from '../demo/evidence.ts';
import {
  endTwin,
  MIGRATION_PORT,
  migrateTwin,
  type RunningTwin,
  startTwin,
} from '../demo/live-migration.ts';
import { twinOf } from '../demo/qemu-arguments.ts';
import { onTap } from '../demo/translation/guest.ts';
import { captureWire, readWire } from '../demo/translation/wire.ts';
import { Gateways, tapOf } from '../lab/gateways.ts';
import { Probes } from '../lab/probes/index.ts';
import { type GuestSite, SITE_FACTS, SitesLab } from '../lab/sites.ts';
import { blankBase, TinyConsole, tinyGuest, tinySpec } from '../lab/tiny-guest.ts';

const MIGRATION_MS = 60_000;
const HEARD_MS = 30_000;
let lab: SitesLab | undefined;
let directory: string | undefined;

afterEach(async () => {
  await lab?.close();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

interface Resident {
  readonly name: string;
  readonly number: number;
  readonly mac: string;
  place: GuestSite;
  running?: RunningTwin;
}

async function start(guest: Resident, evidence: Evidence, incoming?: string) {
  if (lab === undefined) throw new Error('there is no lab');
  const original = join(lab.memory, 'original');
  const spec = tinySpec({ name: guest.name });
  const base = await blankBase(join(lab.memory, 'base.raw'));
  const { kernel, initrd } = await tinyGuest();
  const argv = [
    'qemu-system-x86_64',
    ...buildArguments(
      { ...spec, abi: { ...spec.abi, mac: guest.mac } },
      {
        ...{ binary: 'qemu-system-x86_64', directory: original, incoming: false },
        ...{ kernelPath: kernel, initrdPath: initrd, netSocket: join(original, 'net.sock') },
        disks: [
          {
            ...{ name: 'disk0', basePath: base, limitBytes: spec.overlayLimitBytes },
            overlayPath: join(original, 'disk0.qcow2'),
          },
        ],
      },
    ),
  ];
  const site = incoming === undefined ? guest.place : other(guest.place);
  const name = `${guest.name}-${site}`;
  const twin = onTap(twinOf(argv, join(lab.memory, name), incoming), tapOf(guest.number));
  return startTwin({ twin, namespace: lab.namespace(site), evidence, side: site, name });
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + HEARD_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${what} not in time`);
    await sleep(100);
  }
}

const other = (site: GuestSite): GuestSite => (site === 'site-a' ? 'site-b' : 'site-a');
const consoleOf = (guest: Resident) =>
  TinyConsole.connect((guest.running as RunningTwin).twin.consoleLog.replace('.log', '.sock'));

test('guest to guest: both move at once, and neither TCP nor ping ends', async () => {
  lab = await SitesLab.create();
  const evidence = new Evidence(join(lab.directory, 'evidence'), ['site-a', 'site-b']);
  const guests: Resident[] = [
    { name: 'ann', number: 2, mac: '52:54:00:00:00:02', place: 'site-a' },
    { name: 'bob', number: 3, mac: '52:54:00:00:00:03', place: 'site-b' },
  ];
  const gateways = await Gateways.start(lab, guests);
  const endWire = await captureWire(lab, evidence.path('wire'));
  for (const guest of guests) guest.running = await start(guest, evidence);
  const [ann, bob] = (await Promise.all(guests.map(consoleOf))) as [TinyConsole, TinyConsole];
  await Promise.all([ann.ready(), bob.ready()]);

  for (const [index, shell] of [ann, bob].entries()) {
    await shell.run('ip link set eth0 up');
    await shell.run(`ip address add 192.0.2.${index + 2}/24 dev eth0`);
    await shell.run('ip route add default via 192.0.2.1');
  }
  const [annMapping, bobMapping] = gateways.mappings;

  // Their own addresses, by router advertisements; nobody else may have them (RFC 4862, 5.4).
  for (const [shell, mapping] of [[ann, annMapping] as const, [bob, bobMapping] as const])
    await until(`the address ${mapping?.hoa6}`, async () => {
      const addresses = await shell.run('ip -6 address show dev eth0 scope global');
      return addresses.includes(`${mapping?.hoa6}/`) && !addresses.includes('tentative');
    });

  await bob.run('sleep 10000 | nc -l -p 5000 > /tmp/heard & :');
  await ann.run(
    '(n=0; while :; do n=$((n+1)); echo $n; usleep 50000; done) | nc 192.0.2.3 5000 & :',
  );
  const heard = async () => Number(await bob.run('tail -n 1 /tmp/heard; :'));
  const ping = async (shell: TinyConsole, address: string | undefined) => {
    const said = await shell.run(`ping -c 3 -W 2 ${address}; :`);
    expect(said).toContain('3 packets received');
  };
  await until('the connection', async () => (await heard()) > 5);
  await ping(ann, '192.0.2.3');
  await ping(ann, bobMapping?.hoa6);
  const before = await heard();

  await Promise.all(
    guests.map(async (guest) => {
      const source = guest.running as RunningTwin;
      const to = other(guest.place);
      const destination = await start(guest, evidence, `tcp:0.0.0.0:${MIGRATION_PORT}`);
      let pushed: Promise<unknown> = Promise.resolve();
      await migrateTwin(source, destination, {
        ...{ address: SITE_FACTS[to].host4, timeoutMs: MIGRATION_MS },
        signal: AbortSignal.timeout(MIGRATION_MS),
        atSwitchover: () => {
          pushed = gateways.controller.move(guest.name, to);
          pushed.catch(() => {});
        },
      });
      await pushed;
      await endTwin(source);
      Object.assign(guest, { running: destination, place: to });
    }),
  );
  const [annThere, bobThere] = (await Promise.all(guests.map(consoleOf))) as [
    TinyConsole,
    TinyConsole,
  ];
  const heardThere = async () => Number(await bobThere.run('tail -n 1 /tmp/heard; :'));
  const after = await heardThere();
  expect(after).toBeGreaterThanOrEqual(before);
  await until('the connection', async () => (await heardThere()) > after + 5);
  // Every number once and in order: nothing of the connection was lost or said twice.
  const numbers = (await bobThere.run('cat /tmp/heard')).trim().split(/\s+/).map(Number);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  await ping(annThere, '192.0.2.3');
  await ping(bobThere, annMapping?.hoa6);
  await endWire();
  await gateways.close();
  for (const mapping of gateways.mappings) {
    const wire = readWire(evidence.path('wire'), mapping);
    expect(wire.homePackets).toBe(0);
    for (const packets of Object.values(wire.mobilePacketsOf)) expect(packets).toBeGreaterThan(0);
  }
});

/*
 *   correspondent 203.0.113.10 -[ Open vSwitch C ]- to-c, internet without IPv4, to-b -[ Open vSwitch B ]- guest 192.0.2.2
 *                                     | xlat0                                              | xlat0
 *                               sojourn switch natpt                                sojourn switch natpt
 *
 * 203.0.113.10 is 2001:db8:c:64::203.0.113.10 there (RFC 6052), 192.0.2.2 is 2001:db8:b:1::2 (RFC 7757).
 */
test('an IPv4 correspondent reaches a guest at a site that has IPv6 only', async () => {
  lab = await SitesLab.create();
  const made = mkdtempSync(join(tmpdir(), 'natpt-'));
  directory = made;
  const sites = lab;
  const internet = sites.namespace('internet');
  const guest = sites.namespace('lan');
  const GATEWAY = '02:53:4f:4a:00:01';
  const [GUEST_MAC, HOST_MAC] = ['52:54:00:00:00:02', '52:54:00:00:00:99'];
  const offload = join(sites.directory, 'no-offload');
  await sites
    .namespace('site-b')
    .ip(`link add guest0 type veth peer name eth0 netns ${guest.pid}`, 'link set guest0 up');
  await guest.ip(
    `link set eth0 address ${GUEST_MAC} up`,
    'link set lo up',
    'address add 192.0.2.2/24 dev eth0',
    `neighbour add 192.0.2.1 lladdr ${GATEWAY} dev eth0`,
    'route add default via 192.0.2.1',
  );
  await guest.run([offload, 'eth0']);
  await sites.correspondent.ip(
    `link set eth0 address ${HOST_MAC}`,
    `neighbour replace 203.0.113.1 lladdr ${GATEWAY} dev eth0 nud permanent`,
    'route replace default via 203.0.113.1',
  );
  await internet.ip(
    'address flush to 198.18.0.0/15',
    'address flush to 203.0.113.0/24',
    `neighbour add 2001:db8:b:1::2 lladdr ${SITE_FACTS['site-b'].mac} dev to-b`,
    `neighbour add fe80::c lladdr ${SITE_FACTS['site-c'].mac} dev to-c`,
    'route add 2001:db8:c:64::/96 via fe80::c dev to-c',
    // Smaller than what the guest's end believes, so that it has to be told.
    'link set to-c mtu 1400',
  );
  const pairs = [{ ipv4: '192.0.2.2', ipv6: '2001:db8:b:1::2' }];
  const settings = { prefixes: ['2001:db8:c:64::/96'], pairs, own4: '192.0.0.8' };
  for (const [site, port, mac, facts] of [
    ['site-c', 'hosts0', HOST_MAC, { prefix: '2001:db8:c:64::/96', own6: '2001:db8:c:64::c000:8' }],
    ['site-b', 'guest0', GUEST_MAC, { prefix: '2001:db8:b:1::2', own6: '2001:db8:b:1::fe' }],
  ] as const) {
    const place = sites.namespace(site);
    const file = join(made, `${site}.json`);
    writeFileSync(file, JSON.stringify({ ...settings, own6: facts.own6 }));
    const socket = join(made, `${site}.mgmt`);
    const translator = await place.spawn(
      [
        ...[process.execPath, join(import.meta.dirname, '../../src/cli/main.ts'), 'switch'],
        ...['--datapath-id', '1', '--listen', `unix:${socket}`],
        ...['--port', '1=tap:xlat0', '--port', `2=natpt:${file}`],
      ],
      { stdout: 'pipe', stderr: join(made, `${site}.log`) },
    );
    await new Promise<void>((resolve, reject) => {
      translator.stdout?.on('data', (text) => `${text}`.includes('"ready"') && resolve());
      translator.once('exit', () =>
        reject(new Error(readFileSync(join(made, `${site}.log`), 'utf8'))),
      );
    });
    const through = ['in_port=1,actions=2', 'in_port=2,actions=1'];
    for (const flow of through)
      await execa('ovs-ofctl', ['-O', 'OpenFlow13', 'add-flow', `unix:${socket}`, flow]);
    const { nextHop, mac: own } = SITE_FACTS[site];
    const ovs = sites.openVSwitch(site);
    await ovs.vsctl(
      ...[
        'add-br',
        'br0',
        '--',
        'set',
        'bridge',
        'br0',
        'datapath_type=netdev',
        'fail_mode=secure',
      ],
      ...['protocols=OpenFlow13', '--', 'add-port', 'br0', 'uplink0'],
      ...['--', 'set', 'interface', 'uplink0', 'ofport_request=1'],
      ...['--', 'add-port', 'br0', port, '--', 'set', 'interface', port, 'ofport_request=2'],
      ...['--', 'add-port', 'br0', 'xlat0', '--', 'set', 'interface', 'xlat0', 'ofport_request=3'],
    );
    const management = `unix:${join(sites.directory, site, 'br0.mgmt')}`;
    for (const flow of [
      'in_port=2,ip,actions=3',
      `in_port=1,ipv6,ipv6_dst=${facts.prefix},actions=3`,
      `in_port=3,ipv6,actions=set_field:${own}->eth_src,set_field:${nextHop}->eth_dst,1`,
      `in_port=3,ip,actions=set_field:${GATEWAY}->eth_src,set_field:${mac}->eth_dst,2`,
    ])
      await ovs.ofctl('add-flow', management, flow);
  }
  const peer = join(import.meta.dirname, 'gateway-peer.ts');
  const ask = async (from: typeof guest, ...targets: string[]) =>
    (await from.run([process.execPath, peer, 'ask', '3000', ...targets])).trim().split('\n');
  const server = await guest.spawn([process.execPath, peer, 'serve', '7007', '192.0.2.2'], {
    stdout: 'pipe',
  });
  await new Promise((resolve) => server.stdout?.once('data', resolve));
  await sites.correspondent.run(['ping', '-c', '2', '-W', '3', '192.0.2.2']);
  await guest.run(['ping', '-c', '2', '-W', '3', '203.0.113.10']);
  expect(await ask(sites.correspondent, '192.0.2.2:7007', '192.0.2.2:7008')).toEqual([
    '192.0.2.2:7007 203.0.113.10',
    '192.0.2.2:7008 ECONNREFUSED',
  ]);
  expect(await ask(guest, '203.0.113.10:7008')).toEqual(['203.0.113.10:7008 ECONNREFUSED']);

  // Two megabytes by TCP, whose segments do not fit at first: the translator and the network say so.
  const send = 'head -c 2000000 /dev/zero | busybox nc -l -p 5000';
  await guest.spawn(['sh', '-c', send]);
  const loaded = join(made, 'loaded');
  await new Probes(sites.correspondent, made, []).fetch('192.0.2.2', 5000, loaded, 20_000);
  expect(readFileSync(loaded).length).toBe(2_000_000);
  // The router has forwarded nothing by IPv4 (proc_net(5), snmp: Ip ForwDatagrams).
  const [names = '', values = ''] = (await internet.run(['grep', '^Ip:', '/proc/net/snmp'])).split(
    '\n',
  );
  expect(Number(values.split(' ')[names.split(' ').indexOf('ForwDatagrams')])).toBe(0);
});
