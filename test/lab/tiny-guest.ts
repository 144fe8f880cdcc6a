/**
 * A guest for tests that boots in two seconds under TCG: Debian's cloud kernel and busybox with a shell on the serial
 * console. It has its disks, network and balloon, and obeys the power button. Cached in `.cache/tiny-guest`.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import type { GuestSpec } from '../../src/guest/spec.ts';
import { type CpioEntry, cpio } from './cpio.ts';

const CACHE = fileURLToPath(new URL('../../.cache/tiny-guest/', import.meta.url));
/** Change it with the recipe: other versions of the cache are left alone. */
const RECIPE_VERSION = 1;

/** In the order of insmod. */
const MODULES = [
  'virtio/virtio_ring.ko',
  'virtio/virtio.ko',
  'virtio/virtio_pci_legacy_dev.ko',
  'virtio/virtio_pci_modern_dev.ko',
  'virtio/virtio_pci.ko',
  'block/virtio_blk.ko',
  'core/failover.ko',
  'drivers/net/net_failover.ko',
  'net/virtio_net.ko',
  'virtio/virtio_balloon.ko',
  'char/virtio_console.ko',
  'hw_random/virtio-rng.ko',
  'input/evdev.ko',
  'acpi/button.ko',
];

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
ip link set lo up
mkdir -p /etc/acpi/PWRF /tmp /mnt
printf '#!/bin/sh\\npoweroff -f\\n' > /etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
acpid -l /dev/null
stty -F /dev/ttyS0 -echo -icrnl -onlcr
echo TINY-GUEST-READY > /dev/ttyS0
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
while :; do IFS= read -r line && eval "$line"; done
`;

export interface TinyGuest {
  readonly kernel: string;
  readonly initrd: string;
}

/** Paths of kernel and initial RAM disk; built from Debian's packages on first use. */
export async function tinyGuest(): Promise<TinyGuest> {
  const name = createHash('sha256')
    .update(`${RECIPE_VERSION}${INIT}${MODULES.join()}`)
    .digest('hex');
  const directory = join(CACHE, name.slice(0, 16));
  const files = { kernel: join(directory, 'vmlinuz'), initrd: join(directory, 'initrd') };
  if (await exists(files.initrd)) return files;
  await mkdir(CACHE, { recursive: true });
  const building = await mkdtemp(join(CACHE, 'building-'));
  try {
    const root = await unpackKernel(building);
    const kernel = (await readdir(join(root, 'boot'))).find((file) => file.startsWith('vmlinuz-'));
    const made = join(building, 'made');
    await mkdir(made);
    await rename(join(root, 'boot', kernel ?? 'vmlinuz'), join(made, 'vmlinuz'));
    await writeFile(join(made, 'initrd'), gzipSync(cpio(await rootFiles(root))));
    // Another test may have been faster; its result is the same.
    await rename(made, directory).catch(async (error: unknown) => {
      if (!(await exists(files.initrd))) throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return files;
}

/** A valid spec of a tiny guest with one blank disk of `diskBytes`. */
export function tinySpec(change: Partial<GuestSpec> & { diskBytes?: number } = {}): GuestSpec {
  const { diskBytes = 64 * 1024 ** 2, ...rest } = change;
  const blob = { digest: '0'.repeat(64), bytes: 1 };
  return {
    id: randomUUID(),
    name: 'tiny',
    abi: {
      version: 1,
      architecture: 'x86_64',
      machine: 'pc-q35-10.0',
      accelerator: 'tcg',
      cpu: 'Nehalem',
      vcpus: 1,
      memoryMiB: 128,
      boot: {
        kind: 'kernel',
        kernel: blob,
        initrd: blob,
        commandLine: 'console=ttyS0 quiet panic=-1 rdinit=/init',
      },
      disks: [{ name: 'disk0', base: blob, baseFormat: 'raw', virtualBytes: diskBytes }],
      mac: `52:54:00:${randomBytes(3).toString('hex').match(/../g)?.join(':')}`,
    },
    network: {
      hoa4: '192.0.2.10',
      hoa4PrefixLength: 24,
      gateway4: '192.0.2.1',
      hoa6Prefix: '2001:db8:77:a::/64',
      dns: [],
    },
    home: '0'.repeat(64),
    overlayLimitBytes: 32 * 1024 ** 2,
    overlayStorage: 'memory',
    createdAt: '2026-01-01T00:00:00Z',
    ...rest,
  };
}

/** A blank sparse raw image, the base of a tiny guest's disk. */
export async function blankBase(path: string, bytes = 64 * 1024 ** 2): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '');
  await truncate(path, bytes);
  return path;
}

/** The shell on the serial console. */
export class TinyConsole {
  readonly #socket: Socket;
  #text = '';
  #changed: () => void = () => undefined;
  #commands = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#changed();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#changed());
  }

  static async connect(path: string): Promise<TinyConsole> {
    const socket = createConnection({ path });
    await once(socket, 'connect');
    return new TinyConsole(socket);
  }

  /** Waits until the guest has printed `text`, from where the last wait ended; returns what stood before it. */
  async waitFor(text: string): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf(text);
      if (at !== -1) {
        const before = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + text.length);
        return before;
      }
      if (this.#socket.destroyed) throw new Error(`the console ended before it said ${text}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  ready(): Promise<string> {
    return this.waitFor('TINY-GUEST-READY');
  }

  /** Runs a line of shell in the guest, which has no input, and returns its output. Throws when it fails. */
  async run(command: string): Promise<string> {
    this.#commands += 1;
    const mark = `<<${this.#commands}:`;
    this.send(`{ ${command}; }; echo "<<${this.#commands}:$?>>"`);
    const output = await this.waitFor(mark);
    const status = await this.waitFor('>>');
    if (status !== '0') throw new Error(`in the guest, ${command} ended with ${status}: ${output}`);
    return output.trim();
  }

  send(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function unpackKernel(directory: string): Promise<string> {
  const { stdout } = await execa('apt-cache', ['depends', 'linux-image-cloud-amd64']);
  const name = /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
  if (name === undefined) throw new Error('apt knows no kernel package: run apt-get update');
  await execa('apt-get', ['download', name], { cwd: directory });
  const file = (await readdir(directory)).find((entry) => entry.endsWith('.deb')) ?? '';
  const root = join(directory, 'root');
  await execa('dpkg-deb', ['-x', join(directory, file), root]);
  return root;
}

async function rootFiles(root: string): Promise<CpioEntry[]> {
  const all = await readdir(join(root, 'lib/modules'), { recursive: true });
  const modules = await Promise.all(
    MODULES.map(async (suffix, index) => {
      const path = all.find((file) => file.endsWith(`/${suffix}`));
      if (path === undefined) return [];
      const number = String(index).padStart(2, '0');
      const content = await readFile(join(root, 'lib/modules', path));
      return [{ path: `modules/${number}-${suffix.split('/').at(-1)}`, mode: 0o100644, content }];
    }),
  );
  const directories = ['bin', 'dev', 'etc', 'modules', 'proc', 'sys'];
  return [
    ...directories.map((path) => ({ path, mode: 0o40755 })),
    { path: 'dev/console', mode: 0o20600, device: [5, 1] as const },
    { path: 'bin/busybox', mode: 0o100755, content: await readFile('/bin/busybox') },
    { path: 'init', mode: 0o100755, content: Buffer.from(INIT) },
    ...modules.flat(),
  ];
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
