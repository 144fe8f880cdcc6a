import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SojournError } from '../../../src/common/index.ts';
import { type Cell, cellName, cells, EVERYTHING } from './cases.ts';
import { domainXml } from './libvirt-domain.ts';
import { parseOptions, RESULTS_FILE } from './options.ts';
import { cpuSecondsBetween, type ProcessUse } from './processes.ts';
import { notConverged, type Result, ResultsFile, result, table } from './results.ts';
import { upkeepBetween } from './upkeep.ts';

const directory = mkdtempSync(join(tmpdir(), 'handoff-bench-'));
afterAll(() => rmSync(directory, { recursive: true }));

const cell: Cell = { case: { mbit: 5, rttMs: 50, load: 'idle' }, method: 'armed' };
const measured: Result = {
  ...cell,
  triggerToRunningMs: 345.6,
  blackoutMs: 120.5,
  packetsLost: 0,
  tcpBroken: 0,
  bytesAfterTrigger: 123_456,
  upkeepKBps: 12.3,
  upkeepCpuPct: 2.1,
};

describe('the cells', () => {
  it('are every link, load and method, the methods of a case together', () => {
    const all = cells(EVERYTHING);
    expect(all).toHaveLength(4 * 3 * 4 * 4);
    expect(new Set(all.map(cellName)).size).toBe(all.length);
    expect(all.slice(0, 4).map(({ method }) => method)).toEqual([
      'plain',
      'virsh',
      'cold',
      'armed',
    ]);
  });

  it('are chosen by parts or as a case', () => {
    const names = (...argv: string[]) => parseOptions(argv)?.cells.map(cellName);
    expect(names('--mbit', '5', '--rtt', '50', '--load', 'idle', '--method', 'cold')).toEqual([
      '5mbit-50ms-idle-cold',
    ]);
    expect(names('--mbit', '2', '--mbit', '5', '--method', 'armed')).toHaveLength(2 * 3 * 4);
    expect(names('--case', '2/100/disk-1MBps', '--method', 'virsh')).toEqual([
      '2mbit-100ms-disk-1MBps-virsh',
    ]);
  });

  it.each([
    [['--case', '5/50']],
    [['--case', '5/50/none']],
    [['--case', '5/50/idle', '--mbit', '2']],
    [['--mbit', 'fast']],
    [['--rtt', '0']],
    [['--method', 'magic']],
    [['stray']],
  ])('are refused for %j', (argv) => {
    expect(() => parseOptions(argv)).toThrow(SojournError);
  });
});

describe('the options', () => {
  it('keep results only of cells that had all their time', () => {
    expect(parseOptions(['--resume'])).toMatchObject({ resume: true, results: RESULTS_FILE });
    for (const argv of [['--quick'], ['--limit', '20']]) {
      const options = parseOptions([...argv, '--resume']);
      expect(options).toMatchObject({ resume: false });
      expect(options?.results).toBeUndefined();
    }
  });

  it('give each cell ten minutes, and --quick six in all', () => {
    const limit = (argv: string[]) => parseOptions(argv)?.limitMs('plain');
    expect(limit([])).toBe(600_000);
    expect(limit(['--limit', '20'])).toBe(20_000);
    const quick = parseOptions(['--quick']);
    expect(quick?.cells.map(cellName)).toEqual(['5mbit-50ms-idle-plain', '5mbit-50ms-idle-armed']);
    const limits = quick?.cells.map(({ method }) => quick.limitMs(method)) ?? [];
    expect(limits.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(120_000);
  });
});

describe('results', () => {
  it('are found again by another run, the newest of a cell', async () => {
    const path = join(directory, 'sub', 'results.jsonl');
    const file = new ResultsFile(path);
    expect(file.find(cell)).toBeUndefined();
    await file.keep({ ...measured, blackoutMs: 1 });
    await file.keep(measured);
    await file.keep({ ...measured, method: 'cold' });
    const again = new ResultsFile(path);
    expect(again.find(cell)).toEqual(measured);
    expect(again.find({ ...cell, method: 'cold' })?.method).toBe('cold');
    expect(again.find({ ...cell, method: 'plain' })).toBeUndefined();
  });

  it('say what was left of a cell that took too long', () => {
    const late = notConverged(cell, 480_250_000, { upkeepKBps: 10.04, upkeepCpuPct: 3.96 });
    expect(result.parse(late)).toEqual({
      ...cell,
      ...{ triggerToRunningMs: null, blackoutMs: null, packetsLost: null, tcpBroken: null },
      ...{ bytesAfterTrigger: null, upkeepKBps: 10, upkeepCpuPct: 4 },
      note: 'did not converge, 480.3 MB left',
    });
    expect(notConverged(cell, Number.NaN, undefined).note).toContain('unknown');
  });

  it('are told in a table, with the note of one that took too long', () => {
    const text = table([measured, notConverged({ ...cell, method: 'plain' }, 1e6, undefined)]);
    for (const part of ['0.346 s', '120.5 ms', '0.123 MB', '12.3 KB/s', '2.1 %'])
      expect(text).toContain(part);
    expect(text).toContain('did not converge, 1.0 MB left');
  });
});

describe('the upkeep', () => {
  it('is what an armed guest uses above the unarmed one', () => {
    const unarmed = { seconds: 30, linkBytes: 30_000, cpuSeconds: 3 };
    const armed = { seconds: 20, linkBytes: 220_000, cpuSeconds: 2.4 };
    const { upkeepKBps, upkeepCpuPct } = upkeepBetween(unarmed, armed);
    expect(upkeepKBps).toBeCloseTo(10, 6);
    expect(upkeepCpuPct).toBeCloseTo(2, 6);
  });

  it('counts processes that began in between, and not those that were there', () => {
    const use = (pid: number, cpuSeconds: number): ProcessUse => ({
      ...{ pid, cpuSeconds, name: 'x', residentBytes: 0, descriptors: 0 },
    });
    expect(cpuSecondsBetween([use(1, 5), use(2, 1)], [use(1, 6), use(3, 2)])).toBeCloseTo(3, 6);
  });
});

describe('the guest as a libvirt domain', () => {
  const argv = [
    ...['qemu-system-x86_64', '-name', 'guest=demo,debug-threads=on', '-uuid', 'u-1'],
    ...['-machine', 'type=pc-q35-10.0,hpet=off,usb=off', '-accel', 'tcg,thread=multi,tb-size=256'],
    ...['-cpu', 'Nehalem,enforce', '-m', 'size=1024M', '-kernel', '/k', '-initrd', '/i'],
    ...['-append', 'console=ttyS0 "a" & <b>', '-chardev', 'socket,id=qmp,path=/q'],
    ...['-netdev', '{"type":"stream","id":"net0"}', '-device', 'virtio-net-pci,netdev=net0'],
    ...['-blockdev', '{"node-name":"disk0"}', '-device', 'virtio-blk-pci,drive=disk0'],
  ];

  it('hands on what libvirt need not know, and leaves it the disk', () => {
    const xml = domainXml({ argv, overlayPath: '/o/disk0.qcow2', qemu: '/bin/qemu' });
    expect(xml).toContain("<memory unit='MiB'>1024</memory>");
    expect(xml).toContain("machine='pc-q35-10.0'");
    expect(xml).toContain("<qemu:arg value='hpet=off,usb=off'/>");
    expect(xml).toContain("<qemu:arg value='virtio-net-pci,netdev=net0'/>");
    expect(xml).toContain("<source file='/o/disk0.qcow2'/>");
    expect(xml).toContain('<cmdline>console=ttyS0 &#34;a&#34; &#38; &#60;b&#62;</cmdline>');
    expect(xml).not.toContain('virtio-blk-pci,drive');
    expect(xml).not.toContain('blockdev');
  });

  it('is refused for a command line that is not of a guest', () => {
    expect(() => domainXml({ argv: ['qemu'], overlayPath: '/o', qemu: '/q' })).toThrow(/machine/);
  });
});
