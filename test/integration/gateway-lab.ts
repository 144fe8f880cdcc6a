/**
 * One gateway and what is around it, for any switch. The network is somebody else's host and router at once, and answers with the
 * mobile addresses of guests that are elsewhere:
 *
 *   guest 192.0.2.2 -12-+
 *                       [ gateway ]-1- network: 198.18.10.1, 203.0.113.1, 198.51.100.77, 198.18.20.2, 198.18.20.3
 *   hosts 203.0.113.10 -2-+             2001:db8:a:1::1, 2001:db8:c::1, 2001:db8:9::77, ...
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayPackets, OpenVSwitchGateway } from '../../src/gateway/index.ts';
import { Controller } from '../../src/mobility/controller/index.ts';
import { mappingSchema, networkSchema } from '../../src/mobility/flows/index.ts';
import { eui64Address } from '../../src/mobility/index.ts';
import { parseListen } from '../../src/switch/agent/index.ts';
import { Namespace } from '../lab/namespace.ts';
import { OpenVSwitch } from '../lab/openvswitch.ts';
import { buildNoOffload } from '../lab/sites.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
export const GUEST_MAC = '52:54:00:00:00:02';
const HOME = ['192.0.2.0/24', '2001:db8:7700::/48'];
const DATAPATH = '00000000000000a1';
const NEXT_HOP = '02:00:00:00:00:01';
const READY_MS = 15_000;
const BRIDGE = 'gateway';

export const ADDRESS = {
  guest4: '192.0.2.2',
  guest6: eui64Address('2001:db8:7700:2::/64', GUEST_MAC),
  moa4: '198.18.10.2',
  moa6: '2001:db8:a:1::2',
  /** Of the guest that is at the other gateway. */
  away4: '192.0.2.3',
  away6: '2001:db8:7700:3::3',
  peer4: '198.51.100.77',
  peer6: '2001:db8:9::77',
  host4: '203.0.113.10',
  host6: '2001:db8:c::10',
} as const;

/** What the network answers with: its own addresses, and those of guests that are elsewhere. */
export const NETWORK_ADDRESSES = [
  ...[ADDRESS.peer4, '198.18.20.2', '198.18.20.3'],
  ...[ADDRESS.peer6, '2001:db8:b:1::2', '2001:db8:b:1::3'],
] as const;

/** By port: the interface at the switch and the namespace at the other end of the cable. */
const CABLES = [
  { number: 1, name: 'uplink0', end: 'network' },
  { number: 2, name: 'hosts0', end: 'hosts' },
  { number: 12, name: 'guest2', end: 'guest' },
] as const;

export interface SwitchUnderTest {
  /** Of the cables' other ends, in their namespaces. */
  readonly ends: Readonly<Record<(typeof CABLES)[number]['end'], string>>;
  readonly ovs?: OpenVSwitch;
  close(): Promise<void>;
}

export type StartSwitch = (lab: GatewayLab) => Promise<SwitchUnderTest>;

export class GatewayLab {
  readonly directory: string;
  readonly places: Readonly<Record<'switch' | 'guest' | 'hosts' | 'network', Namespace>>;
  controller!: Controller;
  ends!: SwitchUnderTest['ends'];
  ovs: OpenVSwitch | undefined;
  #switch: SwitchUnderTest | undefined;
  /** Calls when the gateway has got its flows. */
  #repaired = Promise.withResolvers<void>();

  private constructor(directory: string, places: GatewayLab['places']) {
    this.directory = directory;
    this.places = places;
  }

  static async create(start: StartSwitch): Promise<GatewayLab> {
    const directory = await mkdtemp(join(tmpdir(), 'gw-'));
    const names = ['switch', 'guest', 'hosts', 'network'] as const;
    const made = await Promise.all(
      names.map(async (name) => [name, await Namespace.create(`gateway-${name}`, {})] as const),
    );
    const lab = new GatewayLab(directory, Object.fromEntries(made) as GatewayLab['places']);
    try {
      await lab.#build(start);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** The controller's socket, where either switch may connect to. */
  get socket(): string {
    return join(this.directory, `${BRIDGE}.controller`);
  }

  /** Resolves when the gateway gets its flows the next time. */
  nextRepair(): Promise<void> {
    this.#repaired = Promise.withResolvers();
    return this.#repaired.promise;
  }

  async close(): Promise<void> {
    await this.#switch?.close();
    await this.controller?.close();
    await Promise.all(Object.values(this.places).map((place) => place.close()));
    await rm(this.directory, { recursive: true, force: true });
  }

  async #build(start: StartSwitch): Promise<void> {
    const quiet = {
      'net.ipv4.ip_forward': 0,
      // Errors are asked for faster than a kernel likes to send them.
      'net.ipv4.icmp_ratelimit': 0,
      'net.ipv6.icmp.ratelimit': 0,
      'net.ipv6.conf.all.accept_dad': 0,
      'net.ipv6.conf.default.accept_dad': 0,
      'net.ipv6.conf.default.dad_transmits': 0,
    };
    const { network, guest, hosts } = this.places;
    await Promise.all(Object.values(this.places).map((place) => place.sysctl(quiet)));
    await network.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
    this.controller = makeController(() => this.#repaired.resolve());
    await this.controller.listen(parseListen(`unix:${this.socket}`));
    const ready = Promise.race([
      this.nextRepair(),
      new Promise<never>((_, reject) => {
        setTimeout(() => reject(new Error('the gateway got no flows')), READY_MS).unref();
      }),
    ]);
    const started = await start(this);
    this.#switch = started;
    this.ends = started.ends;
    this.ovs = started.ovs;
    const near = (device: string, ...addresses: string[]) =>
      addresses.map(
        (each) => `address add ${each} dev ${device}${each.includes(':') ? ' nodad' : ''}`,
      );
    await Promise.all([
      network.ip(
        `link set ${this.ends.network} address ${NEXT_HOP} up`,
        ...near(this.ends.network, '198.18.10.1/24', '203.0.113.1/24'),
        ...near(this.ends.network, '2001:db8:a:1::1/64', '2001:db8:c::1/64'),
        'link set lo up',
        ...near('lo', ...NETWORK_ADDRESSES),
      ),
      guest.ip(`link set ${this.ends.guest} address ${GUEST_MAC} up`),
      hosts.ip(
        `link set ${this.ends.hosts} up`,
        ...near(this.ends.hosts, '203.0.113.10/24', '2001:db8:c::10/64'),
        'route add default via 203.0.113.1',
        'route add default via 2001:db8:c::1',
      ),
    ]);
    await ready;
  }
}

function makeController(repaired: () => void): Controller {
  const gateway = (id: string, last: string, letter: string) => ({
    ...{ id, datapathId: last },
    uplink: { port: 1, mac: '02:00:00:00:00:aa', nextHop: NEXT_HOP },
    ...{ pool4: `198.18.${letter === 'a' ? 10 : 20}.0/24`, pool6: `2001:db8:${letter}:1::/64` },
  });
  const network = networkSchema.parse({
    homePrefixes: HOME,
    gateways: [
      { ...gateway('here', DATAPATH, 'a'), hosts: { port: 2 } },
      gateway('there', '00000000000000b1', 'b'),
    ],
  });
  const places = (number: number) => ({
    here: { port: 10 + number, moa4: `198.18.10.${number}`, moa6: `2001:db8:a:1::${number}` },
    there: { port: 10 + number, moa4: `198.18.20.${number}`, moa6: `2001:db8:b:1::${number}` },
  });
  const mappings = [
    {
      ...{ guest: 'near', number: 2, mac: GUEST_MAC, place: 'here', places: places(2) },
      ...{ hoa4: ADDRESS.guest4, hoa6: ADDRESS.guest6, correspondents: ['here'] },
    },
    {
      ...{ guest: 'away', number: 3, mac: '52:54:00:00:00:03', place: 'there', places: places(3) },
      ...{ hoa4: ADDRESS.away4, hoa6: ADDRESS.away6, correspondents: ['here'] },
    },
  ].map((each) => mappingSchema.parse(each));
  const services = new GatewayPackets({
    homePrefixes: () => HOME,
    mappings: () => controller.mappings(),
    now: () => performance.now(),
  });
  const controller: Controller = new Controller({
    ...{ network, mappings, services },
    onEvent: ({ type }) => {
      if (type === 'repaired') repaired();
    },
  });
  return controller;
}

/** Open vSwitch with a datapath in userspace, set up through its database. */
export async function startOpenVSwitchGateway(lab: GatewayLab): Promise<SwitchUnderTest> {
  const place = lab.places.switch;
  const offload = await buildNoOffload(lab.directory);
  for (const { name, end } of CABLES) {
    await place.ip(
      `link add ${name} type veth peer name eth0 netns ${lab.places[end].pid}`,
      `link set ${name} up`,
    );
    await lab.places[end].run([offload, 'eth0']);
  }
  const ovs = await OpenVSwitch.start(place, lab.directory);
  const gateway = new OpenVSwitchGateway({
    database: ovs.database,
    settings: {
      ...{ name: BRIDGE, datapathId: DATAPATH, datapathType: 'netdev', failMode: 'secure' },
      controllers: [`unix:${lab.socket}`],
      ports: CABLES.map(({ number, name }) => ({ number, name })),
    },
  });
  await gateway.start();
  const close = async () => {
    gateway.close();
    await ovs.close();
  };
  return { ends: { network: 'eth0', hosts: 'eth0', guest: 'eth0' }, ovs, close };
}

/** `sojourn switch`, whose TAPs are the other ends of its cables. */
export async function startEmbeddedGateway(lab: GatewayLab): Promise<SwitchUnderTest> {
  const child = await lab.places.switch.spawn(
    [
      ...[process.execPath, MAIN, 'switch', '--datapath-id', `0x${DATAPATH}`],
      ...['--controller', `unix:${lab.socket}`],
      ...CABLES.flatMap(({ number, name }) => ['--port', `${number}=tap:${name}`]),
    ],
    { stdout: 'pipe', stderr: join(lab.directory, 'switch.log') },
  );
  await new Promise<void>((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
      if (text.includes('"ready"')) resolve();
    });
    child.once('exit', () => reject(new Error(`the embedded switch ended: ${text}`)));
  });
  for (const { name, end } of CABLES)
    await lab.places.switch.ip(`link set ${name} netns ${lab.places[end].pid}`);
  const ends = { network: 'uplink0', hosts: 'hosts0', guest: 'guest2' };
  return { ends, close: async () => void child.kill('SIGTERM') };
}
