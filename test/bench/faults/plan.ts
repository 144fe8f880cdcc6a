/** Which faults come in which phases of a handoff, and the trials that a run consists of: pure functions of a seed. */
import type { Side, SourceStage } from '../../integration/two-places.ts';

export interface PhaseFacts {
  /** The guest stands by before. */
  readonly standby: boolean;
  /** States of the source's machine that begin the phase; one of them is drawn. */
  readonly stages: readonly SourceStage[];
  /** The fault comes so long after that at most, ms. */
  readonly spanMs: number;
  /** The guest may stand still for a switchover's patience at most, unless its own QEMU or source is what fails. */
  readonly guestRuns: boolean;
}

export const PHASES = {
  prepare: { standby: false, stages: ['preparing'], spanMs: 150, guestRuns: true },
  disk: { standby: false, stages: ['disks'], spanMs: 150, guestRuns: true },
  memory: { standby: false, stages: ['memory'], spanMs: 2500, guestRuns: true },
  switchover: { standby: false, stages: ['switching'], spanMs: 100, guestRuns: false },
  seal: { standby: false, stages: ['sealed'], spanMs: 60, guestRuns: false },
  release: { standby: false, stages: ['releasing'], spanMs: 5, guestRuns: false },
  filling: {
    ...{ standby: true, stages: ['preparing', 'disks', 'memory', 'memory'] },
    ...{ spanMs: 2500, guestRuns: true },
  },
  /** Between two bursts, mostly: an idle guest. */
  armed: { standby: true, stages: ['armed'], spanMs: 3000, guestRuns: true },
  /** In a burst: a guest that changes its memory, and bytes seen on the link. */
  upkeep: { standby: true, stages: ['armed'], spanMs: 20, guestRuns: true },
  triggered: { standby: true, stages: ['triggered'], spanMs: 5, guestRuns: false },
  'armed-switchover': { standby: true, stages: ['switching'], spanMs: 80, guestRuns: false },
  'armed-seal': { standby: true, stages: ['sealed'], spanMs: 60, guestRuns: false },
  'armed-release': { standby: true, stages: ['releasing'], spanMs: 5, guestRuns: false },
  /** The guest has just come, and is to stand by where it came from. */
  'way-back': {
    ...{ standby: true, stages: ['preparing', 'disks', 'memory', 'armed'] },
    ...{ spanMs: 1500, guestRuns: true },
  },
} as const satisfies Record<string, PhaseFacts>;
export type Phase = keyof typeof PHASES;
export const PHASE_NAMES = Object.keys(PHASES) as Phase[];

/** `registry`: the agent of a third place, which anchors the guest's address. */
export const PARTS = [
  'source-agent',
  'destination-agent',
  'source-datapath',
  'destination-datapath',
  'source-qemu',
  'destination-qemu',
  'registry',
] as const;
export type Part = (typeof PARTS)[number];

export const WAYS = ['both', 'to-destination', 'to-source'] as const;
export type Way = (typeof WAYS)[number];

export type Fault =
  | { readonly kind: 'kill' | 'freeze'; readonly part: Part }
  | { readonly kind: 'cut' }
  | { readonly kind: 'stall'; readonly way: Way };

export const FAULTS: readonly Fault[] = [
  ...PARTS.map((part): Fault => ({ kind: 'kill', part })),
  ...PARTS.map((part): Fault => ({ kind: 'freeze', part })),
  { kind: 'cut' },
  ...WAYS.map((way): Fault => ({ kind: 'stall', way })),
];

export function faultName(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'freeze':
      return `${fault.kind}-${fault.part}`;
    case 'stall':
      return `stall-${fault.way}`;
    case 'cut':
      return 'cut';
  }
}

export interface Trial {
  readonly name: string;
  readonly phase: Phase;
  readonly fault: Fault;
  readonly run: number;
  /** Where the guest is when the handoff begins. */
  readonly from: Side;
  /** Numbers in [0, 1) of this trial. */
  readonly draw: (what: string) => number;
}

export function isApart({ fault }: Trial): boolean {
  return 'part' in fault && fault.part === 'registry';
}

/** The same numbers for the same trial, whatever else runs: FNV-1a of its name, mixed (MurmurHash3's finalizer). */
function drawer(seed: number, trial: string): (what: string) => number {
  return (what) => {
    let hash = 0x811c9dc5;
    for (const byte of Buffer.from(`${seed} ${trial} ${what}`))
      hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
  };
}

export interface Filter {
  readonly phases: readonly Phase[];
  readonly faults: readonly Fault[];
}

/** All trials of a run: each phase with each fault so many times, both directions in turn. */
export function allTrials(seed: number, runs: number, { phases, faults }: Filter): Trial[] {
  return Array.from({ length: runs }, (_, run) =>
    phases.flatMap((phase, row) =>
      faults.map((fault, column): Trial => {
        const name = `${phase}/${faultName(fault)}/${run + 1}`;
        const from = (run + row + column) % 2 === 0 ? 'device' : 'site';
        return { name, phase, fault, run: run + 1, from, draw: drawer(seed, name) };
      }),
    ),
  ).flat();
}

/** So many of them, drawn from the seed, as different from each other in phase and fault as can be. */
export function choose(seed: number, trials: readonly Trial[], count: number): Trial[] {
  const rank = (trial: Trial) => drawer(seed, trial.name)('chosen');
  const left = [...trials].sort((a, b) => rank(a) - rank(b));
  const chosen: Trial[] = [];
  const times = new Map<string, number>();
  const used = (trial: Trial) =>
    (times.get(trial.phase) ?? 0) + (times.get(faultName(trial.fault)) ?? 0);
  while (chosen.length < count && left.length > 0) {
    const least = Math.min(...left.map(used));
    const [trial] = left.splice(
      left.findIndex((each) => used(each) === least),
      1,
    );
    if (trial === undefined) break;
    chosen.push(trial);
    for (const key of [trial.phase, faultName(trial.fault)])
      times.set(key, (times.get(key) ?? 0) + 1);
  }
  return chosen;
}

/** Faults that a person at the other end of the command line names: `kill-registry`, or all of `kill`. */
export function faultsNamed(text: string): Fault[] {
  const found = FAULTS.filter((fault) => faultName(fault) === text || fault.kind === text);
  if (found.length === 0) throw new Error(`There is no fault ${text}`);
  return found;
}

export function phaseNamed(text: string): Phase {
  const found = PHASE_NAMES.find((phase) => phase === text);
  if (found === undefined) throw new Error(`There is no phase ${text}`);
  return found;
}
