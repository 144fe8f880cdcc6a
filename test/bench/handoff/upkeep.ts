/** What a guest costs while nothing is asked of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../../lab/index.ts';
import { cpuSecondsBetween, placeProcesses } from './processes.ts';
import type { Upkeep } from './results.ts';

const WINDOW_MS = 30_000;

export interface Observation {
  readonly seconds: number;
  /** Frames on the device's link, both ways. */
  readonly linkBytes: number;
  /** Of all processes of both places. */
  readonly cpuSeconds: number;
}

export async function observe(lab: Lab, signal: AbortSignal): Promise<Observation> {
  const look = async () => ({
    at: performance.now(),
    bytes: Object.values(await lab.link.statistics()).reduce(
      (sum, { bytesOut }) => sum + bytesOut,
      0,
    ),
    processes: placeProcesses(lab),
  });
  const before = await look();
  await sleep(WINDOW_MS, undefined, { signal });
  const after = await look();
  return {
    seconds: (after.at - before.at) / 1000,
    linkBytes: after.bytes - before.bytes,
    cpuSeconds: cpuSecondsBetween(before.processes, after.processes),
  };
}

/** Less than nothing where noise is larger than the upkeep. */
export function upkeepBetween(unarmed: Observation, armed: Observation): Upkeep {
  const kbps = ({ linkBytes, seconds }: Observation) => linkBytes / 1000 / seconds;
  const percent = ({ cpuSeconds, seconds }: Observation) => (cpuSeconds / seconds) * 100;
  return {
    upkeepKBps: kbps(armed) - kbps(unarmed),
    upkeepCpuPct: percent(armed) - percent(unarmed),
  };
}
