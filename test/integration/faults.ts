/** The faults that tests inject into a cold handoff; test/bench/faults has more of them, and standbys. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentPlace, Side } from './agent-place.ts';
import type { RunningHandoff, SourceStage, TwoPlaces } from './two-places.ts';

export type Victim =
  | 'destination QEMU'
  | 'source agent'
  | 'destination agent'
  | 'source datapath'
  | 'destination datapath';

/** The phases of DESIGN.md, and where the source's machine is in them. */
export type Phase = 'prepare' | 'disk' | 'memory' | 'switchover' | 'seal';

const STAGE: Readonly<Record<Phase, SourceStage>> = {
  prepare: 'preparing',
  disk: 'disks',
  memory: 'memory',
  switchover: 'switching',
  seal: 'sealed',
};

/** One way, ms: the seal is under way for so long, and can be caught there. */
const SEAL_DELAY_MS = 60;

/** Begins a handoff and returns when it is in the phase, `afterMs` after it came there. */
export async function handOffInto(
  places: TwoPlaces,
  from: Side,
  phase: Phase,
  afterMs = 0,
  signal?: AbortSignal,
): Promise<RunningHandoff> {
  const handoff = places.handOff(from, signal);
  if (phase === 'seal') {
    await handoff.reached('switching');
    await places.lab.link.set({ delayMs: SEAL_DELAY_MS });
  }
  await handoff.reached(STAGE[phase]);
  if (afterMs > 0) await sleep(afterMs);
  return handoff;
}

/** What a stopped agent said last is read within, ms. */
const HEARD_MS = 50;

/**
 * `kill -9`; who is not watched over by anybody is started again. A QEMU that has claimed the guest is spared: it is not
 * in the middle of a handoff any more, it *is* the guest.
 */
export async function kill(
  places: TwoPlaces,
  from: Side,
  victim: Victim,
  handoff: RunningHandoff,
): Promise<void> {
  const [source, destination] = [places.place(from), places.other(from)];
  switch (victim) {
    case 'destination QEMU': {
      const pid = await qemuOf(destination);
      return destination.whilePaused(async () => {
        await sleep(HEARD_MS);
        if (!handoff.isClaimed()) process.kill(pid, 'SIGKILL');
      });
    }
    case 'source agent':
      return source.restart();
    case 'destination agent':
      return destination.restart();
    case 'source datapath':
      process.kill(source.recordedDatapathPid(), 'SIGKILL');
      return;
    case 'destination datapath':
      process.kill(destination.recordedDatapathPid(), 'SIGKILL');
      return;
  }
}

export type Stall = 'both ways' | 'toward the destination' | 'toward the source';

/** Keeps, and does not lose, what crosses the link; end `a` of it is the device. */
export async function stall(places: TwoPlaces, from: Side, way: Stall): Promise<void> {
  const up = (way === 'toward the destination') === (from === 'device');
  await places.lab.link.stall(way === 'both ways' ? 'both' : up ? 'a-to-b' : 'b-to-a');
}

/** It may be just about to be started. */
async function qemuOf(place: AgentPlace): Promise<number> {
  for (let tries = 0; tries < 500; tries += 1) {
    const [pid] = place.guestPids();
    if (pid !== undefined) return pid;
    await sleep(10);
  }
  throw new Error(`no QEMU at ${place.name}`);
}
