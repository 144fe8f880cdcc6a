/** The demo guest itself, on a plain QEMU with QEMU's own user-mode network: every service that later tests stand on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QmpClient } from '../../src/guest/index.ts';
import { type ImageManifest, ImageStore } from '../../src/images/index.ts';
import { parseRecords, RECORD_BYTES } from '../images/records.ts';

const built = join(import.meta.dirname, '../../.cache/demo-guest/current');
const GUEST_PORTS = { lines: 7000, records: 7002, control: 7003, echo: 7001 } as const;
type Port = keyof typeof GUEST_PORTS;

let root: string;
let store: ImageStore;
let image: ImageManifest;
let qemu: ChildProcess;
let qmp: QmpClient;
const ports = {} as Record<Port, number>;

async function freePort(): Promise<number> {
  await using server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** How often `wanted` occurs. */
const count = (text: string, wanted: string) => text.split(wanted).length - 1;

/** Resolves with the text when it is what is wanted. */
function readUntil(socket: Socket, wanted: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const take = (data: Buffer) => {
      text += data.toString();
      if (!wanted(text)) return;
      socket.off('data', take);
      resolve(text);
    };
    socket.on('data', take);
    socket.once('close', () => reject(new Error(`closed after: ${text}`)));
  });
}

async function connected(to: string | number): Promise<Socket> {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to);
  await once(socket, 'connect');
  return socket;
}

async function boot(): Promise<void> {
  for (const name of Object.keys(GUEST_PORTS) as Port[]) ports[name] = await freePort();
  const forward = (Object.keys(GUEST_PORTS) as Port[]).map((name) => {
    const protocol = name === 'control' || name === 'echo' ? 'udp' : 'tcp';
    return `hostfwd=${protocol}:127.0.0.1:${ports[name]}-:${GUEST_PORTS[name]}`;
  });
  if (image.boot.kind !== 'kernel' || !image.boot.initrd) throw new Error('not a kernel image');
  const disk = `driver=qcow2,node-name=disk0,file.driver=file,file.filename=${join(root, 'overlay')}`;
  const device = (name: string) => ['-device', name];
  qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg'],
      ...['-machine', 'q35', '-cpu', 'Nehalem', '-m', `${image.defaults.memoryMiB}`],
      ...['-kernel', store.path(image.boot.kernel.digest)],
      ...['-initrd', store.path(image.boot.initrd.digest), '-append', image.boot.commandLine],
      ...['-blockdev', disk, ...device('virtio-blk-pci,drive=disk0')],
      ...['-netdev', `user,id=net0,${forward.join(',')}`],
      ...device('virtio-net-pci,netdev=net0,host_mtu=1380,romfile='),
      ...device('virtio-balloon-pci,free-page-reporting=on'),
      ...device('virtio-rng-pci'),
      ...device('virtio-serial-pci'),
      ...['-chardev', `socket,id=agent,path=${join(root, 'agent')},server=on,wait=off`],
      ...device('virtserialport,chardev=agent,name=org.qemu.guest_agent.0'),
      ...['-serial', `unix:${join(root, 'console')},server=on,wait=on`],
      ...['-qmp', `unix:${join(root, 'qmp')},server=on,wait=off`],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const serial = await retrying(() => connected(join(root, 'console')));
  // In either order.
  const wanted = [/dhcp: \S+\s/, /demo-services: up, boot [0-9a-f-]{36}/];
  const up = await readUntil(serial, (text) => wanted.every((one) => one.test(text)));
  expect(up).not.toMatch(/was not (loaded|mounted)/);
  qmp = await QmpClient.connect(join(root, 'qmp'), { timeoutMs: 10_000 });
}

/** QEMU makes its sockets soon after it has started. */
async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    if (qemu.exitCode !== null) throw new Error(`QEMU ended with ${qemu.exitCode}`);
    try {
      return await attempt();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function powerDown(): Promise<void> {
  const exited = once(qemu, 'exit');
  await qmp.execute('system_powerdown');
  await exited;
  await qmp.closed;
}

/** Sends a datagram until the wanted one comes back. */
async function ask(
  port: number,
  question: string,
  wanted: (text: string) => boolean,
): Promise<string[]> {
  const socket: UdpSocket = createSocket('udp4');
  const received: string[] = [];
  return await new Promise((resolve) => {
    const send = () => socket.send(question, port, '127.0.0.1');
    const again = setInterval(send, 1000);
    socket.on('message', (data) => {
      received.push(data.toString());
      if (!wanted(received.join(''))) return;
      clearInterval(again);
      socket.close();
      resolve(received);
    });
    send();
  });
}

async function readRecords(): Promise<Buffer> {
  const socket = await connected(ports.records);
  return Buffer.concat(await socket.toArray());
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'demo-guest-'));
  store = new ImageStore(join(root, 'images'));
  image = await store.import(built);
  const base = image.disks[0];
  if (base === undefined) throw new Error('the demo guest has no disk');
  const backing = ['-b', store.path(base.base.digest), '-F', base.baseFormat];
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, join(root, 'overlay')]);
  await boot();
});

afterAll(async () => {
  if (qemu && qemu.exitCode === null && qemu.kill('SIGKILL')) await once(qemu, 'exit');
  await rm(root, { recursive: true });
});

test('numbered lines come without gaps, and lines are echoed', async () => {
  const socket = await connected(ports.lines);
  socket.write('hello, ');
  socket.write('guest\nagain\n');
  const text = await readUntil(socket, (text) => text.includes(' 20\n'));
  socket.destroy();
  // What came with it, and may be part of a line, is not looked at.
  const lines = text.slice(0, text.indexOf(' 20\n') + 3).split('\n');
  expect(lines.filter((line) => line.startsWith('echo '))).toEqual([
    'echo hello, guest',
    'echo again',
  ]);
  const numbers = lines.flatMap((line) => /^[0-9a-f-]{36} (\d+)$/.exec(line)?.[1] ?? []);
  expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => `${index + 1}`));
});

test('a client that reads late misses nothing', async () => {
  const socket = await connected(ports.lines);
  const question = `${'x'.repeat(1000)}\n`;
  // More than the buffers between the two hold, and nothing is read yet: the guest has to wait.
  for (let sent = 0; sent < 2000; sent++) socket.write(question);
  await ask(ports.echo, 'still here?', () => true);
  const text = await readUntil(socket, (all) => count(all, 'echo ') === 2000 && all.endsWith('\n'));
  socket.destroy();
  const numbers = [...text.matchAll(/^[0-9a-f-]{36} (\d+)$/gm)].map((one) => Number(one[1]));
  expect(numbers.length).toBeGreaterThan(0);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
});

test('datagrams are echoed', async () => {
  expect(await ask(ports.echo, 'ping', () => true)).toEqual(['ping']);
});

test('reports tell how many records are safe on the disk', async () => {
  const heard = (
    await ask(ports.control, 'report-to', (text) => count(text, 'report ') === 5)
  ).join('');
  const reports = [...heard.matchAll(/^report ([0-9a-f-]{36}) (\d+) (\d+) (\d+) (\d+)$/gm)];
  expect(reports.length).toBeGreaterThanOrEqual(5);
  const counters = reports.map((report) => Number(report[2]));
  expect(counters).toEqual(counters.map((_, index) => (counters[0] ?? 0) + index));
  const records = parseRecords(await readRecords());
  expect(records.length).toBeGreaterThanOrEqual(Number(reports.at(-1)?.[3]));
  expect(records[0]?.bootId).toBe(reports[0]?.[1]);
});

test('a stream has the number of datagrams that was asked for', async () => {
  const heard = (
    await ask(ports.control, 'stream-to 50 1000 100', (text) => / 50 \d+\n/.test(text))
  ).join('');
  const numbers = [...heard.matchAll(/stream [0-9a-f-]{36} (\d+) \d+\n/g)].map((one) => one[1]);
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => `${index + 1}`));
});

test('load begins and ends; nonsense is refused', async () => {
  expect((await ask(ports.control, 'dirty 2000 4', () => true))[0]).toMatch(/^ok /);
  expect((await ask(ports.control, 'disk 500', () => true))[0]).toMatch(/^ok /);
  expect((await ask(ports.control, 'dirty 0', () => true))[0]).toMatch(/^ok /);
  expect((await ask(ports.control, 'disk 0', () => true))[0]).toMatch(/^ok /);
  expect((await ask(ports.control, 'dirty 1 0', () => true))[0]).toMatch(/^error .*range/);
  expect((await ask(ports.control, 'stream-to 1 1 9000', () => true))[0]).toMatch(/^error bytes/);
  expect((await ask(ports.control, 'format c:', () => true))[0]).toBe('error unknown command\n');
});

test('the guest agent sets the clock', async () => {
  const agent = await connected(join(root, 'agent'));
  const call = async (execute: string, args?: object) => {
    agent.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    return JSON.parse(await readUntil(agent, (text) => text.endsWith('\n'))) as { return: unknown };
  };
  const tomorrow = (Date.now() + 86_400_000) * 1e6;
  expect(await call('guest-set-time', { time: tomorrow })).toEqual({ return: {} });
  expect((await call('guest-get-time')).return).toBeGreaterThanOrEqual(tomorrow);
  agent.destroy();
});

test('the power button ends it with a clean disk, and the records go on after the next boot', async () => {
  const before = parseRecords(await readRecords());
  await powerDown();
  const raw = join(root, 'disk.raw');
  await execa('qemu-img', ['convert', '-O', 'raw', join(root, 'overlay'), raw]);
  await execa('e2fsck', ['-f', '-n', raw], {
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });

  await boot();
  const goneOn = new RegExp(`^report \\S+ \\d+ ${before.length + 3} `, 'm');
  await ask(ports.control, 'report-to', (text) => goneOn.test(text));
  const after = parseRecords(await readRecords());
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after.at(-1)?.bootId).not.toBe(before[0]?.bootId);
  await powerDown();
});

test('a damaged record is noticed', async () => {
  const record = Buffer.from(`${'0'.repeat(RECORD_BYTES - 1)}\n`);
  expect(() => parseRecords(record)).toThrow('has number');
  expect(() => parseRecords(record.subarray(1))).toThrow('whole number');
});

test('the image is what its description promises', async () => {
  const description = JSON.parse(await readFile(join(built, 'image.json'), 'utf8'));
  expect(image.boot).toMatchObject({
    kernel: { digest: description.boot.kernel.digest },
    initrd: { digest: description.boot.initrd.digest },
  });
});
