/**
 * The CSV of adamiaonr/wifi-vehicles: one row a second and link; `rssiMean` is the mean of the second's frames, -100 when there were
 * none; `nBytesReceived` is what a UDP sender, faster than the link, got through; `isIperfOn` says whether it was sending.
 */
import { SojournError } from '../../common/index.ts';
import { splitAtHoles, type Trace, type TraceRow } from './trace.ts';

const NO_FRAMES_DBM = -100;
const SECOND_MS = 1000;
const needed = ['systime', 'rssiMean', 'dataRateMean', 'nBytesReceived', 'channelFreq'];

export function isVehiclesCsv(firstLine: string): boolean {
  const names = firstLine.trim().split(',');
  return needed.every((name) => names.includes(name));
}

/** One trace for each pair of sender and receiver. Throws `trace-malformed`. */
export function parseVehiclesCsv(name: string, text: string): Trace[] {
  const [header = '', ...lines] = text.split(/\r?\n/);
  const names = header.trim().split(',');
  const links = new Map<string, Map<number, TraceRow>>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const cells = line.split(',');
    const text = (column: string) => cells[names.indexOf(column)]?.trim() ?? '';
    const number = (column: string) => Number(text(column) === '' ? Number.NaN : text(column));
    const second = number('systime');
    const signalDbm = number('rssiMean');
    if (cells.length !== names.length || !Number.isFinite(second)) throw malformed(name, index + 2);
    // A receiver that heard nothing writes -100, or nothing at all.
    const connected = Number.isFinite(signalDbm) && signalDbm > NO_FRAMES_DBM && signalDbm < 0;
    const rate = number('dataRateMean');
    const frequency = number('channelFreq');
    const sender = text('senderId');
    const on = text('isIperfOn');
    const bytes = number('nBytesReceived');
    const link = `${sender}-${text('receiverId')}-${frequency}`;
    const rows = links.get(link) ?? new Map<number, TraceRow>();
    links.set(link, rows);
    // The first row of a second counts.
    if (rows.has(second)) continue;
    rows.set(second, {
      sample: {
        // A mean is known when its second is over.
        atMs: (second + 1) * SECOND_MS,
        medium: 'wifi',
        connected,
        ...(connected ? { signalDbm, bssid: sender } : {}),
        ...(connected && rate > 0 ? { rxRateMbps: rate } : {}),
        ...(frequency > 0 ? { frequencyMhz: frequency } : {}),
      },
      startMs: second * SECOND_MS,
      durationMs: SECOND_MS,
      capacityBytes: Number.isFinite(bytes) ? Math.max(bytes, 0) : 0,
      ...(on === '' ? {} : { offered: Number(on) > 0 }),
    });
  }
  return [...links].flatMap(([link, rows]) => {
    const ordered = [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);
    return splitAtHoles(`${name}:${link}`, 'vehicles', ordered);
  });
}

function malformed(name: string, line: number): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'trace-malformed',
    message: `${name} is no table of wireless links: line ${line} cannot be read`,
    remedy:
      'Give a recording made by "sojourn link record", or one of the formats of the link bench',
  });
}
