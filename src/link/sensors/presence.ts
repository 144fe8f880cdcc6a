/** Which ways to the network are there (sysfs), and the battery. Both cost next to nothing and are asked every few seconds. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Medium } from '../sample.ts';

export interface InterfacePresence {
  readonly name: string;
  readonly medium: Medium;
  readonly up: boolean;
}

/** Hardware interfaces of `/sys/class/net`; bridges, tunnels and the like have no device and are left out. */
export async function readInterfaces(root = '/sys/class/net'): Promise<InterfacePresence[]> {
  const names = await readdir(root).catch((): string[] => []);
  const found = await Promise.all(names.map((name) => readInterface(join(root, name), name)));
  return found.filter((one) => one !== undefined).sort((a, b) => a.name.localeCompare(b.name));
}

async function readInterface(folder: string, name: string): Promise<InterfacePresence | undefined> {
  const [entries, uevent, type, state] = await Promise.all([
    readdir(folder).catch((): string[] => []),
    text(join(folder, 'uevent')),
    text(join(folder, 'type')),
    text(join(folder, 'operstate')),
  ]);
  if (!entries.includes('device')) return undefined;
  const wireless =
    entries.includes('wireless') || entries.includes('phy80211') || /^DEVTYPE=wlan$/m.test(uevent);
  const mobile = /^DEVTYPE=wwan$/m.test(uevent) || /^(wwan|ppp|rmnet)/.test(name);
  // ARPHRD_ETHER; a modem's interface may be of another type.
  if (!wireless && !mobile && type.trim() !== '1') return undefined;
  const up =
    state.trim() === 'up' ||
    (state.trim() === 'unknown' && (await text(join(folder, 'carrier'))).trim() === '1');
  return { name, medium: wireless ? 'wifi' : mobile ? 'mobile' : 'ethernet', up };
}

export interface BatteryState {
  /** 0 to 1. */
  readonly charge: number;
  readonly onMains: boolean;
}

/** Undefined without a battery. */
export async function readBattery(
  root = '/sys/class/power_supply',
): Promise<BatteryState | undefined> {
  const names = await readdir(root).catch((): string[] => []);
  const supplies = await Promise.all(
    names.map(async (name) => {
      const [type, scope, capacity, status, online] = await Promise.all(
        ['type', 'scope', 'capacity', 'status', 'online'].map(async (file) =>
          (await text(join(root, name, file))).trim(),
        ),
      );
      return { type, scope, capacity: Number(capacity || Number.NaN), status, online };
    }),
  );
  // Those of mice and headsets have the scope "Device".
  const batteries = supplies.filter(
    ({ type, scope, capacity }) =>
      type === 'Battery' && scope !== 'Device' && Number.isFinite(capacity),
  );
  if (batteries.length === 0) return undefined;
  const charge =
    batteries.reduce((sum, { capacity }) => sum + (capacity as number), 0) / batteries.length / 100;
  const mains = supplies.some(({ type, online }) => type !== 'Battery' && online === '1');
  const charging = batteries.some(({ status }) => status === 'Charging' || status === 'Full');
  return { charge: Math.min(Math.max(charge, 0), 1), onMains: mains || charging };
}

function text(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '');
}
