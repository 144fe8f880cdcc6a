import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import {
  chooseAccelerator,
  GuestProcess,
  probeQemu,
  QmpClosedError,
  type QmpLogEntry,
} from '../../src/guest/index.ts';
import { bootKernel } from '../../src/guest/kernel-probe.ts';
import { tinyGuest, tinySpec } from '../lab/tiny-guest.ts';
import { TinyMachines } from '../lab/tiny-machine.ts';

/** Booting takes three seconds on an idle machine; busy ones get more. */
const TIMEOUT = { timeout: 90_000 };

test('a guest boots, has its devices, and obeys the power button', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const log: QmpLogEntry[] = [];
  const machine = await machines.start(tinySpec(), 'device', {}, { qmpLog: (e) => log.push(e) });
  const console = await machine.booted();
  expect(await console.run('cat /sys/class/net/eth0/mtu')).toBe('1380');
  expect(await console.run('cat /sys/class/net/eth0/address')).toBe(machine.spec.abi.mac);
  expect(await console.run('cat /sys/block/vda/serial')).toBe('disk0');
  expect(await console.run('cat /sys/class/virtio-ports/*/name')).toBe('org.qemu.guest_agent.0');
  const slots = await console.run('ls /sys/bus/pci/devices');
  expect(slots.split(/\s+/)).toEqual(
    expect.arrayContaining(['0000:00:02.0', '0000:00:03.0', '0000:00:05.0', '0000:00:08.0']),
  );
  expect(await machine.process.stop(30_000)).toBe('powered-down');
  expect(await machine.process.exited).toMatchObject({ code: 0 });
  expect(log.some(({ line }) => line.includes('"event": "SHUTDOWN"'))).toBe(true);
});

test('a guest that ignores the power button is ended all the same', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const machine = await machines.start(tinySpec(), 'device');
  const console = await machine.booted();
  await console.run('killall acpid');
  expect(await machine.process.stop(200)).toBe('quit');
  const paused = await machines.start(tinySpec(), 'another', { paused: true });
  await expect(paused.process.powerdown()).rejects.toMatchObject({ code: 'guest-paused' });
  // Without waiting for a power button that nobody can notice.
  expect(await paused.process.stop(1e9)).toBe('quit');
  const hanging = await machines.start(tinySpec(), 'third', { paused: true });
  process.kill(hanging.process.record.process.pid, 'SIGSTOP');
  expect(await hanging.process.stop(100, 100)).toBe('killed');
});

test('a guest outlives its agent, and the next agent finds it', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const machine = await machines.start(tinySpec(), 'device');
  const console = await machine.booted();
  await console.run('echo kept > /tmp/word');
  machine.process.release();
  await machine.qmp.closed;
  const record = JSON.parse(JSON.stringify(machine.process.record));
  const adopted = await GuestProcess.adopt(record);
  if (adopted === undefined) throw new Error('the guest was not found');
  expect(await adopted.qmp.execute('query-status')).toMatchObject({ status: 'running' });
  expect(await console.run('cat /tmp/word')).toBe('kept');
  // A second owner is refused while the first holds the socket.
  await expect(GuestProcess.adopt(record, { timeoutMs: 300 })).rejects.toMatchObject({
    code: 'guest-unresponsive',
  });
  await adopted.quit();
  expect(await adopted.exited).toEqual({ code: undefined, signal: undefined });
  expect(await GuestProcess.adopt(record)).toBeUndefined();
});

test('a record that another process fits in part is not adopted', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const machine = await machines.start(tinySpec(), 'device', { paused: true });
  const { record } = machine.process;
  machine.process.release();
  const change = (part: Partial<typeof record.process>) =>
    GuestProcess.adopt({ ...record, process: { ...record.process, ...part } });
  expect(await change({ startTicks: record.process.startTicks + 1 })).toBeUndefined();
  expect(await change({ bootId: 'another-boot' })).toBeUndefined();
  expect(await change({ commandLineDigest: 'another' })).toBeUndefined();
  const other = GuestProcess.adopt({ ...record, guestId: tinySpec().id });
  await expect(other).rejects.toMatchObject({ code: 'guest-unresponsive' });
  expect(await change({})).toBeDefined();
});

test('calls that are under way fail when QEMU is killed', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const machine = await machines.start(tinySpec(), 'device', { paused: true });
  process.kill(machine.process.record.process.pid, 'SIGSTOP');
  const call = machine.qmp.execute('query-status', undefined, { timeoutMs: Infinity });
  const wait = machine.qmp.waitFor('RESUME', undefined, { timeoutMs: Infinity });
  process.kill(machine.process.record.process.pid, 'SIGKILL');
  await expect(call).rejects.toBeInstanceOf(QmpClosedError);
  await expect(wait).rejects.toBeInstanceOf(QmpClosedError);
  expect(await machine.process.exited).toMatchObject({ signal: 'SIGKILL' });
});

test(
  'QEMU’s own words tell why it did not start, and nothing is left running',
  TIMEOUT,
  async () => {
    await using machines = await TinyMachines.create();
    const spec = tinySpec();
    await expect(
      machines.start({ ...spec, abi: { ...spec.abi, cpu: 'NoSuchCpu' } }, 'device'),
    ).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('NoSuchCpu') });
    await expect(machines.start(spec, 'device', { binary: '/nowhere/qemu' })).rejects.toMatchObject(
      {
        code: 'qemu-missing',
      },
    );
    const { stdout } = await execa('pgrep', ['-f', spec.id], { reject: false });
    expect(stdout).toBe('');
  },
);

test(
  'a plain migration between two processes built from one spec keeps the guest',
  TIMEOUT,
  async () => {
    await using machines = await TinyMachines.create();
    const spec = tinySpec({ overlayStorage: 'disk' });
    const source = await machines.start(spec, 'device');
    const before = await source.booted();
    await before.run('echo in-memory > /tmp/word; mkdir -p /tmp/busy');
    before.send('while :; do date > /tmp/busy/now; done &');
    const destination = await machines.start(spec, 'site', { incoming: true });
    const socket = `${machines.directory}/migration.sock`;
    const shared = ['return-path', 'switchover-ack', 'events', 'late-block-activate'];
    await setCapabilities(source, [...shared, 'pause-before-switchover']);
    await setCapabilities(destination, shared);
    await destination.qmp.execute('migrate-incoming', { uri: `unix:${socket}` });
    const stateOf = (machine: typeof source, status: string) =>
      machine.qmp.waitFor('MIGRATION', ({ data }) => data.status === status, { timeoutMs: 60_000 });
    const paused = stateOf(source, 'pre-switchover');
    const completed = Promise.all([
      stateOf(source, 'completed'),
      stateOf(destination, 'completed'),
    ]);
    await source.qmp.execute('migrate', { uri: `unix:${socket}` });
    await paused;
    expect(await source.qmp.execute('query-status')).toMatchObject({ running: false });
    await source.qmp.execute('migrate-continue', { state: 'pre-switchover' });
    await completed;
    expect(await source.qmp.execute('query-status')).toMatchObject({ status: 'postmigrate' });
    // Only `cont` lets it run: nobody else may run the guest before ownership has moved.
    expect(await destination.qmp.execute('query-status')).toMatchObject({ running: false });
    await source.process.quit();
    const after = await destination.console();
    await destination.qmp.execute('cont');
    expect(await after.run('cat /tmp/word')).toBe('in-memory');
    expect(destination.qmp.migrationPasses).toBe(0);
    expect(await destination.process.stop(30_000)).toBe('powered-down');
  },
);

async function setCapabilities(
  machine: { qmp: GuestProcess['qmp'] },
  names: readonly string[],
): Promise<void> {
  await machine.qmp.execute('migrate-set-capabilities', {
    capabilities: names.map((capability) => ({ capability, state: true })),
  });
}

test('an agent that is killed takes no guest with it', TIMEOUT, async () => {
  await using machines = await TinyMachines.create();
  const spec = tinySpec();
  const runtime = await machines.runtime(spec, 'device', { paused: true });
  const script = `
    import { GuestProcess } from '${new URL('../../src/guest/index.ts', import.meta.url)}';
    const guest = await GuestProcess.start(...JSON.parse(process.argv[1]));
    process.stdout.write(JSON.stringify(guest.record) + '\\n');
    setInterval(() => {}, 1000);`;
  const agent = execa(
    process.execPath,
    ['--input-type=module', '--eval', script, JSON.stringify([spec, runtime])],
    { reject: false },
  );
  const record = await new Promise<string>((resolve) => agent.stdout.once('data', resolve));
  agent.kill('SIGKILL');
  await agent;
  // Long enough for a hang-up signal or a broken pipe to have ended it.
  await delay(200);
  const guest = await GuestProcess.adopt(JSON.parse(String(record)));
  expect(await guest?.qmp.execute('query-status')).toMatchObject({ status: 'prelaunch' });
  await guest?.kill();
});

test(
  'a kernel that boots under an accelerator is proof, and KVM is judged by it',
  TIMEOUT,
  async () => {
    const { kernel } = await tinyGuest();
    const probe = { binary: 'qemu-system-x86_64', kernel };
    expect(await bootKernel({ ...probe, accelerator: 'tcg', timeoutMs: 60_000 })).toMatchObject({
      boots: true,
    });
    const noTime = await bootKernel({ ...probe, accelerator: 'tcg', timeoutMs: 100 });
    expect(noTime).toEqual({ boots: false, reason: 'did not boot a kernel within 0.1 s' });
    const noKernel = await bootKernel({
      ...probe,
      kernel: '/nowhere',
      accelerator: 'tcg',
      timeoutMs: 9000,
    });
    expect(noKernel).toMatchObject({ boots: false, reason: expect.stringContaining('/nowhere') });
    const directory = await mkdtemp(join(tmpdir(), 'verdict-'));
    const verdict = await chooseAccelerator({
      qemu: await probeQemu(),
      cacheFile: join(directory, 'kvm.json'),
      probeKernel: kernel,
      timeoutMs: 6_000,
    });
    await rm(directory, { recursive: true });
    const { present, opens, boots, reason } = verdict.kvm;
    expect(verdict.accelerator).toBe(boots === true ? 'kvm' : 'tcg');
    expect(reason).toContain('/dev/kvm');
    if (present && opens && boots === false) expect(reason).toMatch(/opens, but /);
  },
);
