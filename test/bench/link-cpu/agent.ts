/** The processor time of a device's agent with a running guest, with and without a link to watch. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TwoPlaces } from '../../integration/two-places.ts';
import { processStat } from '../proc-stat.ts';
import { writeIw } from './iw.ts';
import { LINKS } from './links.ts';

const WARM_UP_S = 10;

export interface AgentCost {
  readonly name: string;
  /** Of a core, above that of the same agent without Wi-Fi. */
  readonly percent: number;
  readonly unwatchedPercent: number;
}

/** `folder` is ours: the stand-in is written there. */
export async function measureAgent(folder: string, seconds: number): Promise<AgentCost[]> {
  const iw = join(folder, 'iw');
  const places = await TwoPlaces.create();
  try {
    const measure = async () => {
      const { device } = places;
      await device.terminate();
      await device.start(['env', `PATH=${folder}:${process.env.PATH}`]);
      await sleep(WARM_UP_S * 1000);
      const before = usedSeconds(device.pid);
      await sleep(seconds * 1000);
      const watching = ((await device.status()).link?.signalDbm ?? null) !== null;
      return { watching, percent: (100 * (usedSeconds(device.pid) - before)) / seconds };
    };
    await rm(iw, { force: true });
    const unwatched = await measure();
    if (unwatched.watching)
      throw new Error('this machine has Wi-Fi of its own: nothing to compare');
    const costs: AgentCost[] = [];
    for (const { name, dbm } of LINKS) {
      await writeIw(iw, dbm);
      const { watching, percent } = await measure();
      if (!watching) throw new Error('the agent does not watch the link');
      costs.push({
        name,
        percent: percent - unwatched.percent,
        unwatchedPercent: unwatched.percent,
      });
    }
    return costs;
  } finally {
    await places.close();
  }
}

/** By a process and its children that have ended. */
function usedSeconds(pid: number): number {
  const { cpuSeconds, childrenCpuSeconds } = processStat(pid);
  return cpuSeconds + childrenCpuSeconds;
}
