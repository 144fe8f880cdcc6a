import { SojournError } from '../../common/index.ts';
import { linuxWifiSensor } from './linux.ts';
import { macosWifiSensor } from './macos.ts';
import type { LinkSensor } from './sensor.ts';
import { windowsWifiSensor } from './windows.ts';

/** Capabilities are data: what is not here has no sensor, and the policy relies on probes alone. */
const sensors: Readonly<Partial<Record<NodeJS.Platform, () => LinkSensor>>> = {
  linux: () => linuxWifiSensor(),
  darwin: () => macosWifiSensor({ root: process.geteuid?.() === 0 }),
  win32: () => windowsWifiSensor(),
};

/** The Wi-Fi sensor of this machine. Throws `sensor-missing` on a system that has none. */
export function wifiSensor(platform: NodeJS.Platform = process.platform): LinkSensor {
  const make = sensors[platform];
  if (make !== undefined) return make();
  throw new SojournError({
    kind: 'requirement',
    code: 'sensor-missing',
    message: `There is no link sensor for ${platform}`,
    remedy: 'Hand over by hand, or replay a recording',
  });
}
