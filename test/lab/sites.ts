/**
 * Three routed networks with a gateway each, for translation (the research's figure 1):
 *
 *   site a    198.18.10.0/24 ----+                       +---- 198.18.20.0/24    site b
 *             2001:db8:a:1::/64  |                       |     2001:db8:b:1::/64
 *     guest0 -[ Open vSwitch ]- to-a ------ internet ------ to-b -[ Open vSwitch ]- guest0
 *     host0 ---------------- hosts-a           |         hosts-b ----------------- host0
 *     198.51.100.10                          to-c                         198.51.101.10
 *                                              |  203.0.113.0/24, 2001:db8:c::/64
 *                            [ Open vSwitch, a bump in the wire ] site c
 *                                              |
 *                                           eth0  correspondent 203.0.113.10, 2001:db8:c::10
 *
 * Mobile addresses are on the link between a guests' site and its router, which knows nothing of home addresses: they have no route
 * anywhere. Hosts have networks of their own, for control and migration, as they have in a data centre.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Namespace } from './namespace.ts';
import { OpenVSwitch } from './openvswitch.ts';
import { LabRun } from './run.ts';

export const SITES = ['site-a', 'site-b', 'site-c'] as const;
export type SiteName = (typeof SITES)[number];
/** Places where guests run. */
export const GUEST_SITES = ['site-a', 'site-b'] as const;
export type GuestSite = (typeof GUEST_SITES)[number];

const NAMES = [...SITES, 'internet', 'correspondent', 'lan', 'neighbour'] as const;
type NamespaceName = (typeof NAMES)[number];

export interface SiteFacts {
  readonly datapathId: string;
  /**
   * Link-layer addresses of the gateway and of the router behind its uplink. The first is not that of the network card, so that
   * the host takes nothing for itself that belongs to the gateway.
   */
  readonly mac: string;
  readonly nextHop: string;
  readonly router4: string;
  readonly router6: string;
}

export interface GuestSiteFacts extends SiteFacts {
  readonly pool4: string;
  readonly pool6: string;
  /** Of the host. */
  readonly host4: string;
  readonly hostRouter4: string;
}

export const SITE_FACTS: Readonly<
  Record<GuestSite, GuestSiteFacts> & { readonly 'site-c': SiteFacts }
> = {
  'site-a': {
    datapathId: '00000000000000a1',
    mac: '02:00:5e:00:0a:02',
    nextHop: '02:00:5e:00:0a:01',
    router4: '198.18.10.1/24',
    router6: '2001:db8:a:1::1/64',
    pool4: '198.18.10.0/24',
    pool6: '2001:db8:a:1::/64',
    host4: '198.51.100.10',
    hostRouter4: '198.51.100.1',
  },
  'site-b': {
    datapathId: '00000000000000b1',
    mac: '02:00:5e:00:0b:02',
    nextHop: '02:00:5e:00:0b:01',
    router4: '198.18.20.1/24',
    router6: '2001:db8:b:1::1/64',
    pool4: '198.18.20.0/24',
    pool6: '2001:db8:b:1::/64',
    host4: '198.51.101.10',
    hostRouter4: '198.51.101.1',
  },
  'site-c': {
    datapathId: '00000000000000c1',
    mac: '02:00:5e:00:0c:02',
    nextHop: '02:00:5e:00:0c:01',
    router4: '203.0.113.1/24',
    router6: '2001:db8:c::1/64',
  },
};

export const CORRESPONDENT = { address4: '203.0.113.10', address6: '2001:db8:c::10' } as const;
/** Of every gateway's uplink, and of the correspondent's cable at its own. */
export const UPLINK = 'uplink0';
export const HOSTS = 'hosts0';

/** The interface of the internet toward a site. */
export function towardSite(site: SiteName): string {
  return `to-${site.slice(-1)}`;
}

export class SitesLab {
  readonly directory: string;
  readonly memory: string;
  readonly switches = new Map<SiteName, OpenVSwitch>();
  readonly #run: LabRun<NamespaceName>;
  #closing: Promise<void> | undefined;

  private constructor(run: LabRun<NamespaceName>) {
    this.#run = run;
    this.directory = run.directory;
    this.memory = run.memory;
  }

  /** Networks, and an Open vSwitch at each site that has no bridge yet. Call `enterLab` first. */
  static async create(): Promise<SitesLab> {
    const lab = new SitesLab(await LabRun.start(NAMES));
    try {
      await lab.#build();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  namespace(name: NamespaceName): Namespace {
    return this.#run.namespaces[name];
  }

  get correspondent(): Namespace {
    return this.namespace('correspondent');
  }

  openVSwitch(site: SiteName): OpenVSwitch {
    const found = this.switches.get(site);
    if (found === undefined) throw new Error(`${site} has no Open vSwitch`);
    return found;
  }

  close(): Promise<void> {
    this.#closing ??= this.#run.close();
    return this.#closing;
  }

  async #build(): Promise<void> {
    await Promise.all(
      NAMES.map((name) =>
        this.namespace(name).sysctl({
          'net.ipv6.conf.all.accept_dad': 0,
          'net.ipv6.conf.default.accept_dad': 0,
          'net.ipv6.conf.default.dad_transmits': 0,
          'net.ipv6.conf.default.accept_ra': 0,
          'net.ipv4.ip_forward': name === 'internet' ? 1 : 0,
          'net.ipv6.conf.all.forwarding': name === 'internet' ? 1 : 0,
        }),
      ),
    );
    const internet = this.namespace('internet');
    const offload = await buildNoOffload(this.directory);
    for (const site of SITES) {
      const { nextHop, router4, router6 } = SITE_FACTS[site];
      const [inside, { pid }] = [towardSite(site), this.namespace(site)];
      await internet.ip(
        `link add ${inside} address ${nextHop} type veth peer name ${UPLINK} netns ${pid}`,
        `address add ${router4} dev ${inside}`,
        `address add ${router6} dev ${inside} nodad`,
        `link set ${inside} up`,
      );
      // What the router itself sends is not finished by a switch in userspace either.
      await internet.run([offload, inside]);
      await this.namespace(site).ip(`link set ${UPLINK} up`, 'link set lo up');
    }
    await internet.ip('link set lo up');
    await Promise.all([
      ...GUEST_SITES.map((site) => this.#connectHost(site)),
      this.#connectCorrespondent(offload),
    ]);
    await Promise.all(
      SITES.map(async (site) => {
        const directory = join(this.directory, site);
        this.switches.set(site, await OpenVSwitch.start(this.namespace(site), directory));
      }),
    );
  }

  async #connectHost(site: GuestSite): Promise<void> {
    const { host4, hostRouter4 } = SITE_FACTS[site];
    const inside = `hosts-${site.slice(-1)}`;
    const { pid } = this.namespace(site);
    await this.namespace('internet').ip(
      `link add ${inside} type veth peer name host0 netns ${pid}`,
      `address add ${hostRouter4}/24 dev ${inside}`,
      `link set ${inside} up`,
    );
    await this.namespace(site).ip(
      `address add ${host4}/24 dev host0`,
      'link set host0 up',
      `route add default via ${hostRouter4}`,
    );
  }

  async #connectCorrespondent(offload: string): Promise<void> {
    const { correspondent } = this;
    await this.namespace('site-c').ip(
      `link add ${HOSTS} type veth peer name eth0 netns ${correspondent.pid}`,
      `link set ${HOSTS} up`,
    );
    await correspondent.ip(
      `address add ${CORRESPONDENT.address4}/24 dev eth0`,
      `address add ${CORRESPONDENT.address6}/64 dev eth0 nodad`,
      'link set eth0 up',
      'link set lo up',
      `route add default via ${SITE_FACTS['site-c'].router4.split('/')[0]}`,
      `route add default via ${SITE_FACTS['site-c'].router6.split('/')[0]}`,
    );
    await correspondent.run([offload, 'eth0']);
  }
}

/** Compiles `no-offload.c`. Returns the program, in `directory`. */
export async function buildNoOffload(directory: string): Promise<string> {
  const program = join(directory, 'no-offload');
  const source = fileURLToPath(new URL('no-offload.c', import.meta.url));
  await promisify(execFile)('cc', ['-o', program, source]);
  return program;
}
