/** An Open vSwitch of its own in a namespace: database, daemon, sockets and logs in one directory; datapaths in userspace. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const START_MS = 15_000;
const LOOK_AGAIN_MS = 20;

export class OpenVSwitch {
  readonly database: string;
  readonly #namespace: Namespace;
  readonly #directory: string;
  readonly #env: Record<string, string>;
  #server: ChildProcess | undefined;
  #daemon: ChildProcess | undefined;

  private constructor(namespace: Namespace, directory: string) {
    this.#namespace = namespace;
    this.#directory = directory;
    this.database = join(directory, 'db.sock');
    this.#env = {
      OVS_RUNDIR: directory,
      OVS_LOGDIR: directory,
      OVS_DBDIR: directory,
      OVS_SYSCONFDIR: directory,
    };
  }

  /** `directory` is made; it has to be short enough for socket paths. */
  static async start(namespace: Namespace, directory: string): Promise<OpenVSwitch> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const made = new OpenVSwitch(namespace, directory);
    await made.#run('ovsdb-tool', 'create', join(directory, 'conf.db'), SCHEMA);
    await made.startDatabase();
    await made.#run('ovs-vsctl', `--db=unix:${made.database}`, '--no-wait', 'init');
    await made.startDaemon();
    return made;
  }

  async startDatabase(): Promise<void> {
    const database = join(this.#directory, 'conf.db');
    this.#server = await this.#spawn('ovsdb-server', database, `--remote=punix:${this.database}`);
    await until(() => existsSync(this.database), 'ovsdb-server');
  }

  async startDaemon(): Promise<void> {
    this.#daemon = await this.#spawn('ovs-vswitchd', `unix:${this.database}`);
    await until(() => existsSync(join(this.#directory, 'ovs-vswitchd.ctl')), 'ovs-vswitchd');
  }

  /** As a crash would. */
  async killDaemon(): Promise<void> {
    await kill(this.#daemon);
  }

  async killDatabase(): Promise<void> {
    await kill(this.#server);
  }

  ofctl(...args: string[]): Promise<string> {
    return this.#run('ovs-ofctl', '-O', 'OpenFlow13', ...args);
  }

  vsctl(...args: string[]): Promise<string> {
    return this.#run('ovs-vsctl', `--db=unix:${this.database}`, '--timeout=10', ...args);
  }

  async close(): Promise<void> {
    await kill(this.#daemon);
    await kill(this.#server);
  }

  #spawn(program: string, ...args: string[]): Promise<ChildProcess> {
    const control = join(this.#directory, `${program}.ctl`);
    const argv = [program, ...args, `--unixctl=${control}`, '--log-file'];
    return this.#namespace.spawn(argv, { env: this.#env });
  }

  #run(...argv: string[]): Promise<string> {
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    return this.#namespace.run(['env', ...env, ...argv]);
  }
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`${what} did not start`);
    await sleep(LOOK_AGAIN_MS);
  }
}
