import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SojournError } from '../../src/common/index.ts';
import { mappingOf } from '../lab/gateways.ts';
import type { Figures } from './figures.ts';
import { parseOptions } from './options.ts';
import { translationComplaints } from './translation/verdict.ts';
import { readWire, type WireFigures } from './translation/wire.ts';

const directory = mkdtempSync(join(tmpdir(), 'translation-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the option --topology', () => {
  it('is the device unless said otherwise', () => {
    expect(parseOptions([])?.topology).toBe('device');
    expect(parseOptions(['--topology', 'translation'])?.topology).toBe('translation');
  });

  it.each([
    ['another one', ['--topology', 'moon']],
    ['a recording', ['--topology', 'translation', '--trace']],
    ['a look afterwards', ['--topology', 'translation', '--keep']],
  ])('refuses %s', (_, argv) => {
    expect(() => parseOptions(argv)).toThrow(SojournError);
  });
});

describe('the verdict', () => {
  const move = {
    ...{ from: 'site-a', to: 'site-b', kind: 'cold' as const, triggerToRunningMs: 700 },
    ...{ blackoutMs: 150, packetsSent: 6000, packetsLost: 30, tcpBroken: 0, bytesOnLink: 9e7 },
    diskRecordsOk: true,
  };
  const good: Figures = {
    baseline: { plainQemuBlackoutMs: 100, plainQemuTotalMs: 700 },
    handoffs: [move, { ...move, from: 'site-b', to: 'site-a' }],
    reports: { received: 100, stepsBack: 0, boots: 1 },
  };
  const wire: WireFigures = {
    homePackets: 0,
    mobilePackets: 20,
    mobilePacketsOf: { 'site-a': 10, 'site-b': 10 },
  };
  const first = (change: Partial<typeof move>): Figures => ({
    ...good,
    handoffs: [{ ...move, ...change }, move],
  });

  it('finds nothing wrong with a good run, whose packets under way at the switchover are lost', () => {
    expect(translationComplaints(good, wire)).toEqual([]);
    expect(translationComplaints(first({ blackoutMs: 200 }), wire)).toEqual([]);
  });

  it.each<[string, Figures, WireFigures]>([
    [
      'a blackout above one and a half of the plain one and 50 ms',
      first({ blackoutMs: 200.1 }),
      wire,
    ],
    ['one without an end', first({ blackoutMs: Number.POSITIVE_INFINITY }), wire],
    ['a broken connection', first({ tcpBroken: 1 }), wire],
    ['nothing sent', first({ packetsSent: 0 }), wire],
    ['nothing answered', first({ packetsLost: 6000 }), wire],
    ['records out of order', first({ diskRecordsOk: false }), wire],
    ['one move', { ...good, handoffs: [move] }, wire],
    ['nothing to compare with', { ...good, baseline: undefined }, wire],
    ['a second boot', { ...good, reports: { ...good.reports, boots: 2 } }, wire],
    ['a home address on the wire', good, { ...wire, homePackets: 1 }],
    [
      'no mobile address of a site',
      good,
      { ...wire, mobilePacketsOf: { 'site-a': 10, 'site-b': 0 } },
    ],
  ])('complains of %s', (_, figures, seen) => {
    expect(translationComplaints(figures, seen).length).toBeGreaterThan(0);
  });
});

describe('what is read from the wire', () => {
  const mapping = mappingOf({
    ...{ name: 'one', number: 2, mac: '52:54:00:00:00:02', place: 'site-a' },
  });
  const address = (text: string) => Buffer.from(text.split('.').map(Number));
  const packet = (source: string, destination: string, protocol: number, payload: Buffer) => {
    const header = Buffer.alloc(20);
    header[0] = 0x45;
    header[9] = protocol;
    address(source).copy(header, 12);
    address(destination).copy(header, 16);
    return Buffer.concat([header, payload]);
  };
  const capture = (name: string, packets: Buffer[]) => {
    const file = Buffer.alloc(24);
    file.writeUInt32LE(0xa1b2c3d4, 0);
    file.writeUInt32LE(1, 20);
    const records = packets.map((each) => {
      const frame = Buffer.concat([Buffer.alloc(12), Buffer.from([8, 0]), each]);
      const head = Buffer.alloc(16);
      head.writeUInt32LE(frame.length, 8);
      head.writeUInt32LE(frame.length, 12);
      return Buffer.concat([head, frame]);
    });
    writeFileSync(join(directory, name), Buffer.concat([file, ...records]));
  };

  it('counts addresses outside, and inside of what an error quotes', () => {
    const udp = Buffer.alloc(8);
    const quoting = (quoted: Buffer) =>
      Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), quoted]);
    capture('site-a.pcap', [
      packet('198.18.10.2', '203.0.113.10', 17, udp),
      packet('203.0.113.10', '198.18.20.2', 17, udp),
      packet('203.0.113.10', '198.18.10.77', 17, udp),
      packet(
        '203.0.113.10',
        '198.18.10.2',
        1,
        quoting(packet('198.18.10.2', '203.0.113.10', 17, udp)),
      ),
    ]);
    expect(readWire(directory, mapping)).toEqual({
      homePackets: 0,
      mobilePackets: 3,
      mobilePacketsOf: { 'site-a': 2, 'site-b': 1 },
    });
    capture('site-b.pcap', [
      packet(
        '198.51.100.1',
        '198.18.10.2',
        1,
        quoting(packet('192.0.2.2', '203.0.113.10', 17, udp)),
      ),
      packet('203.0.113.10', '192.0.2.2', 17, udp),
    ]);
    expect(readWire(directory, mapping).homePackets).toBe(2);
  });
});
