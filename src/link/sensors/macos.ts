/**
 * Wi-Fi of macOS. `system_profiler SPAirPortDataType -json` works without rights and has the same keys in every language, but takes a
 * second and more; `wdutil info` (root) takes a tenth of it. Names and addresses are hidden from programs without location rights.
 */
import { z } from 'zod';
import type { LinkSample } from '../sample.ts';
import { bandNamed, channelFrequencyMhz } from './channel.ts';
import { ask, failure } from './command.ts';
import { PollingSensor } from './polling.ts';
import type { LinkSensor, SensorCapabilities } from './sensor.ts';

const capabilities: SensorCapabilities = {
  signal: 'dbm',
  rates: true,
  counters: false,
  beaconLoss: false,
  events: false,
  fastestMs: 2000,
};
const HIDDEN = /^(<?redacted>?|none|)$/i;
const PROFILER_LIMIT_MS = 8000;

export type Reading = Omit<LinkSample, 'atMs'>;

const networkSchema = z.looseObject({
  _name: z.string().optional(),
  spairport_network_bssid: z.string().optional(),
  spairport_network_channel: z.union([z.string(), z.number()]).optional(),
  spairport_network_rate: z.union([z.string(), z.number()]).optional(),
  spairport_signal_noise: z.string().optional(),
});
const reportSchema = z.looseObject({
  SPAirPortDataType: z.array(
    z.looseObject({
      spairport_airport_interfaces: z
        .array(z.looseObject({ spairport_current_network_information: networkSchema.optional() }))
        .optional(),
    }),
  ),
});

/** Undefined for text that is no report. */
export function parseSystemProfiler(text: string): Reading | undefined {
  const { data } = reportSchema.safeParse(jsonOf(text));
  if (data === undefined) return undefined;
  const interfaces = data.SPAirPortDataType.flatMap(
    (part) => part.spairport_airport_interfaces ?? [],
  );
  const network = interfaces
    .map((one) => one.spairport_current_network_information)
    .find((one) => one?.spairport_signal_noise !== undefined);
  if (network === undefined) return { medium: 'wifi', connected: false };
  const [, channel, band] =
    /^(\d+)(?:\s*\((2(?:\.4)?|5|6)\s*GHz)?/.exec(String(network.spairport_network_channel ?? '')) ??
    [];
  return reading({
    signal: /(-?\d+)\s*dBm/.exec(network.spairport_signal_noise ?? '')?.[1],
    rate: String(network.spairport_network_rate ?? ''),
    channel,
    band,
    name: network._name,
    bssid: network.spairport_network_bssid,
  });
}

/** Undefined for text without the part about Wi-Fi. */
export function parseWdutil(text: string): Reading | undefined {
  const field = (name: string) =>
    new RegExp(`^\\s*${name}\\s*:\\s*(.*?)\\s*$`, 'm').exec(text)?.[1];
  const signal = /(-?\d+)/.exec(field('RSSI') ?? '')?.[1];
  if (signal === undefined) return undefined;
  // Not associated: 0 dBm.
  if (Number(signal) === 0) return { medium: 'wifi', connected: false };
  // 5g44/80, 2g6/20, 6g37/160; older: 44 (80 MHz)
  const [, band, channel] = /^(?:([256])g)?(\d+)/.exec(field('Channel') ?? '') ?? [];
  const rate = field('Tx Rate');
  return reading({ signal, rate, channel, band, name: field('SSID'), bssid: field('BSSID') });
}

interface Fields {
  readonly signal: string | undefined;
  readonly rate: string | undefined;
  readonly channel: string | undefined;
  readonly band: string | undefined;
  readonly name: string | undefined;
  readonly bssid: string | undefined;
}

function reading({ signal, rate, channel, band, name, bssid }: Fields): Reading {
  const mbps = Number.parseFloat(rate ?? '');
  const frequencyMhz = channelFrequencyMhz(Number(channel), bandNamed(band));
  return {
    medium: 'wifi',
    connected: true,
    ...(signal === undefined ? {} : { signalDbm: Number(signal) }),
    ...(mbps > 0 ? { txRateMbps: mbps } : {}),
    ...(frequencyMhz === undefined ? {} : { frequencyMhz }),
    ...(name === undefined || HIDDEN.test(name) ? {} : { network: name }),
    ...(bssid === undefined || HIDDEN.test(bssid) ? {} : { bssid: bssid.toLowerCase() }),
  };
}

export interface MacosSensorOptions {
  readonly root: boolean;
  readonly now?: () => number;
}

export function macosWifiSensor({
  root,
  now = () => performance.now(),
}: MacosSensorOptions): LinkSensor {
  return new PollingSensor({
    name: root ? 'wdutil' : 'system_profiler',
    capabilities,
    intervalMs: root ? { fast: 2000, slow: 10_000 } : { fast: 5000, slow: 20_000 },
    readTimeoutMs: PROFILER_LIMIT_MS + 500,
    now,
    read: async (signal) => {
      const found = root
        ? parseWdutil(await ask('wdutil', ['info'], signal))
        : parseSystemProfiler(
            await ask('system_profiler', ['SPAirPortDataType', '-json'], signal, PROFILER_LIMIT_MS),
          );
      if (found === undefined)
        throw failure(
          'sensor-failed',
          'macOS reported no Wi-Fi that can be read',
          'Switch Wi-Fi on',
        );
      return { atMs: now(), ...found };
    },
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
