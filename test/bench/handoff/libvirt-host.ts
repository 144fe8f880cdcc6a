/**
 * A libvirtd of its own in a network of the lab. Its paths are fixed, so it gets a mount namespace in which they are
 * empty file systems in memory, and, as libvirt refuses to migrate within one host, a host name and UUID of its own.
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from '../../lab/index.ts';

const START_MS = 30_000;
const LOOK_MS = 100;
const COMMAND_MS = 60_000;
const HIDDEN = ['/run', '/var/lib', '/var/cache', '/var/log', '/etc/libvirt'];

/** libvirt must find it, although QEMU_CONF names another: only the package with its services would make it. */
const USER = 'libvirt-qemu';

/**
 * Arguments: configuration, folder to show, where to show it, host name. libvirt resolves its host name while the guest
 * stands still; without an entry in /etc/hosts the blackout would be that of the resolver.
 */
const START = `set -e
PATH=$PATH:/usr/sbin:/sbin
for folder in ${HIDDEN.join(' ')}; do mount -t tmpfs tmpfs "$folder"; done
cp "$1/qemu.conf" /etc/libvirt/
cp /etc/passwd /etc/group /etc/hosts /run/
echo ${USER}:x:64055:64055::/:/bin/false >>/run/passwd
echo ${USER}:x:64055: >>/run/group
echo 127.0.0.1 "$4" >>/run/hosts
for file in passwd group hosts; do mount --bind "/run/$file" "/etc/$file"; done
mount --bind "$2" "$3"
hostname "$4"
exec libvirtd --listen --config "$1/libvirtd.conf"`;

/** As root without what a distribution's packages would set up, and without what a lab cannot have. */
const QEMU_CONF = `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
`;

export interface LibvirtHostOptions {
  readonly namespace: Namespace;
  readonly name: string;
  /** For configuration and log. */
  readonly directory: string;
  /** The folder of this host's guest, and the path under which QEMU and libvirt see it: the same at every host. */
  readonly guestDirectory: string;
  readonly seenAt: string;
}

export class LibvirtHost {
  readonly #options: LibvirtHostOptions;
  readonly #daemon: ChildProcess;

  private constructor(options: LibvirtHostOptions, daemon: ChildProcess) {
    this.#options = options;
    this.#daemon = daemon;
  }

  /** Resolves when it answers; the first answer takes seconds, as it asks QEMU what it can do. */
  static async start(options: LibvirtHostOptions): Promise<LibvirtHost> {
    const { namespace, name, directory, guestDirectory, seenAt } = options;
    for (const folder of [directory, guestDirectory, seenAt])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    const log = join(directory, 'libvirtd.log');
    writeFileSync(join(directory, 'qemu.conf'), QEMU_CONF);
    writeFileSync(
      join(directory, 'libvirtd.conf'),
      `listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nauth_unix_rw = "none"\n` +
        `host_uuid = "${randomUUID()}"\nlog_outputs = "2:file:${log}"\n`,
    );
    const daemon = await namespace.spawn(
      [
        ...['unshare', '--mount', '--uts', '--propagation', 'private', '--'],
        ...['sh', '-c', START, 'sh', directory, guestDirectory, seenAt, name],
      ],
      { stdout: log, stderr: log },
    );
    const host = new LibvirtHost(options, daemon);
    const deadline = performance.now() + START_MS;
    while (!(await host.#answers())) {
      if (daemon.exitCode !== null || performance.now() > deadline)
        throw new Error(`libvirtd of ${name} did not start: ${lastLine(log)}`);
      await sleep(LOOK_MS);
    }
    return host;
  }

  /** Runs virsh; returns its output. Throws with its complaint. */
  virsh(args: readonly string[], timeoutMs = COMMAND_MS): Promise<string> {
    return this.#options.namespace.run(
      [
        ...['nsenter', `--target=${this.#daemon.pid}`, '--mount', '--uts', '--'],
        ...['virsh', '-c', 'qemu:///system', '-q', ...args],
      ],
      { timeoutMs },
    );
  }

  async #answers(): Promise<boolean> {
    try {
      await this.virsh(['version']);
      return true;
    } catch {
      // Not there yet; the deadline of the caller decides when that is an error.
      return false;
    }
  }
}

function lastLine(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? '';
}
