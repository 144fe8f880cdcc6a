import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { SojournError } from '../../src/common/index.ts';
import type { Figures } from './figures.ts';
import { parseOptions } from './options.ts';
import { readCapture } from './pcap.ts';
import { interfaceAddress } from './places.ts';
import { twinOf } from './qemu-arguments.ts';
import { switchoverPause } from './qmp-log.ts';
import { checkRecords } from './records.ts';
import { complaints, demoResult, table } from './report.ts';

const directory = mkdtempSync(join(tmpdir(), 'demo-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the options of the demo', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toMatchObject({ json: false, keep: false, link: '100M' });
    expect(parseOptions(['--help'])).toBeUndefined();
  });

  it.each([['--frobnicate'], ['--link'], ['--link=1G'], ['stray']])('refuse %s', (argument) => {
    expect(() => parseOptions([argument])).toThrow(SojournError);
  });
});

describe('the twin of a guest', () => {
  const blockdevs = [
    { driver: 'raw', 'node-name': 'disk0-base', file: { driver: 'file', filename: '/i/base' } },
    { driver: 'file', filename: '/o/disk0.qcow2', 'node-name': 'disk0-store' },
    { driver: 'raw', 'node-name': 'disk0-file', size: 1048576, file: 'disk0-store' },
    { driver: 'qcow2', 'node-name': 'disk0', file: 'disk0-file', backing: 'disk0-base' },
  ];
  const argv = [
    ...['qemu-system-x86_64', '-m', 'size=512M', '-kernel', '/i/kernel'],
    ...['-chardev', 'socket,id=qmp,path=/g/qmp.sock,server=on,wait=off'],
    ...['-chardev', 'socket,id=console,path=/g/c.sock,server=on,logfile=/g/console.log'],
    ...['-netdev', JSON.stringify({ type: 'stream', addr: { type: 'unix', path: '/s/p.sock' } })],
    ...blockdevs.flatMap((node) => ['-blockdev', JSON.stringify(node)]),
    ...['-device', 'virtio-net-pci,mac=52:54:00:00:00:01'],
  ];

  it('has the same arguments but for its own sockets, logs and overlay', () => {
    const twin = twinOf(argv, '/t');
    expect(twin.qmpSocket).toBe('/t/qmp.sock');
    expect(twin.disks).toEqual([
      { name: 'disk0', overlayPath: '/t/disk0.qcow2', basePath: '/i/base', limitBytes: 1048576 },
    ]);
    expect(twin.argv).toHaveLength(argv.length);
    const different = twin.argv.filter((each, index) => each !== argv[index]);
    expect(different).toEqual([
      'socket,id=qmp,path=/t/qmp.sock,server=on,wait=off',
      'socket,id=console,path=/t/c.sock,server=on,logfile=/t/console.log',
      '{"type":"stream","addr":{"type":"unix","path":"/t/net.sock"}}',
      '{"driver":"file","filename":"/t/disk0.qcow2","node-name":"disk0-store"}',
    ]);
  });

  it('waits for a migration where it is to receive one, and otherwise boots', () => {
    const received = [...argv, '-incoming', 'defer', '-S'];
    expect(twinOf(received, '/t').argv).toEqual(twinOf(argv, '/t').argv);
    expect(twinOf(received, '/t', 'tcp:[::]:1').argv.slice(-2)).toEqual([
      '-incoming',
      'tcp:[::]:1',
    ]);
  });

  it('is refused for a command line that is not of a guest', () => {
    expect(() => twinOf(['qemu-system-x86_64'], '/t')).toThrow(/QMP/);
  });
});

describe('the pause in QMP logs', () => {
  const stop = (at: number) => ({ event: 'STOP', at });
  const resume = (at: number) => ({ event: 'RESUME', at });

  it('is from the last stop at the source to the first run at the destination', () => {
    const source = [stop(5), resume(6), stop(20)];
    expect(switchoverPause(source, [resume(1), resume(30), stop(40), resume(41)], 4, 50)).toEqual({
      stoppedAt: 20,
      resumedAt: 30,
    });
  });

  it('is not found where the guest never ran at the destination', () => {
    expect(switchoverPause([stop(20)], [resume(60)], 4, 50)).toBeUndefined();
  });
});

describe('disk records', () => {
  const record = (number: number, boot = 'b'.repeat(36)) => {
    const covered = `${`${number}`.padStart(10, '0')} ${boot} ${'1'.padStart(13, '0')} `.padEnd(
      118,
      '.',
    );
    return `${covered} ${crc32(covered).toString(16).padStart(8, '0')}\n`;
  };
  const check = (...records: string[]) => checkRecords(Buffer.from(records.join('')));

  it('are in order when numbered from 1, of one boot, with the right sums', () => {
    expect(check(record(1), record(2))).toEqual({ records: 2, problem: undefined });
  });

  it.each([
    ['nothing', []],
    ['a gap', [record(1), record(3)]],
    ['another boot', [record(1), record(2, 'c'.repeat(36))]],
    ['a flipped byte', [record(1).replace('...', '.,.')]],
    ['half a record', [record(1), record(2).slice(0, 60)]],
  ])('are not in order with %s', (_name, records) => {
    expect(check(...records).problem).toBeDefined();
  });
});

describe('captures', () => {
  const ipv4 = Buffer.concat([
    Buffer.alloc(12),
    Buffer.from('0800', 'hex'),
    Buffer.from('4500001c000000004011000001020304050607080007000a00080000', 'hex'),
  ]);
  const write = (name: string, nanoseconds: boolean, little: boolean, cut = 0) => {
    const header = Buffer.alloc(24);
    const packet = Buffer.alloc(16);
    const put = (buffer: Buffer, value: number, at: number) =>
      little ? buffer.writeUInt32LE(value, at) : buffer.writeUInt32BE(value, at);
    put(header, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 0);
    put(header, 1, 20);
    [12, nanoseconds ? 345_678_000 : 345_678, ipv4.length, ipv4.length].forEach((value, index) => {
      put(packet, value, index * 4);
    });
    const path = join(directory, name);
    const whole = Buffer.concat([header, packet, ipv4, packet, ipv4]);
    writeFileSync(path, whole.subarray(0, whole.length - cut));
    return path;
  };

  it.each([
    [false, true],
    [false, false],
    [true, true],
    [true, false],
  ])('are read, nanoseconds %s, little-endian %s', (nanoseconds, little) => {
    const [first, second, ...more] = readCapture(write('whole', nanoseconds, little));
    expect(first?.at).toBeCloseTo(12_345.678, 3);
    expect(first).toMatchObject({ version: 4, protocol: 17, source: '1.2.3.4' });
    expect(first?.payload.readUInt16BE(2)).toBe(10);
    expect(second).toEqual(first);
    expect(more).toEqual([]);
  });

  it('may end in the middle of a packet', () => {
    for (const cut of [1, ipv4.length, ipv4.length + 15])
      expect([...readCapture(write('cut', false, true, cut))]).toHaveLength(1);
  });

  it('are told from other files', () => {
    const path = join(directory, 'other');
    writeFileSync(path, 'not a capture, but long enough to be one');
    expect(() => [...readCapture(path)]).toThrow(/no capture/);
  });
});

describe('the address a guest makes of prefix and MAC', () => {
  it('has the modified EUI-64 identifier', () => {
    expect(interfaceAddress('2001:db8:7700:5::/64', '52:54:00:12:34:56')).toBe(
      '2001:db8:7700:5:5054:ff:fe12:3456',
    );
    expect(interfaceAddress('2001:db8:7700::/64', '52:54:00:12:34:56')).toBe(
      '2001:db8:7700:0:5054:ff:fe12:3456',
    );
  });
});

describe('the verdict', () => {
  const handoff = {
    from: 'device',
    to: 'site',
    kind: 'cold' as const,
    triggerToRunningMs: 5000.04,
    blackoutMs: 40,
    packetsSent: 9000,
    packetsLost: 0,
    tcpBroken: 0,
    bytesOnLink: 1e7,
    diskRecordsOk: true,
  };
  const good: Figures = {
    baseline: { plainQemuBlackoutMs: 100, plainQemuTotalMs: 9000 },
    handoffs: [handoff, { ...handoff, from: 'site', to: 'device' }],
    reports: { received: 100, stepsBack: 0, boots: 1 },
  };
  const withSecond = (change: Partial<typeof handoff>): Figures => ({
    ...good,
    handoffs: [handoff, { ...handoff, ...change }],
  });

  it('finds nothing wrong with a good run', () => {
    expect(complaints(good, 20)).toEqual([]);
    expect(complaints(withSecond({ blackoutMs: 170 }), 20)).toEqual([]);
  });

  it.each([
    ['a lost packet', withSecond({ packetsLost: 1 })],
    ['no packets', withSecond({ packetsSent: 0 })],
    ['a broken connection', withSecond({ tcpBroken: 1 })],
    ['a bad record', withSecond({ diskRecordsOk: false })],
    [
      'a longer blackout than plain QEMU, a round trip and 50 ms',
      withSecond({ blackoutMs: 170.1 }),
    ],
    ['an endless blackout', withSecond({ blackoutMs: Number.POSITIVE_INFINITY })],
    ['a blackout nobody knows', withSecond({ blackoutMs: Number.NaN })],
    ['one handoff', { ...good, handoffs: [handoff] }],
    ['nothing to compare with', { ...good, baseline: undefined }],
    ['a guest in two places', { ...good, reports: { received: 9, stepsBack: 1, boots: 1 } }],
    ['a guest that booted again', { ...good, reports: { received: 9, stepsBack: 0, boots: 2 } }],
    ['a silent guest', { ...good, reports: { received: 0, stepsBack: 0, boots: 0 } }],
  ])('finds %s', (_name, figures) => {
    expect(complaints(figures, 20)).not.toEqual([]);
  });

  it('is a JSON line of schema 1', () => {
    const facts = { accelerator: 'tcg', memoryMiB: 512, hoa4: '192.0.2.10', hoa6: '2001:db8::1' };
    const result = demoResult(facts, good, [{ name: 'boot', ms: 1 }], true);
    expect(JSON.parse(JSON.stringify(result))).toEqual({
      schema: 1,
      ok: true,
      accelerator: 'tcg',
      guest: { memoryMiB: 512, hoa4: '192.0.2.10', hoa6: '2001:db8::1' },
      baseline: good.baseline,
      handoffs: good.handoffs.map((each) => ({ ...each, triggerToRunningMs: 5000 })),
      phases: [{ name: 'boot', ms: 1 }],
    });
  });

  it('is told in a table with every figure', () => {
    const text = table(good);
    for (const part of ['device to site', 'site to device', '5.0 s', '40 ms', '100 ms', '10.0 MB'])
      expect(text).toContain(part);
  });
});
