/**
 * Wi-Fi of Windows, from `netsh wlan show interfaces`. Its labels are translated, so nothing is read by label: addresses, percentages,
 * dBm and `802.11..` are recognized by their shape, channel and rates by their place.
 */
import type { LinkSample } from '../sample.ts';
import { bandNamed, channelFrequencyMhz } from './channel.ts';
import { ask, failure } from './command.ts';
import { PollingSensor } from './polling.ts';
import type { LinkSensor, SensorCapabilities } from './sensor.ts';

const capabilities: SensorCapabilities = {
  signal: 'coarse',
  rates: true,
  counters: false,
  beaconLoss: false,
  events: false,
  fastestMs: 1000,
};
const MAC = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i;

export type Reading = Omit<LinkSample, 'atMs'>;

/** Undefined for text without a wireless interface. */
export function parseNetsh(text: string): Reading | undefined {
  const lines = text.split(/\r?\n/).flatMap((line) => {
    const [, label = '', value] = /^\s+(\S.*?)\s*:\s+(\S.*?)\s*$/.exec(line) ?? [];
    return value === undefined ? [] : [{ label, value }];
  });
  const addresses = lines.flatMap(({ value }, index) => (MAC.test(value) ? [index] : []));
  const [own, ap] = addresses;
  if (own === undefined) return undefined;
  const percent = lines
    .map(({ value }) => /^(\d{1,3})\s*%$/.exec(value)?.[1])
    .find((one) => one !== undefined);
  if (ap === undefined || percent === undefined) return { medium: 'wifi', connected: false };
  const after = lines.slice(ap + 1);
  const band = after
    .map(({ value }) => /^(2[.,]4|5|6)\s*\S?(?:GHz|ГГц|Ггц)/i.exec(value)?.[1])
    .find((one) => one !== undefined);
  // Channel, receive rate, transmit rate come in this order on every system; the signal ends them.
  const end = after.findIndex(({ value }) => /^\d{1,3}\s*%$/.test(value));
  const plain = after
    .slice(0, end)
    .flatMap(({ value }) => (/^\d+(?:[.,]\d+)?$/.test(value) ? [decimal(value)] : []));
  const [channel, receive, transmit] = plain;
  const dbm = after
    .map(({ value }) => /^-\d{1,3}$/.exec(value)?.[0])
    .find((one) => one !== undefined);
  const frequencyMhz = channelFrequencyMhz(
    channel ?? Number.NaN,
    bandNamed(band?.replace(',', '.')),
  );
  const ssid = lines.slice(own + 1, ap).findLast(({ label }) => /SSID/i.test(label))?.value;
  return {
    medium: 'wifi',
    connected: true,
    // WLAN_ASSOCIATION_ATTRIBUTES: 0 % is -100 dBm, 100 % is -50 dBm.
    signalDbm: dbm === undefined ? Number(percent) / 2 - 100 : Number(dbm),
    ...(frequencyMhz === undefined ? {} : { frequencyMhz }),
    ...(receive === undefined ? {} : { rxRateMbps: receive }),
    ...(transmit === undefined ? {} : { txRateMbps: transmit }),
    ...(ssid === undefined ? {} : { network: ssid }),
    bssid: (lines[ap]?.value ?? '').toLowerCase().replaceAll('-', ':'),
  };
}

function decimal(text: string): number {
  return Number(text.replace(',', '.'));
}

export function windowsWifiSensor(now: () => number = () => performance.now()): LinkSensor {
  return new PollingSensor({
    name: 'netsh',
    capabilities,
    intervalMs: { fast: 1000, slow: 10_000 },
    now,
    read: async (signal) => {
      const found = parseNetsh(await ask('netsh', ['wlan', 'show', 'interfaces'], signal));
      if (found === undefined)
        throw failure('sensor-missing', 'There is no Wi-Fi interface', 'Switch Wi-Fi on');
      return { atMs: now(), ...found };
    },
  });
}
