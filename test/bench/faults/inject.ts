/** What is done to a handoff, and how it is made good again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentPlace } from '../../integration/agent-place.ts';
import type { TwoPlaces } from '../../integration/two-places.ts';
import { vcpuTimes } from './judge/vcpu-times.ts';
import type { Scene } from './phases.ts';
import type { Fault, Part, Trial, Way } from './plan.ts';

export interface FaultTimes {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** Of freezes, cuts and stalls. */
export const FAULT_TIMES: FaultTimes = { leastMs: 2_000, mostMs: 14_000 };

export interface Injected {
  /** A QEMU that was killed, and what its virtual CPUs had used until then, ns. */
  readonly killed: { readonly pid: number; readonly usedNs: number } | undefined;
  /** The part was gone before it could be reached: nothing has happened. */
  readonly missed: boolean;
  /** Resolves when all parts are there again. */
  mended(): Promise<void>;
}

/** Something that is about to be started is waited for, ms. */
const APPEAR_MS = 5_000;
const LOOK_MS = 5;

export async function inject(
  places: TwoPlaces,
  scene: Scene,
  { fault, draw, ...trial }: Trial,
  { leastMs, mostMs }: FaultTimes,
): Promise<Injected> {
  const ms = leastMs + draw('length') * (mostMs - leastMs);
  switch (fault.kind) {
    case 'kill': {
      if (isAgent(fault)) {
        const place = placeOf(places, scene, fault.part);
        await place.kill();
        return done(() => place.start());
      }
      const pid = await pidOf(places, scene, fault.part);
      if (pid === undefined || !signal(pid, 'SIGSTOP')) return { ...done(), missed: true };
      const usedNs = [...(vcpuTimes(pid)?.values() ?? [])].reduce((sum, ns) => sum + ns, 0);
      signal(pid, 'SIGKILL');
      const isQemu = fault.part === 'source-qemu' || fault.part === 'destination-qemu';
      return { ...done(), killed: isQemu ? { pid, usedNs } : undefined };
    }
    case 'freeze': {
      const pid = await pidOf(places, scene, fault.part);
      if (pid === undefined || !signal(pid, 'SIGSTOP')) return { ...done(), missed: true };
      return done(async () => {
        await sleep(ms);
        // Whoever takes it for dead may have ended it.
        signal(pid, 'SIGCONT');
      });
    }
    case 'cut':
    case 'stall': {
      const { link } = places.lab;
      if (fault.kind === 'cut') await link.cut();
      else await link.stall(direction(scene, fault.way));
      return done(async () => {
        await sleep(ms);
        await places.mendLink();
      });
    }
    default:
      throw new Error(`nobody knows ${JSON.stringify(fault)} in ${trial.phase satisfies string}`);
  }
}

function done(mend: () => Promise<void> = () => Promise.resolve()): Injected {
  return { killed: undefined, missed: false, mended: mend };
}

function isAgent(fault: Fault): boolean {
  return 'part' in fault && (fault.part.endsWith('-agent') || fault.part === 'registry');
}

function placeOf(places: TwoPlaces, scene: Scene, part: Part): AgentPlace {
  if (part !== 'registry') return part.startsWith('source') ? scene.source : scene.destination;
  if (places.registry === undefined) throw new Error('the registry is not a place of its own');
  return places.registry;
}

/** Undefined when it is not there, and does not come. */
async function pidOf(places: TwoPlaces, scene: Scene, part: Part): Promise<number | undefined> {
  const place = placeOf(places, scene, part);
  if (part.endsWith('-datapath')) return place.recordedDatapathPid();
  if (!part.endsWith('-qemu')) return place.pid;
  // At the destination it may be about to be started; at the source it can only have ended.
  const tries = part === 'source-qemu' ? 1 : APPEAR_MS / LOOK_MS;
  for (let left = tries; left > 0; left -= 1) {
    const [pid] = place.guestPids();
    if (pid !== undefined) return pid;
    await sleep(LOOK_MS);
  }
  return undefined;
}

/** False when it has ended. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** End `a` of the link is the device. */
function direction({ side }: Scene, way: Way): 'both' | 'a-to-b' | 'b-to-a' {
  if (way === 'both') return 'both';
  return (way === 'to-destination') === (side === 'device') ? 'a-to-b' : 'b-to-a';
}

/** Whether the fault leaves the guest, and what may pause it, alone: then it has no reason to stand still. */
export function sparesSource({ fault }: Trial): boolean {
  return !('part' in fault) || !fault.part.startsWith('source');
}
