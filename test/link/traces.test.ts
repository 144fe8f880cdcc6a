import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadTraces, RecordingWriter } from '../../src/link/index.ts';
import { parseTrace } from '../../src/link/traces/load.ts';

const traces = join(import.meta.dirname, '../../resources/traces');

describe('recordings of vehicles', () => {
  const header =
    'senderId,receiverId,systime,channelFreq,isIperfOn,rssiMean,dataRateMean,nBytesReceived';

  test('one trace a link; a mean is known when its second is over; -100 is silence', () => {
    const text = [
      header,
      'ap1,w2,100,2437,1.0,-50.5,69.6,3000',
      'ap2,m1,100,5190,1.0,-60,120,9000',
      'ap1,w2,101,2437,0.0,-100.0,0.0,0',
      '',
    ].join('\n');
    const [first, second] = parseTrace('x.csv', text) ?? [];
    expect(second?.rows).toHaveLength(1);
    expect(first?.id).toBe('x.csv:ap1-w2-2437');
    expect(first?.rows).toEqual([
      {
        startMs: 100_000,
        durationMs: 1000,
        capacityBytes: 3000,
        offered: true,
        sample: {
          atMs: 101_000,
          medium: 'wifi',
          connected: true,
          signalDbm: -50.5,
          bssid: 'ap1',
          rxRateMbps: 69.6,
          frequencyMhz: 2437,
        },
      },
      {
        startMs: 101_000,
        durationMs: 1000,
        capacityBytes: 0,
        offered: false,
        sample: { atMs: 102_000, medium: 'wifi', connected: false, frequencyMhz: 2437 },
      },
    ]);
  });

  test('rows in any order, columns in any order, holes begin another trace', () => {
    const text = [
      'nBytesReceived,rssiMean,dataRateMean,channelFreq,systime',
      '1,-60,10,5180,130',
      '1,-60,10,5180,101',
      '1,-60,10,5180,100',
    ].join('\r\n');
    expect(parseTrace('x', text)?.map(({ id, rows }) => [id, rows.length])).toEqual([
      ['x:-undefined-5180'.replace('undefined', ''), 2],
      ['x:--5180#2', 1],
    ]);
  });

  test('a row that cannot be read is named', () => {
    expect(() => parseTrace('x.csv', `${header}\nap1,w2,soon,2437,1,-50,1,1`)).toThrow(/line 2/);
  });
});

describe('dumps of iw', () => {
  const row = (seconds: number, phy: string) =>
    JSON.stringify({ timestamp: seconds * 1e9, payload: { phy } });
  const connected = (rate: number) =>
    `Connected to 58:11:22:27:c5:d4 (on wlan0)\n\tSSID: x\n\tfreq: 2417\n\tsignal: -53 dBm\n\ttx bitrate: ${rate} MBit/s\n`;

  test('capacity is a share of the bit rate; what the recorder lost is left out', () => {
    const text = [
      row(10, connected(80)),
      row(10.5, ''),
      '{"timestamp": 1, "payl',
      row(11, 'Not connected.\n'),
      row(11.5, connected(8)),
    ].join('\n');
    const [trace] = parseTrace('dump', text) ?? [];
    expect(
      trace?.rows.map(({ sample, durationMs, capacityBytes }) => [
        sample.connected,
        durationMs,
        Math.round(capacityBytes ?? -1),
      ]),
    ).toEqual([
      [true, 1000, 3_400_000],
      [false, 500, 0],
      [true, 0, 0],
    ]);
  });
});

describe('our own recordings', () => {
  const sample = {
    atMs: 5000.4,
    medium: 'wifi',
    connected: true,
    signalDbm: -61,
    frequencyMhz: 5220,
    bssid: '58:11:22:27:c5:d4',
    network: 'Home of the Smiths',
  } as const;

  test('come back as they were, without names and from time zero', () => {
    const writer = new RecordingWriter();
    const text =
      writer.header() +
      writer.line(sample) +
      writer.line({ ...sample, atMs: 5500, bssid: '58:11:22:27:c5:d8' }) +
      writer.line({ ...sample, atMs: 6000 });
    expect(text).not.toMatch(/Smith|58:11/);
    const [trace] = parseTrace('own', text) ?? [];
    expect(
      trace?.rows.map((row) => [row.sample.atMs, row.sample.bssid, row.sample.network]),
    ).toEqual([
      [0, 'ap1', 'net1'],
      [500, 'ap2', 'net1'],
      [1000, 'ap1', 'net1'],
    ]);
  });

  test('have names when they are asked for', () => {
    const writer = new RecordingWriter({ names: true });
    expect(writer.line(sample)).toContain('Home of the Smiths');
  });

  test('cut off at any byte they still can be read', () => {
    const writer = new RecordingWriter();
    const text = writer.header() + writer.line(sample) + writer.line({ ...sample, atMs: 5500 });
    const header = text.indexOf('\n') + 1;
    for (let end = header; end <= text.length; end++) {
      const rows = parseTrace('own', text.slice(0, end))?.flatMap((trace) => trace.rows) ?? [];
      expect(rows.length).toBeLessThanOrEqual(2);
      for (const row of rows) expect(row.sample.signalDbm).toBe(-61);
    }
  });

  test('values that no link has are left out', () => {
    const line = JSON.stringify({ atMs: 0, medium: 'wifi', connected: true, signalDbm: -900 });
    expect(parseTrace('own', `${new RecordingWriter().header()}${line}\n`)).toEqual([]);
  });
});

test('unknown formats are passed over in folders and refused by name', async () => {
  expect(parseTrace('x', 'hello\nworld')).toBeUndefined();
  await expect(loadTraces(join(traces, 'perama/LICENSE'))).rejects.toThrow(/no recording/);
  await expect(loadTraces(join(traces, 'nothing'))).rejects.toMatchObject({
    code: 'trace-missing',
  });
});

test('the recordings of this repository', async () => {
  const all = await loadTraces(traces);
  expect(all.filter(({ format }) => format === 'vehicles')).toHaveLength(4);
  expect(all.filter(({ format }) => format === 'iw-dumps')).toHaveLength(42);
});
