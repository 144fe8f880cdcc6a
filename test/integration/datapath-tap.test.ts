/** A site's datapath with a real TAP in a network namespace, a correspondent behind a router, a real guest. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatapathClient, type DatapathEvent } from '../../src/datapath/index.ts';
import { QmpClient } from '../../src/guest/index.ts';
import { loadOrCreateIdentity } from '../../src/transport/index.ts';
import { guestNumber, Inbox } from '../datapath/harness.ts';
import { Namespace } from '../lab/namespace.ts';

const MAIN = fileURLToPath(new URL('../../src/datapath/main.ts', import.meta.url));
const IMAGE = fileURLToPath(new URL('../../.cache/demo-guest/current/', import.meta.url));
const guest = guestNumber(7);
const gateway6 = '2001:db8:77:7::1';

let directory: string;
let site: Namespace;
let correspondent: Namespace;
let datapath: ChildProcess;
let client: DatapathClient;
const events = new Inbox<DatapathEvent>();

async function startDatapath(): Promise<void> {
  datapath = await site.spawn([process.execPath, MAIN, '--directory', directory], {
    stdout: 'pipe',
    stderr: join(directory, 'stderr'),
  });
  let text = '';
  datapath.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  while (!text.includes('"ready"')) {
    if (datapath.stdout === null || datapath.exitCode !== null) throw new Error(text);
    await once(datapath.stdout, 'data');
  }
  client = await DatapathClient.connect(join(directory, 'datapath.sock'), {
    onEvent: (event) => events.push(event),
  });
}

/** @returns how many of `count` pings, 50 ms apart, were answered. */
async function ping(address: string, ...options: string[]): Promise<string> {
  const argv = ['ping', '-n', '-i', '0.05', '-W', '1', ...options, address];
  return await correspondent.run(argv).catch((error: { stdout?: string }) => error.stdout ?? '');
}

function answered(text: string): number {
  return Number(/(\d+) (?:packets )?received/.exec(text)?.[1] ?? -1);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), `sjt${process.pid}-`));
  await loadOrCreateIdentity(directory);
  site = await Namespace.create(`dp-site-${process.pid}`, {});
  correspondent = await Namespace.create(`dp-cn-${process.pid}`, {});
  await site.ip(
    'link set lo up',
    `link add up0 type veth peer name cn0 netns ${correspondent.pid}`,
    'address add 198.51.100.1/24 dev up0',
    'address add 2001:db8:100::1/64 dev up0 nodad',
    'link set up0 up',
  );
  await correspondent.ip(
    'link set lo up',
    'address add 198.51.100.2/24 dev cn0',
    'address add 2001:db8:100::2/64 dev cn0 nodad',
    'link set cn0 up',
    'route add default via 198.51.100.1',
    'route add default via 2001:db8:100::1',
  );
  await startDatapath();
});

afterAll(async () => {
  await client?.call('shutdown', { tap: 'remove' });
  await client?.closed;
  // All that it started is gone with it.
  await expect(site.run(['pgrep', '-f', `${directory}/tap.sock`])).rejects.toThrow();
  expect(await site.run(['ip', '-brief', 'link'])).not.toContain('sjtap0');
  await site?.close();
  await correspondent?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a site with a TAP', () => {
  it('makes interface, routes and forwarding, and starts the adapter', async () => {
    const result = await client.call('configure', {
      identityDir: directory,
      peers: [],
      tap: {
        name: 'sjtap0',
        toward: 'host',
        prefixes4: ['192.0.2.0/24'],
        prefixes6: ['2001:db8:77::/48'],
      },
    });
    expect(result.problems).toEqual([]);
    await events.next(({ event }) => event === 'tapUp', 'the adapter');
    const routes = await site.run(['ip', 'route', 'show', 'dev', 'sjtap0']);
    expect(routes).toContain('192.0.2.0/24');
    expect(await site.run(['ip', '-6', 'route', 'show', 'dev', 'sjtap0'])).toContain(
      '2001:db8:77::/48',
    );
    expect((await site.run(['cat', '/proc/sys/net/ipv4/ip_forward'])).trim()).toBe('1');
  });

  it('answers pings to the gateway from outside, and says that others are not there', async () => {
    await client.call('setGuest', {
      ...guest,
      epoch: 1,
      location: { kind: 'local' },
      port: { socket: join(directory, 'guest.sock'), held: false },
    });
    expect(answered(await ping('192.0.2.1', '-c', '3'))).toBe(3);
    expect(answered(await ping(gateway6, '-c', '3'))).toBe(3);
  });
});

describe.skipIf(!existsSync(join(IMAGE, 'image.json')))('a real guest', () => {
  let qemu: ChildProcess;
  let qmp: QmpClient;
  let shell: Socket;
  const address6 = '2001:db8:77:7:5054:ff:fe00:7';

  beforeAll(async () => {
    const image = JSON.parse(await readFile(join(IMAGE, 'image.json'), 'utf8'));
    qemu = spawn(
      'qemu-system-x86_64',
      [
        ...['-M', 'pc-q35-10.0', '-accel', 'tcg', '-m', '512', '-nodefaults', '-display', 'none'],
        ...['-kernel', join(IMAGE, 'vmlinuz'), '-initrd', join(IMAGE, 'initrd')],
        ...['-append', image.boot.commandLine],
        '-chardev',
        `socket,id=c,server=on,wait=off,path=${join(directory, 'shell')},logfile=${join(directory, 'console')}`,
        ...['-serial', 'chardev:c'],
        ...['-drive', `file=${join(IMAGE, 'data.raw')},format=raw,if=none,id=d,snapshot=on`],
        ...['-device', 'virtio-blk-pci,drive=d,addr=0x4'],
        '-netdev',
        `stream,id=net0,server=off,addr.type=unix,addr.path=${join(directory, 'guest.sock')},reconnect-ms=100`,
        ...['-device', `virtio-net-pci,netdev=net0,mac=${guest.mac},host_mtu=1380,addr=0x2`],
        ...['-qmp', `unix:${join(directory, 'qmp')},server=on,wait=off`],
      ],
      { stdio: 'ignore' },
    );
    await events.next(({ event }) => event === 'guestPortConnected', 'the guest port');
    qmp = await QmpClient.connect(join(directory, 'qmp'), { timeoutMs: 10_000 });
    shell = createConnection(join(directory, 'shell'));
    // QEMU writes the log itself; what is not read here would stop the guest.
    shell.resume();
  });

  afterAll(() => {
    shell?.destroy();
    qmp?.close();
    qemu?.kill('SIGKILL');
  });

  /** What an agent does about a guest whose network has come back. */
  async function cure(): Promise<void> {
    await events.next(({ event }) => event === 'guestPortReconnected', 'the reconnection');
    await qmp.execute('stop', {}, { timeoutMs: 5_000 });
    await qmp.execute('cont', {}, { timeoutMs: 5_000 });
  }

  async function answersWithin(address: string, ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    let text = '';
    while (answered(text) !== 1) {
      if (performance.now() > deadline) throw new Error(`${address} does not answer: ${text}`);
      text = await ping(address, '-c', '1', '-W', '0.2');
    }
  }

  it('gets its addresses by DHCP and router advertisement and is reached through the TAP', async () => {
    await answersWithin('192.0.2.7', 60_000);
    await answersWithin(address6, 10_000);
    expect(answered(await ping('192.0.2.7', '-c', '20'))).toBe(20);
    expect(answered(await ping(address6, '-c', '20'))).toBe(20);
    // As large as goes through, and what does not is said so.
    expect(answered(await ping('192.0.2.7', '-c', '2', '-M', 'do', '-s', '1352'))).toBe(2);
    expect(await ping('192.0.2.7', '-c', '2', '-M', 'do', '-s', '1353')).toMatch(/mtu.*1380/);
    expect(answered(await ping('192.0.2.7', '-c', '2', '-M', 'dont', '-s', '4000'))).toBe(2);
    expect(await ping('192.0.2.7', '-c', '1', '-t', '2')).toMatch(
      /From 192\.0\.2\.1.*Time to live exceeded/,
    );
    expect(await ping(address6, '-c', '1', '-t', '2')).toMatch(
      new RegExp(`From ${gateway6}.*Time exceeded`),
    );
  });

  it('loses no packet at one a millisecond', async () => {
    const text = await ping('192.0.2.7', '-c', '1000', '-i', '0.001');
    expect(answered(text)).toBe(1000);
  });

  it('has its network back after the datapath was killed, and the adapter is the same', async () => {
    const before = (await client.call('status', {})).tap?.adapterPid;
    events.items.length = 0;
    datapath.kill('SIGKILL');
    await client.closed;
    await startDatapath();
    await Promise.all([cure(), answersWithin('192.0.2.7', 2_000)]);
    await answersWithin(address6, 2_000);
    expect((await client.call('status', {})).tap?.adapterPid).toBe(before);
  });

  it('has it back too when the datapath had stalled for 3 s under saturating traffic', async () => {
    const script = `require('net').createServer((s) => s.on('error', () => {}).resume())
      .listen(9, () => console.log('listening'))`;
    const sink = await correspondent.spawn([process.execPath, '-e', script], { stdout: 'pipe' });
    await once(sink.stdout as Readable, 'data');
    // More than the socket between QEMU and the datapath holds, so that QEMU has to wait with the guest's frames.
    shell.write('for i in 1 2 3 4 5 6; do nc 198.51.100.2 9 < /dev/zero & done\n');
    const received = async () =>
      (await client.call('status', {})).guests[0]?.port?.counters.rxBytes ?? 0;
    while ((await received()) < 20_000_000) await pause(50);
    events.items.length = 0;
    datapath.kill('SIGSTOP');
    await pause(3_000);
    datapath.kill('SIGKILL');
    await client.closed;
    await startDatapath();
    await cure();
    await answersWithin('192.0.2.7', 2_000);
    await answersWithin(address6, 2_000);
    sink.kill('SIGKILL');
  });

  it('is reached again when the adapter has died', async () => {
    const { tap } = await client.call('status', {});
    events.items.length = 0;
    process.kill(tap?.adapterPid as number, 'SIGKILL');
    await events.next(({ event }) => event === 'tapUp', 'another adapter');
    await answersWithin('192.0.2.7', 5_000);
    const after = await client.call('status', {});
    expect(after.tap?.adapterPid).not.toBe(tap?.adapterPid);
    expect(after.problems).toEqual([]);
    const adapters = await site.run(['pgrep', '-f', `${directory}/tap.sock`]);
    expect(adapters.trim().split('\n')).toEqual([String(after.tap?.adapterPid)]);
  });
});
