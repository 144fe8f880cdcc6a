/** Whether what processes hold grows while nothing is asked of them. */
import type { ProcessUse } from '../handoff/index.ts';

/** The first part of a run, in which caches fill, is not judged. */
const WARM_UP = 0.25;
/** Growth over the judged part that is taken for noise: the larger of the two, and descriptors. */
const NOISE_BYTES = 6 * 1024 * 1024;
const NOISE_SHARE = 0.05;
const NOISE_DESCRIPTORS = 2;

export interface Sample {
  /** Minutes since the first one. */
  readonly minutes: number;
  readonly processes: readonly ProcessUse[];
}

/** One line of `--json`; slopes by least squares over the judged part of the run. */
export interface ProcessSlope {
  readonly process: string;
  readonly pid: number;
  readonly samples: number;
  readonly residentMB: { readonly first: number; readonly last: number; readonly most: number };
  readonly residentKBPerMinute: number;
  readonly descriptors: { readonly first: number; readonly last: number; readonly most: number };
  readonly descriptorsPerMinute: number;
  readonly flat: boolean;
}

/** Of every process that was there in the whole judged part; others are short commands. */
export function slopes(samples: readonly Sample[]): ProcessSlope[] {
  const end = samples.at(-1)?.minutes ?? 0;
  const judged = samples.filter(({ minutes }) => minutes >= end * WARM_UP);
  const lasting = (judged[0]?.processes ?? []).filter(({ pid }) =>
    judged.every(({ processes }) => processes.some((each) => each.pid === pid)),
  );
  return lasting.map(({ pid, name }) => {
    const points = judged.flatMap(({ minutes, processes }) => {
      const use = processes.find((each) => each.pid === pid);
      return use === undefined ? [] : [{ minutes, use }];
    });
    const resident = points.map(({ minutes, use }) => [minutes, use.residentBytes] as const);
    const descriptors = points.map(({ minutes, use }) => [minutes, use.descriptors] as const);
    const [bytesPerMinute, descriptorsPerMinute] = [slope(resident), slope(descriptors)];
    const span = end - (judged[0]?.minutes ?? 0);
    const noise = Math.max(NOISE_BYTES, (resident[0]?.[1] ?? 0) * NOISE_SHARE);
    return {
      process: name,
      pid,
      samples: points.length,
      residentMB: extent(resident.map(([, bytes]) => Math.round(bytes / 1e5) / 10)),
      residentKBPerMinute: Math.round(bytesPerMinute / 100) / 10,
      descriptors: extent(descriptors.map(([, count]) => count)),
      descriptorsPerMinute: Math.round(descriptorsPerMinute * 1000) / 1000,
      flat: bytesPerMinute * span <= noise && descriptorsPerMinute * span <= NOISE_DESCRIPTORS,
    };
  });
}

function extent(values: readonly number[]): { first: number; last: number; most: number } {
  return { first: values[0] ?? 0, last: values.at(-1) ?? 0, most: Math.max(0, ...values) };
}

/** Least squares; 0 for fewer than two points. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (index: 0 | 1) =>
    points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const under = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return under > 0 ? over / under : 0;
}
