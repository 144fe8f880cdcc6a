/** Wi-Fi of Linux, from `iw`: figures of nl80211 without native code. */
import type { LinkSample } from '../sample.ts';
import { Asker } from './asker.ts';
import { failure } from './command.ts';
import { type IwLink, parseIwDevices, parseIwLink, parseIwStation } from './iw-text.ts';
import { PollingSensor } from './polling.ts';
import type { LinkSensor, SensorCapabilities } from './sensor.ts';
import { Shell } from './shell.ts';

export const linuxCapabilities: SensorCapabilities = {
  signal: 'dbm',
  rates: true,
  counters: true,
  beaconLoss: true,
  events: true,
  fastestMs: 500,
};

/** `station dump` lacks frequency and name of the network: `link` is asked this often, and when anything changes. */
const LINK_EVERY_MS = 10_000;
const ANSWER_MS = 1500;
const EVENT_RETRY_MS = 30_000;
const MAX_EVENT_LINE = 4096;

export interface LinuxSensorOptions {
  /** Default: the first interface in station mode. */
  readonly interfaceName?: string;
  readonly iw?: string;
  /** How long a call may take, and how long the sensor waits after a failure, first and at most. */
  readonly limits?: { readonly answerMs: number; readonly retryMs: readonly [number, number] };
  readonly now?: () => number;
}

export function linuxWifiSensor(options: LinuxSensorOptions = {}): LinkSensor {
  const iw = options.iw ?? 'iw';
  const now = options.now ?? (() => performance.now());
  const answerMs = options.limits?.answerMs ?? ANSWER_MS;
  const asker = new Asker(iw);
  let device = options.interfaceName;
  let link: IwLink | undefined;
  let linkAtMs = Number.NEGATIVE_INFINITY;

  const read = async (signal: AbortSignal): Promise<LinkSample> => {
    device ??= parseIwDevices(await asker.ask(['dev'], signal, answerMs))[0];
    if (device === undefined)
      throw failure('sensor-missing', 'There is no Wi-Fi interface', 'Switch Wi-Fi on');
    try {
      const station = parseIwStation(
        await asker.ask(['dev', device, 'station', 'dump'], signal, answerMs),
      );
      const stale =
        now() - linkAtMs >= LINK_EVERY_MS ||
        link?.connected !== true ||
        station?.bssid !== link.bssid;
      if (stale) {
        const text = await asker.ask(['dev', device, 'link'], signal, answerMs);
        link = parseIwLink(text);
        linkAtMs = now();
        if (link === undefined)
          throw failure(
            'sensor-failed',
            'iw printed something unknown',
            `Run "iw dev ${device} link"`,
          );
      }
      const known = link as IwLink;
      if (!known.connected) return { atMs: now(), medium: 'wifi', connected: false };
      const { ssid, ...rest } = known;
      const network = ssid === undefined ? {} : { network: ssid };
      return { atMs: now(), medium: 'wifi', ...rest, ...network, ...station, connected: true };
    } catch (error) {
      // The next attempt looks for the interface again: it may have been renamed or replaced.
      device = options.interfaceName;
      linkAtMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
  };

  return new PollingSensor({
    name: 'iw',
    capabilities: linuxCapabilities,
    intervalMs: { fast: 500, slow: 5000 },
    read,
    close: () => asker.close(),
    watch: (changed, signal) =>
      watchEvents(iw, signal, () => {
        linkAtMs = Number.NEGATIVE_INFINITY;
        changed();
      }),
    ...(options.now === undefined ? {} : { now: options.now }),
    ...(options.limits === undefined ? {} : { retryMs: options.limits.retryMs }),
  });
}

/** Closes its own output, so that the end of `iw event` is seen; ends it when the input ends. */
const EVENTS = '"$0" event & p=$!; exec >&-; read -r _; kill "$p" 2>/dev/null; wait "$p"';

/** `iw event`, begun again when it ends, until the signal aborts. Without it the sensor still reads. */
async function watchEvents(iw: string, signal: AbortSignal, changed: () => void): Promise<void> {
  while (!signal.aborted) {
    let line = '';
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const shell = new Shell(EVENTS, iw, {
      output: (text) => {
        line += text;
        const lines = line.split('\n');
        line = (lines.pop() ?? '').slice(-MAX_EVENT_LINE);
        if (lines.some(isChange)) changed();
      },
      outputEnded: end,
      ended: end,
    });
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    await ended;
    signal.removeEventListener('abort', end);
    await shell.kill();
    await pause(EVENT_RETRY_MS, signal);
  }
}

/** `wlan0 (phy #0): disconnected (by AP) reason: 4: ...`, `... connected to`, `... roamed to`, `connection quality monitor: beacon loss event`. */
function isChange(line: string): boolean {
  return /\b(?:disconnected|connected to|roamed|beacon loss|ch_switch|deauth|disassoc)\b/i.test(
    line,
  );
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
