import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  canPersistMirrored,
  copyOverlay,
  createOverlay,
  GuestProcess,
  guestPaths,
  type OverlayFull,
  onOverlayFull,
  overlayUsage,
  persistLive,
  raiseOverlayLimit,
  removePersistRemains,
} from '../../src/guest/index.ts';
import { TinyConsole, tinySpec } from '../lab/tiny-guest.ts';
import { type TinyMachine, TinyMachines } from '../lab/tiny-machine.ts';

const TIMEOUT = { timeout: 120_000 };
const MIB = 1024 ** 2;

test(
  'the overlay limit pauses the guest; raising it lets it go on with nothing lost',
  TIMEOUT,
  async () => {
    await using machines = await TinyMachines.create();
    const spec = tinySpec({ overlayLimitBytes: 8 * MIB });
    const machine = await machines.start(spec, 'device');
    const console = await machine.booted();
    const full = Promise.withResolvers<OverlayFull>();
    onOverlayFull(machine.qmp, machine.runtime.disks, full.resolve, full.reject);
    // The disk of a guest that stands by has a job on it, and another node on top.
    await mirror(machine, { driver: 'null-co', size: 64 * MIB });
    const stopped = machine.qmp.waitFor('STOP', undefined, { timeoutMs: 60_000 });
    const written = console.run(
      'yes sojourn | dd of=/dev/vda bs=64k count=256 iflag=fullblock conv=fsync 2>/dev/null; sha256sum < /dev/vda',
    );
    written.catch(() => undefined);
    expect(await full.promise).toMatchObject({ disk: 'disk0', hostFull: false });
    await stopped;
    expect(await machine.qmp.execute('query-status')).toMatchObject({ status: 'io-error' });
    expect(await overlayUsage(machine.overlayPath())).toBeLessThanOrEqual(8 * MIB);
    const disk = { name: 'disk0', overlayPath: machine.overlayPath() };
    await expect(raiseOverlayLimit(machine.qmp, disk, 4 * MIB)).rejects.toMatchObject({
      code: 'overlay-limit-small',
    });
    expect(await raiseOverlayLimit(machine.qmp, disk, 48 * MIB)).toBe(48 * MIB);
    const sum = (await written).split(' ')[0];
    expect(sum).toBe(await expectedSum());
    expect(await raiseOverlayLimit(machine.qmp, disk, 1024 * MIB)).toBeLessThan(70 * MIB);
    await machine.process.stop(30_000);
    await execa('qemu-img', ['check', '-q', machine.overlayPath()]);
  },
);

test('a running guest’s changes are kept on disk as of one moment', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const spec = tinySpec();
  const machine = await machines.start(spec, 'device');
  const console = await machine.booted();
  await console.run('yes before | dd of=/dev/vda bs=1M count=4 iflag=fullblock conv=fsync');
  const target = join(machines.directory, 'state', 'disk0.qcow2');
  await persistLive(machine.qmp, [persisted(machine, target)]);
  await console.run('yes after | dd of=/dev/vda bs=1M count=4 iflag=fullblock conv=fsync');
  expect(await firstLine(target)).toBe('before');
  // A second time replaces the first as a whole, and leaves no node or job behind.
  await persistLive(machine.qmp, [persisted(machine, target)]);
  expect(await firstLine(target)).toBe('after');
  expect(await machine.qmp.execute('query-jobs')).toEqual([]);
  expect(await machine.qmp.execute('query-status')).toMatchObject({ status: 'running' });
  await console.run('dd if=/dev/zero of=/dev/vda bs=1M count=1 conv=fsync');
});

test('what a copy cut short has left in QEMU does not stand in the way', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const machine = await machines.start(tinySpec(), 'device');
  const console = await machine.booted();
  await console.run('yes data | dd of=/dev/vda bs=1M count=4 iflag=fullblock conv=fsync');
  const target = join(machines.directory, 'state', 'disk0.qcow2');
  // As an agent that is killed leaves it: attached, with a job that still runs or has ended.
  const leave = async (speed: number, until: string) => {
    const partial = join(machines.directory, 'left.qcow2');
    await execa('qemu-img', ['create', '-q', '-f', 'qcow2', partial, '64M']);
    const file = { driver: 'file', filename: partial };
    await machine.qmp.execute('blockdev-add', {
      driver: 'qcow2',
      'node-name': 'disk0-persist',
      backing: 'disk0-base',
      file,
    });
    const reached = machine.qmp.waitFor(
      'JOB_STATUS_CHANGE',
      ({ data }) => data.id === 'disk0-persist' && data.status === until,
    );
    await machine.qmp.execute('blockdev-backup', {
      'job-id': 'disk0-persist',
      device: 'disk0',
      target: 'disk0-persist',
      sync: 'top',
      'auto-dismiss': false,
      speed,
    });
    await reached;
  };
  await leave(1, 'running');
  await persistLive(machine.qmp, [persisted(machine, target)]);
  expect(await firstLine(target)).toBe('data');
  await leave(0, 'concluded');
  await removePersistRemains(machine.qmp);
  expect(await machine.qmp.execute('query-jobs')).toEqual([]);
  const nodes = await machine.qmp.execute('query-named-block-nodes', { flat: true });
  expect(JSON.stringify(nodes)).not.toContain('-persist');
  expect(await console.run('echo alive')).toBe('alive');
});

test(
  'a copy keeps what the guest cleared of its base, also while a handoff mirrors the disk',
  TIMEOUT,
  async () => {
    await using machines = await TinyMachines.create();
    const spec = tinySpec({ diskBytes: 16 * MIB });
    const runtime = await machines.runtime(spec, 'device');
    const { basePath: base = '', limitBytes = 0 } = runtime.disks[0] ?? {};
    const [disk] = spec.abi.disks;
    if (disk === undefined) throw new Error('the guest has no disk');
    await execa('sh', ['-c', `yes base | head -c 8M | dd of=${base} conv=notrunc`]);
    const machine = await machines.startWith(spec, runtime);
    expect(await canPersistMirrored(machine.qmp, runtime.disks)).toBe(true);
    const console = await machine.booted();
    await console.run('dd if=/dev/zero of=/dev/vda bs=1M count=2 conv=fsync');
    const filename = join(machines.directory, 'mirror.qcow2');
    await createOverlay(disk, { overlayPath: filename, basePath: base, limitBytes });
    await mirror(machine, { driver: 'qcow2', backing: null, file: { driver: 'file', filename } });
    const early = join(machines.directory, 'state', 'early.qcow2');
    const copied = persistLive(machine.qmp, [persisted(machine, early)]);
    await console.run(
      'for i in 1 2 3; do yes $i | dd of=/dev/vda bs=64k seek=80 count=24 iflag=fullblock conv=fsync; done 2>/dev/null',
    );
    await copied;
    await console.run('blkdiscard -o 2097152 -l 1048576 /dev/vda || true');
    await console.run('sync; echo 3 > /proc/sys/vm/drop_caches');
    const sum = (await console.run('sha256sum /dev/vda')).split(' ')[0];
    const target = join(machines.directory, 'state', 'disk0.qcow2');
    await persistLive(machine.qmp, [persisted(machine, target)]);
    const completed = machine.qmp.waitFor('BLOCK_JOB_COMPLETED');
    await machine.qmp.execute('block-job-cancel', { device: 'handoff-disk0', force: false });
    expect((await completed).data.error).toBeUndefined();
    await machine.process.stop(30_000);
    const offline = join(machines.directory, 'state', 'offline.qcow2');
    await copyOverlay(disk, machine.overlayPath(), { overlayPath: offline, basePath: base });
    for (const image of [target, filename, offline]) {
      expect(await rawSum(image)).toBe(sum);
      // What is as it was in the base is not in it.
      expect(await depthAt(image, 7 * MIB)).toBe(1);
    }
    await execa('qemu-img', ['check', '-q', early]);
    expect(await depthAt(early, 0)).toBe(0);
  },
);

// A small file system needs a mount.
test.skipIf(process.getuid?.() !== 0)(
  'a copy that fails leaves the former one and the guest alone',
  TIMEOUT,
  async () => {
    await using machines = await TinyMachines.create();
    const spec = tinySpec();
    const machine = await machines.start(spec, 'device');
    const console = await machine.booted();
    await console.run('yes data | dd of=/dev/vda bs=1M count=4 iflag=fullblock conv=fsync');
    const small = join(machines.directory, 'small');
    await mkdir(small);
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', small]);
    try {
      const target = join(small, 'disk0.qcow2');
      await expect(persistLive(machine.qmp, [persisted(machine, target)])).rejects.toMatchObject({
        code: 'persist-failed',
        kind: 'requirement',
      });
      await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await machine.qmp.execute('query-jobs')).toEqual([]);
      expect(await console.run('echo alive')).toBe('alive');
      const good = join(machines.directory, 'good.qcow2');
      await persistLive(machine.qmp, [persisted(machine, good)]);
      expect(await firstLine(good)).toBe('data');
    } finally {
      await execa('umount', [small]);
    }
  },
);

test('a stopped guest’s changes go to disk and come back into memory', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const spec = tinySpec();
  const first = await machines.start(spec, 'device');
  const console = await first.booted();
  await console.run('yes work | dd of=/dev/vda bs=1M count=2 iflag=fullblock conv=fsync');
  await first.process.stop(30_000);
  const [disk] = spec.abi.disks;
  const [local] = first.runtime.disks;
  if (disk === undefined || local === undefined) throw new Error('the guest has no disk');
  const kept = { overlayPath: join(machines.directory, 'kept.qcow2'), basePath: local.basePath };
  await copyOverlay(disk, local.overlayPath, kept);
  const runtime = await machines.runtime(spec, 'again');
  const restored = runtime.disks[0] ?? local;
  await copyOverlay(disk, kept.overlayPath, restored);
  expect((await stat(restored.overlayPath)).mode & 0o777).toBe(0o600);
  const second = await GuestProcess.start(spec, runtime);
  const again = await TinyConsole.connect(guestPaths(runtime.directory).consoleSocket);
  await again.ready();
  expect(await again.run('head -n 1 /dev/vda')).toBe('work');
  await second.stop(30_000);
  await expect(
    copyOverlay(disk, kept.overlayPath, { ...restored, limitBytes: 1 * MIB }),
  ).rejects.toMatchObject({ code: 'overlay-limit-small' });
});

function persisted(machine: TinyMachine, targetPath: string) {
  const [disk] = machine.spec.abi.disks;
  const [local] = machine.runtime.disks;
  if (disk === undefined || local === undefined) throw new Error('the guest has no disk');
  return { disk, basePath: local.basePath, targetPath };
}

/** As a handoff does it; resolves when the copy is complete and kept so. */
async function mirror(machine: TinyMachine, target: Record<string, unknown>): Promise<void> {
  const id = 'handoff-disk0';
  await machine.qmp.execute('blockdev-add', { ...target, 'node-name': id });
  const ready = machine.qmp.waitFor('BLOCK_JOB_READY');
  const job = { 'job-id': id, device: 'disk0', target: id, sync: 'top' };
  await machine.qmp.execute('blockdev-mirror', job);
  await ready;
}

/** First line of what a guest would read from the image. */
async function firstLine(image: string): Promise<string> {
  const raw = `${image}.raw`;
  await execa('qemu-img', ['convert', '-O', 'raw', image, raw]);
  const { stdout } = await execa('head', ['-n', '1', raw]);
  return stdout;
}

const mapSchema = z.array(z.object({ start: z.int(), length: z.int(), depth: z.int() }));

/** 0 where the image has its own data, or zeroes, and 1 where it has its base's. */
async function depthAt(image: string, offset: number): Promise<number | undefined> {
  const { stdout } = await execa('qemu-img', ['map', '--output=json', image]);
  const parts = mapSchema.parse(JSON.parse(stdout));
  return parts.find(({ start, length }) => start <= offset && offset < start + length)?.depth;
}

/** SHA-256 of what a guest would read from the image. */
async function rawSum(image: string): Promise<string> {
  const raw = `${image}.raw`;
  await execa('qemu-img', ['convert', '-O', 'raw', image, raw]);
  const { stdout } = await execa('sha256sum', [raw]);
  return stdout.split(' ')[0] ?? '';
}

/** SHA-256 of a 64 MiB disk whose first 16 MiB say `sojourn` over and over. */
async function expectedSum(): Promise<string> {
  const script = '(yes sojourn | head -c 16M; head -c 48M /dev/zero) | sha256sum';
  const { stdout } = await execa('sh', ['-c', script]);
  return stdout.split(' ')[0] ?? '';
}
