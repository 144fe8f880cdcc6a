export { Capture } from './capture.ts';
export type { Target } from './commands.ts';
export { nanoseconds, ProbeLog } from './log.ts';
export { Probes } from './probes.ts';
