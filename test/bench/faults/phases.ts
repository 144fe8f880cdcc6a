/** Brings a handoff into the phase in which something is to happen to it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentPlace, within } from '../../integration/agent-place.ts';
import type { RunningHandoff, Side, SourceStage, TwoPlaces } from '../../integration/two-places.ts';
import { PHASES, type PhaseFacts, type Trial } from './plan.ts';

/** One way, ms: what is said last is under way for so long, and can be caught there. */
const SEAL_DELAY_MS = 60;
const ARM_DEADLINE_MS = 180_000;
/** Of a guest that keeps upkeep busy, without being too much for it. */
const DIRTY = 'dirty 800 16';
/** Upkeep is seen as so many bytes on the link within one look, which is 5 ms. */
const BURST_BYTES = 4_000;
const BURST_DEADLINE_MS = 20_000;

/** Who plays which part at the moment of the fault. */
export interface Scene {
  readonly side: Side;
  readonly source: AgentPlace;
  readonly destination: AgentPlace;
  /** Undefined while the guest only stands by. */
  readonly handoff: RunningHandoff | undefined;
}

/** Resolves so long after the phase has begun as the trial says. */
export async function enter(places: TwoPlaces, trial: Trial): Promise<Scene> {
  const { phase, from, draw } = trial;
  const facts: PhaseFacts = PHASES[phase];
  const stage = facts.stages[Math.floor(draw('stage') * facts.stages.length)] ?? 'memory';
  const here = sceneAt(places, from, undefined);
  const scene = await (async (): Promise<Scene> => {
    switch (phase) {
      case 'prepare':
      case 'disk':
      case 'memory':
      case 'switchover':
      case 'seal':
      case 'release':
        return into(places, from, stage);
      case 'filling': {
        const begun = stageAt(here.source, stage);
        await places.arm(from, 'no wait');
        await begun;
        return here;
      }
      case 'armed':
        await arm(places, from);
        return here;
      case 'upkeep':
        places.witness.ask(DIRTY);
        await arm(places, from);
        await burst(places, from);
        return here;
      case 'triggered':
      case 'armed-switchover':
      case 'armed-seal':
      case 'armed-release':
        await arm(places, from);
        return into(places, from, stage);
      case 'way-back': {
        const back = places.other(from);
        await arm(places, from);
        const begun = stageAt(back, stage);
        await places.move(from);
        await begun;
        return sceneAt(places, back.side, undefined);
      }
    }
  })();
  await sleep(draw('moment') * facts.spanMs);
  return scene;
}

function sceneAt(places: TwoPlaces, side: Side, handoff: RunningHandoff | undefined): Scene {
  return { side, source: places.place(side), destination: places.other(side), handoff };
}

async function arm(places: TwoPlaces, from: Side): Promise<void> {
  await within(places.arm(from), ARM_DEADLINE_MS, 'the guest to be armed');
}

async function into(places: TwoPlaces, from: Side, stage: SourceStage): Promise<Scene> {
  const handoff = places.handOff(from);
  const late = stage === 'sealed' || stage === 'releasing';
  // Asked for before: what is waited for one after the other may have passed meanwhile.
  const begun = handoff.reached(stage);
  if (late) {
    await handoff.reached('switching');
    await places.lab.link.set({ delayMs: SEAL_DELAY_MS });
  }
  await begun;
  return sceneAt(places, from, handoff);
}

function stageAt(place: AgentPlace, stage: SourceStage): Promise<unknown> {
  const isIt = (line: { msg: string; to?: unknown }) =>
    line.msg === 'handoff, source' && line.to === stage;
  const found = place.logged(isIt, ARM_DEADLINE_MS);
  found.catch(() => undefined);
  return found;
}

async function burst(places: TwoPlaces, from: Side): Promise<void> {
  const way = from === 'device' ? 'a-to-b' : 'b-to-a';
  const bytes = async () => (await places.lab.link.statistics())[way].bytesIn;
  const until = performance.now() + BURST_DEADLINE_MS;
  for (let before = await bytes(); performance.now() < until; ) {
    await sleep(5);
    const after = await bytes();
    if (after - before >= BURST_BYTES) return;
    before = after;
  }
  throw new Error(`no upkeep within ${BURST_DEADLINE_MS} ms`);
}
