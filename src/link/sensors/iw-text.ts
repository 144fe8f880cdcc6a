/** The text that `iw` prints (with LC_ALL=C; `iw` itself is not translated). */

export interface IwLink {
  readonly connected: boolean;
  readonly bssid?: string;
  readonly ssid?: string;
  readonly frequencyMhz?: number;
  readonly signalDbm?: number;
  readonly txRateMbps?: number;
  readonly rxRateMbps?: number;
  readonly txBytes?: number;
  readonly rxBytes?: number;
}

/** `iw dev X link`; undefined when the text is neither a link nor `Not connected.` */
export function parseIwLink(text: string): IwLink | undefined {
  if (/^Not connected\./m.test(text)) return { connected: false };
  const bssid = /^(?:Connected to|Joined IBSS) ([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b/im.exec(
    text,
  )?.[1];
  if (bssid === undefined) return undefined;
  return defined({
    connected: true,
    bssid: bssid.toLowerCase(),
    ssid: /^\s*SSID: (.*)$/m.exec(text)?.[1],
    frequencyMhz: figure(text, /^\s*freq: ([\d.]+)/m),
    signalDbm: figure(text, /^\s*signal: (-?\d+(?:\.\d+)?) dBm/m),
    txRateMbps: figure(text, /^\s*tx bitrate: ([\d.]+) MBit\/s/m),
    rxRateMbps: figure(text, /^\s*rx bitrate: ([\d.]+) MBit\/s/m),
    txBytes: figure(text, /^\s*TX: (\d+) bytes/m),
    rxBytes: figure(text, /^\s*RX: (\d+) bytes/m),
  });
}

export interface IwStation {
  readonly bssid: string;
  readonly signalDbm?: number;
  readonly txRateMbps?: number;
  readonly rxRateMbps?: number;
  readonly txPackets?: number;
  readonly txRetries?: number;
  readonly txFailed?: number;
  readonly beaconLoss?: number;
  readonly txBytes?: number;
  readonly rxBytes?: number;
}

/** The first station of `iw dev X station dump`: a client has one, its access point. */
export function parseIwStation(text: string): IwStation | undefined {
  const [, bssid, rest] =
    /^Station ([0-9a-f]{2}(?::[0-9a-f]{2}){5}) \(on [^)]*\)\n?((?:[ \t].*(?:\n|$))*)/im.exec(
      text,
    ) ?? [];
  if (bssid === undefined || rest === undefined) return undefined;
  return defined({
    bssid: bssid.toLowerCase(),
    signalDbm: figure(rest, /^\s*signal:\s*(-?\d+(?:\.\d+)?)/m),
    txRateMbps: figure(rest, /^\s*tx bitrate:\s*([\d.]+) MBit\/s/m),
    rxRateMbps: figure(rest, /^\s*rx bitrate:\s*([\d.]+) MBit\/s/m),
    txPackets: figure(rest, /^\s*tx packets:\s*(\d+)/m),
    txRetries: figure(rest, /^\s*tx retries:\s*(\d+)/m),
    txFailed: figure(rest, /^\s*tx failed:\s*(\d+)/m),
    beaconLoss: figure(rest, /^\s*beacon loss:\s*(\d+)/m),
    txBytes: figure(rest, /^\s*tx bytes:\s*(\d+)/m),
    rxBytes: figure(rest, /^\s*rx bytes:\s*(\d+)/m),
  });
}

/** Interfaces in station mode of `iw dev`, in the order printed. */
export function parseIwDevices(text: string): string[] {
  return text
    .split(/^\s*Interface /m)
    .slice(1)
    .filter((block) => /^\s*type managed$/m.test(block))
    .map((block) => /^\S+/.exec(block)?.[0] ?? '')
    .filter((name) => /^[\w.-]{1,15}$/.test(name));
}

function figure(text: string, pattern: RegExp): number | undefined {
  const value = Number(pattern.exec(text)?.[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
