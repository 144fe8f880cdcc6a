/**
 * libvirt, as its guide has it for a guest whose disk is on no shared storage (libvirt.org/migration.html): the disk
 * exists at the destination, then `virsh migrate --live --p2p --copy-storage-all`. The network is the same as for plain
 * QEMU.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { QmpClient } from '../../../src/guest/index.ts';
import { type Twin, twinOf } from '../../demo/qemu-arguments.ts';
import { ADDRESSES } from '../../lab/index.ts';
import { bridgePlaces } from './bridged-network.ts';
import { domainXml } from './libvirt-domain.ts';
import { LibvirtHost } from './libvirt-host.ts';
import type { Mover, MoverOptions, StartedGuest } from './mover.ts';
import { GUEST } from './reference-guest.ts';

const execute = promisify(execFile);
const LOOK_MS = 100;
type Side = 'device' | 'site';

export class VirshMover implements Mover {
  readonly #options: MoverOptions;
  readonly #twin: Twin;
  /** The guest's folder as QEMU and libvirt see it; each side has one of its own there. */
  readonly #seenAt: string;
  readonly #hosts = new Map<Side, LibvirtHost>();

  /** `argv`: as Sojourn starts the guest. */
  constructor(options: MoverOptions, argv: readonly string[]) {
    this.#options = options;
    this.#seenAt = join(options.lab.memory, 'virsh');
    this.#twin = twinOf(argv, this.#seenAt);
  }

  async start(): Promise<StartedGuest> {
    const { lab, evidence } = this.#options;
    for (const side of ['device', 'site'] as const)
      mkdirSync(this.#folder(side), { recursive: true, mode: 0o700 });
    await Promise.all((['device', 'site'] as const).map((side) => this.#startHost(side)));
    const sockets = [this.#path('device', 'net.sock'), this.#path('site', 'net.sock')] as const;
    const { address } = await bridgePlaces(lab, sockets);
    const [disk] = this.#twin.disks;
    if (disk === undefined) throw new Error('the guest has no disk');
    const { stdout: qemu } = await execute('sh', ['-c', 'command -v qemu-system-x86_64']);
    const xml = domainXml({
      argv: this.#twin.argv,
      overlayPath: disk.overlayPath,
      qemu: qemu.trim(),
    });
    writeFileSync(evidence.path('domain.xml'), xml);
    await this.#host('device').virsh(['create', evidence.path('domain.xml')]);
    await this.#watch('device');
    const running = await this.#host('device').virsh([
      'qemu-monitor-command',
      GUEST,
      '--hmp',
      'info status',
    ]);
    if (!running.includes('running')) throw new Error(`libvirt’s guest does not run: ${running}`);
    return { address, argv: this.#twin.argv };
  }

  async move(): Promise<void> {
    const { signal, limitMs } = this.#options;
    const ended = new AbortController();
    const watching = this.#watch('site', AbortSignal.any([signal, ended.signal]));
    watching.catch(() => {});
    try {
      await this.#host('device').virsh(
        [
          ...['migrate', '--live', '--p2p', '--copy-storage-all', GUEST],
          ...[`qemu+tcp://${ADDRESSES.site4}/system`, `tcp://${ADDRESSES.site4}`],
        ],
        limitMs,
      );
      await watching;
    } finally {
      ended.abort();
    }
  }

  async leftBytes(): Promise<number> {
    const text = await this.#host('device')
      .virsh(['domjobinfo', GUEST, '--rawstats'])
      // There is no job before and after, and no guest after.
      .catch(() => '');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
    // The disk comes first; until then libvirt says nothing of the memory, or 0.
    const begun = field('memory_total') > 0;
    return field('disk_remaining') + (begun ? field('memory_remaining') : this.#twin.memoryBytes);
  }

  async #startHost(side: Side): Promise<void> {
    const { lab, evidence } = this.#options;
    const [disk] = this.#twin.disks;
    if (disk === undefined) throw new Error('the guest has no disk');
    const host = await LibvirtHost.start({
      namespace: lab[side],
      name: side,
      directory: evidence.path(side, 'libvirt'),
      guestDirectory: this.#folder(side),
      seenAt: this.#seenAt,
    });
    this.#hosts.set(side, host);
    const overlay = this.#path(side, 'disk0.qcow2');
    const backing = ['-b', disk.basePath, '-F', 'raw'];
    await execute('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, overlay]);
  }

  /** Logs what the QEMU of a side says, STOP and RESUME among it; resolves when it can be heard. */
  async #watch(side: Side, signal = this.#options.signal): Promise<void> {
    const log = this.#options.evidence.qmpLog(side, 'libvirt');
    for (;;) {
      try {
        await QmpClient.connect(this.#path(side, 'qmp.sock'), { log });
        return;
      } catch {
        // libvirt has not started it yet; the limit of the cell decides when that is an error.
        await sleep(LOOK_MS, undefined, { signal });
      }
    }
  }

  #host(side: Side): LibvirtHost {
    const host = this.#hosts.get(side);
    if (host === undefined) throw new Error(`libvirt does not run at the ${side}`);
    return host;
  }

  #folder(side: Side): string {
    return `${this.#seenAt}-${side}`;
  }

  #path(side: Side, name: string): string {
    return join(this.#folder(side), name);
  }
}
