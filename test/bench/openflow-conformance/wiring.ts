/**
 * The network of os-ken's switch tester, in a namespace of its own:
 *
 *   os-ken ------------+                        the tester is always an Open vSwitch with a userspace datapath;
 *     |                |                        the switch under test is one as well, joined by veths,
 *   target --1,2,3-- tester                     or the embedded switch, joined by the TAPs of its ports
 */

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Namespace } from '../../lab/namespace.ts';

export type Target = 'embedded' | 'openvswitch';

const MAIN = join(import.meta.dirname, '../../../src/cli/main.ts');
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
export const CONTROLLER_PORT = 6653;
const PORTS = [1, 2, 3];
/** Room for every header that an action pushes. */
const MTU = 2000;
const READY_TIMEOUT_MS = 20_000;

export class Wiring {
  readonly place: Namespace;
  readonly directory: string;
  readonly #env: Record<string, string>;

  private constructor(place: Namespace, directory: string) {
    this.place = place;
    this.directory = directory;
    this.#env = {
      OVS_RUNDIR: directory,
      OVS_LOGDIR: directory,
      OVS_DBDIR: directory,
      OVS_SYSCONFDIR: directory,
    };
  }

  static async create(target: Target): Promise<Wiring> {
    const directory = await mkdtemp(join(tmpdir(), 'ofc-'));
    const wiring = new Wiring(await Namespace.create(`conformance-${target}`, {}), directory);
    try {
      await wiring.#build(target);
    } catch (error) {
      await wiring.close();
      throw error;
    }
    return wiring;
  }

  async close(): Promise<void> {
    await this.place.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #build(target: Target): Promise<void> {
    // The kernel's own packets would be taken for those of the switch.
    await this.place.sysctl({
      'net.ipv6.conf.all.disable_ipv6': 1,
      'net.ipv6.conf.default.disable_ipv6': 1,
    });
    await this.place.ip('link set dev lo up');
    await this.#openVswitch();
    if (target === 'openvswitch') {
      for (const n of PORTS)
        await this.place.ip(
          `link add target${n} mtu ${MTU} type veth peer name tester${n} mtu ${MTU}`,
          `link set dev target${n} up`,
          `link set dev tester${n} up`,
        );
      await this.#bridge('target', 1);
    } else {
      await this.#embedded();
      for (const n of PORTS) await this.place.ip(`link set dev tester${n} mtu ${MTU}`);
    }
    await this.#bridge('tester', 2);
  }

  async #openVswitch(): Promise<void> {
    const database = join(this.directory, 'conf.db');
    const socket = join(this.directory, 'db.sock');
    await this.#run('ovsdb-tool', 'create', database, SCHEMA);
    await this.#start('ovsdb-server', database, `--remote=punix:${socket}`);
    await until(() => existsSync(socket), 'ovsdb-server');
    await this.#vsctl('--no-wait', 'init');
    await this.#start('ovs-vswitchd', `unix:${socket}`);
  }

  async #bridge(name: string, id: number): Promise<void> {
    const ports = PORTS.flatMap((n) => [
      ...['--', 'add-port', name, `${name}${n}`],
      ...['--', 'set', 'interface', `${name}${n}`, `ofport_request=${n}`],
    ]);
    await this.#vsctl(
      ...['add-br', name, '--', 'set', 'bridge', name, 'datapath_type=netdev'],
      ...['protocols=OpenFlow13', 'fail_mode=secure'],
      `other-config:datapath-id=${id.toString(16).padStart(16, '0')}`,
      ...ports,
      ...['--', 'set-controller', name, `tcp:127.0.0.1:${CONTROLLER_PORT}`],
    );
  }

  async #embedded(): Promise<void> {
    const log = join(this.directory, 'switch.log');
    const child = await this.place.spawn(
      [
        ...[process.execPath, MAIN, 'switch', '--datapath-id', '1'],
        ...['--controller', `tcp:127.0.0.1:${CONTROLLER_PORT}`],
        ...PORTS.flatMap((n) => ['--port', `${n}=tap:tester${n}`]),
      ],
      { stdout: 'pipe', stderr: log },
    );
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    await until(() => {
      if (child.exitCode !== null) throw new Error(`the embedded switch ended: ${text}`);
      return text.includes('"ready"');
    }, 'the embedded switch');
  }

  async #start(program: string, ...args: string[]): Promise<void> {
    const control = join(this.directory, `${program}.ctl`);
    await this.place.spawn([program, ...args, '--unixctl', control, '--log-file'], {
      env: this.#env,
    });
  }

  #vsctl(...args: string[]): Promise<string> {
    const database = `--db=unix:${join(this.directory, 'db.sock')}`;
    return this.#run('ovs-vsctl', database, '--timeout=20', ...args);
  }

  #run(...argv: string[]): Promise<string> {
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    return this.place.run(['env', ...env, ...argv]);
  }
}

async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`${what} did not start`);
    await sleep(50);
  }
}
