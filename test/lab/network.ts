/**
 * The networks of the lab. A laptop at home, a cloud site and somebody who talks to the guest, each on an
 * IP network of its own:
 *
 *   device 192.168.50.2          home (NAT, nothing in)       internet            correspondent
 *   fd50:0:0:50::2  wlan0 ~~~~~ lan 192.168.50.1 | wan ------ home  peer -------- eth0 203.0.113.10
 *                   emulated       fd50:0:0:50::1  198.18.7.2    site             2001:db8:c::10
 *                   access link                    2001:db8:a::2   \
 *                                                                   site eth0 198.51.100.10
 *                                                                        2001:db8:5::10
 *
 * The internet routes the guests' home addresses, 192.0.2.0/24 and 2001:db8:7700::/48, to the site. The
 * access link is two TAPs joined by the link emulator through adapter processes (QEMU without a machine).
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type DirectionParameters,
  EmulatorClient,
  type EmulatorOptions,
  idealDirection,
} from './emulator/index.ts';
import { RUN_VARIABLE } from './leftovers.ts';
import type { Namespace } from './namespace.ts';
import { LabRun } from './run.ts';
import { startTapAdapter } from './tap-adapter.ts';

export const ADDRESSES = {
  device4: '192.168.50.2',
  device6: 'fd50:0:0:50::2',
  home4: '198.18.7.2',
  home6: '2001:db8:a::2',
  site4: '198.51.100.10',
  site6: '2001:db8:5::10',
  correspondent4: '203.0.113.10',
  correspondent6: '2001:db8:c::10',
  hoaPrefix4: '192.0.2.0/24',
  hoaPrefix6: '2001:db8:7700::/48',
} as const;

/** Long enough to lose nothing while an adapter does not get to run: the link's queue is the emulator's. */
const TAP_QUEUE_PACKETS = 10_000;

export interface LabOptions {
  /** The access link; default: ideal. */
  readonly up?: Partial<DirectionParameters>;
  readonly down?: Partial<DirectionParameters>;
  readonly seed?: number;
}

const NAMES = ['device', 'home', 'internet', 'site', 'correspondent'] as const;
type NamespaceName = (typeof NAMES)[number];

export class Lab {
  readonly run: string;
  /** For sockets, state and logs of this run; removed at the end. */
  readonly directory: string;
  /** The run's XDG_RUNTIME_DIR, a folder on a tmpfs; removed at the end. */
  readonly memory: string;
  readonly #run: LabRun<NamespaceName>;
  #emulator: ChildProcess | undefined;
  #link: EmulatorClient | undefined;
  #closing: Promise<void> | undefined;
  #linkAdapter: number | undefined;

  private constructor(run: LabRun<NamespaceName>) {
    this.run = run.name;
    this.directory = run.directory;
    this.memory = run.memory;
    this.#run = run;
  }

  /**
   * Makes the networks. Call `enterLab` first in a program that may run without root. What dead runs
   * left behind is removed on the way. Errors: whatever `ip`, `nft` or QEMU complained about.
   */
  static async create(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(await LabRun.start(NAMES));
    try {
      await lab.#build(options);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get device(): Namespace {
    return this.#run.namespaces.device;
  }

  get home(): Namespace {
    return this.#run.namespaces.home;
  }

  get internet(): Namespace {
    return this.#run.namespaces.internet;
  }

  get site(): Namespace {
    return this.#run.namespaces.site;
  }

  get correspondent(): Namespace {
    return this.#run.namespaces.correspondent;
  }

  /** The device's access link: end `a` is the device, so `a-to-b` is its upload. */
  get link(): EmulatorClient {
    if (this.#link === undefined) throw new Error('the lab is not built');
    return this.#link;
  }

  /** The process in the device's namespace that is part of the emulated link, not of the device. */
  get linkAdapter(): number | undefined {
    return this.#linkAdapter;
  }

  /** Ends everything that runs in the lab and removes it; safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#link?.close();
    await this.#run.close(this.#emulator === undefined ? [] : [this.#emulator]);
  }

  async #build(options: LabOptions): Promise<void> {
    await Promise.all([this.#connectNetworks(), this.#startEmulator(options)]);
    await this.#connectAccessLink();
    await this.#translateAddresses();
  }

  async #connectNetworks(): Promise<void> {
    const { device, home, internet, site, correspondent } = this;
    const quiet = {
      // Addresses are unique by construction: a second of duplicate address detection each is lost time.
      'net.ipv6.conf.all.accept_dad': 0,
      'net.ipv6.conf.default.accept_dad': 0,
      'net.ipv6.conf.default.dad_transmits': 0,
      'net.ipv6.conf.default.accept_ra': 0,
    };
    const routing = { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 };
    await Promise.all([
      ...[device, correspondent].map((namespace) => namespace.sysctl(quiet)),
      ...[home, internet, site].map((namespace) => namespace.sysctl({ ...quiet, ...routing })),
    ]);
    const cable = (name: string, peer: string, pid: number) =>
      `link add ${name} type veth peer name ${peer} netns ${pid}`;
    await internet.ip(
      cable('home', 'wan', home.pid),
      cable('site', 'eth0', site.pid),
      cable('peer', 'eth0', correspondent.pid),
      ...addressed('home', '198.18.7.1/24', '2001:db8:a::1/64'),
      ...addressed('site', '198.51.100.1/24', '2001:db8:5::1/64'),
      ...addressed('peer', '203.0.113.1/24', '2001:db8:c::1/64'),
      'link set lo up',
      `route add ${ADDRESSES.hoaPrefix4} via ${ADDRESSES.site4}`,
      `route add ${ADDRESSES.hoaPrefix6} via ${ADDRESSES.site6}`,
    );
    await Promise.all([
      device.ip(
        'tuntap add dev wlan0 mode tap',
        `link set wlan0 txqueuelen ${TAP_QUEUE_PACKETS}`,
        ...addressed('wlan0', `${ADDRESSES.device4}/24`, `${ADDRESSES.device6}/64`),
        ...defaultRoutes('192.168.50.1', 'fd50:0:0:50::1'),
      ),
      home.ip(
        'tuntap add dev lan mode tap',
        `link set lan txqueuelen ${TAP_QUEUE_PACKETS}`,
        ...addressed('lan', '192.168.50.1/24', 'fd50:0:0:50::1/64'),
        ...addressed('wan', `${ADDRESSES.home4}/24`, `${ADDRESSES.home6}/64`),
        ...defaultRoutes('198.18.7.1', '2001:db8:a::1'),
      ),
      site.ip(
        ...addressed('eth0', `${ADDRESSES.site4}/24`, `${ADDRESSES.site6}/64`),
        ...defaultRoutes('198.51.100.1', '2001:db8:5::1'),
      ),
      correspondent.ip(
        ...addressed('eth0', `${ADDRESSES.correspondent4}/24`, `${ADDRESSES.correspondent6}/64`),
        ...defaultRoutes('203.0.113.1', '2001:db8:c::1'),
      ),
    ]);
  }

  async #startEmulator({ up, down, seed = 1 }: LabOptions): Promise<void> {
    const options: EmulatorOptions = {
      a: join(this.directory, 'link-a.sock'),
      b: join(this.directory, 'link-b.sock'),
      control: join(this.directory, 'link.sock'),
      seed,
      aToB: { ...idealDirection, ...up },
      bToA: { ...idealDirection, ...down },
    };
    const main = fileURLToPath(new URL('./emulator/main.ts', import.meta.url));
    const emulator = spawn(process.execPath, [main, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, [RUN_VARIABLE]: this.run },
      detached: true,
    });
    this.#emulator = emulator;
    const died = once(emulator, 'exit').then(() => {
      throw new Error('the link emulator did not start');
    });
    await Promise.race([once(emulator.stdout, 'data'), died]);
    died.catch(() => {});
    this.#link = await EmulatorClient.connect(options.control);
  }

  async #connectAccessLink(): Promise<void> {
    const cable = (socket: string) =>
      `stream,server=off,addr.type=unix,addr.path=${join(this.directory, socket)}`;
    const [atDevice] = await Promise.all([
      startTapAdapter(this.device, 'wlan0', cable('link-a.sock')),
      startTapAdapter(this.home, 'lan', cable('link-b.sock')),
    ]);
    this.#linkAdapter = atDevice.pid;
  }

  async #translateAddresses(): Promise<void> {
    const rules = `
      table inet home {
        chain forward {
          type filter hook forward priority filter; policy drop;
          iifname "lan" accept
          ct state established,related accept
        }
        chain out {
          type nat hook postrouting priority srcnat;
          oifname "wan" masquerade
        }
      }`;
    await this.home.run(['nft', '-f', '-'], { input: rules });
    await this.home.ip('link set lo up');
  }
}

function addressed(device: string, address4: string, address6: string): string[] {
  return [
    `address add ${address4} dev ${device}`,
    `address add ${address6} dev ${device} nodad`,
    `link set ${device} up`,
  ];
}

function defaultRoutes(gateway4: string, gateway6: string): string[] {
  return [
    'link set lo up',
    `route add default via ${gateway4}`,
    `route add default via ${gateway6}`,
  ];
}
