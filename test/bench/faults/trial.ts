/** One trial: a handoff is brought into its phase, something is done to it, and what becomes of it is judged. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { within } from '../../integration/agent-place.ts';
import {
  expectClear,
  GUEST,
  type Outcome,
  SETTLE_DEADLINE_MS,
  type Side,
} from '../../integration/two-places.ts';
import { monotonicMs } from '../../integration/witness.ts';
import type { Arena } from './arena.ts';
import { inject, sparesSource } from './inject.ts';
import { enter, type Scene } from './phases.ts';
import { faultName, PHASES, type PhaseFacts, type Trial } from './plan.ts';
import type { RunOptions } from './run.ts';
import { hearOut, judged, keepEvidence, type Verdict } from './verdict.ts';

/** A guest stands still for so long at most where nothing but the link or the other place fails, ms. */
const STANDSTILL_MS = 2_500;
/** Armed again by itself, with back-off, once all parts are back, ms. */
const REARM_MS = 90_000;
/** Somebody who would start a dead guest a second time has done so, ms. */
const START_AGAIN_MS = 2_000;
const LOOK_EVERY_MS = 100;

export const trialResult = z.object({
  trial: z.string(),
  phase: z.string(),
  fault: z.string(),
  from: z.enum(['device', 'site']),
  /** `missed`: the part had gone before it could be reached, so that nothing happened. */
  outcome: z.enum(['passed', 'failed', 'missed']),
  /** Where and how the guest was in the end. */
  end: z.string(),
  /** What the handoff said, if one was asked for. */
  told: z.string(),
  problems: z.array(z.string()),
  silenceMs: z.number(),
  standstillMs: z.number(),
  /** From when all parts were back until both places agreed that the guest runs in one. */
  settledMs: z.number(),
  /** Until it stood by again; null where it was not to. */
  rearmedMs: z.number().nullable(),
  seconds: z.number(),
});
export type TrialResult = z.infer<typeof trialResult>;

/** Never rejects: whatever goes wrong is a problem of the trial. */
export async function runTrial(
  arena: Arena,
  trial: Trial,
  options: Pick<RunOptions, 'times' | 'evidence' | 'rearm'>,
): Promise<TrialResult> {
  const began = performance.now();
  const log = join(arena.places.lab.directory, `${trial.name.replaceAll('/', '-')}.trial`);
  const attempt = new Attempt(arena, trial, options, log);
  try {
    await attempt.carryOut();
  } catch (error) {
    attempt.problems.push(`${error instanceof Error ? error.message : error}`);
  }
  arena.stopObserving();
  const { problems, missed } = attempt;
  const failed = problems.length > 0;
  if (failed) await keepEvidence(arena, join(options.evidence, trial.name.replaceAll('/', '-')));
  await rm(log, { force: true });
  return {
    trial: trial.name,
    phase: trial.phase,
    fault: faultName(trial.fault),
    from: trial.from,
    outcome: failed ? 'failed' : missed ? 'missed' : 'passed',
    ...{ end: attempt.end, told: attempt.told, problems },
    ...{ silenceMs: attempt.silenceMs, standstillMs: attempt.standstillMs },
    ...{ settledMs: attempt.settledMs, rearmedMs: attempt.rearmedMs },
    seconds: Math.round((performance.now() - began) / 100) / 10,
  };
}

class Attempt {
  readonly problems: string[] = [];
  missed = false;
  end = 'unknown';
  told = '';
  silenceMs = 0;
  standstillMs = 0;
  settledMs = 0;
  rearmedMs: number | null = null;
  readonly #arena: Arena;
  readonly #trial: Trial;
  readonly #options: Pick<RunOptions, 'times' | 'rearm'>;
  readonly #log: string;

  constructor(
    arena: Arena,
    trial: Trial,
    options: Pick<RunOptions, 'times' | 'rearm'>,
    log: string,
  ) {
    this.#arena = arena;
    this.#trial = trial;
    this.#options = options;
    this.#log = log;
  }

  async carryOut(): Promise<void> {
    const arena = this.#arena;
    const { places } = arena;
    const trial = this.#trial;
    await places.ready(trial.from);
    await arena.observe(this.#log);
    const scene = await enter(places, trial);
    arena.note(`fault ${monotonicMs()} ${trial.name}`);
    const injected = await inject(places, scene, trial, this.#options.times);
    this.missed = injected.missed;
    const { killed } = injected;
    if (killed !== undefined) arena.note(`killed ${monotonicMs()} ${killed.pid} ${killed.usedNs}`);
    await injected.mended();
    await places.mendLink();
    const mendedAt = monotonicMs();
    arena.note(`mended ${mendedAt}`);
    const outcome = await scene.handoff?.outcome;
    this.#judgeOutcome(scene, outcome);
    const where =
      killed === undefined ? await places.settled() : await this.#settledWithout(killed.pid);
    this.settledMs = Math.round(monotonicMs() - mendedAt);
    if (typeof where === 'string') await this.#alive(where, outcome);
    else await this.#dead(where.stoppedAt);
  }

  #judgeOutcome({ handoff }: Scene, outcome: Outcome | undefined): void {
    if (outcome === undefined) return;
    this.told = outcome.kind === 'failed' ? outcome.error.message : outcome.kind;
    try {
      expectClear(outcome);
    } catch (error) {
      this.problems.push(`told badly: ${error instanceof Error ? error.message : error}`);
    }
    const stayed = outcome.kind === 'failed' && handoff?.isClaimed() !== true;
    if (stayed && sparesSource(this.#trial)) this.#limitStandstill();
  }

  #limitStandstill(): void {
    this.#arena.note(`limit ${STANDSTILL_MS}`);
  }

  async #alive(side: Side, outcome: Outcome | undefined): Promise<void> {
    const { places } = this.#arena;
    const { witness } = places;
    this.end = `running at the ${side}`;
    this.#arena.side = side;
    const facts: PhaseFacts = PHASES[this.#trial.phase];
    if (facts.guestRuns && outcome === undefined && sparesSource(this.#trial))
      this.#limitStandstill();
    this.#take(await hearOut(this.#arena, this.#log));
    const [here, there] = [places.place(side), places.other(side)];
    if (here.guestPids().length !== 1) this.problems.push(`${here.guestPids().length} QEMUs here`);
    witness.ask('dirty 0');
    if (facts.standby && this.#options.rearm?.(this.#trial) !== false) {
      const since = performance.now();
      await this.#rearmed(side);
      this.rearmedMs = Math.round(performance.now() - since);
    }
    await places.disarm(side);
    if ((await places.standby(there.side)) !== null) this.problems.push('stands by at both places');
    this.#tidy(await this.#arena.leftovers(side));
  }

  async #dead(side: Side): Promise<void> {
    this.end = `stopped at the ${side}`;
    this.#arena.side = side;
    const { places } = this.#arena;
    // Whoever would start it twice does so soon.
    await sleep(START_AGAIN_MS);
    this.#arena.note(`end ${monotonicMs()} stopped`);
    this.#take(await judged(this.#log));
    for (const place of [places.device, places.site])
      if (place.guestPids().length > 0) this.problems.push(`a QEMU is left at ${place.name}`);
    await places.disarm(side);
    await this.#arena.startAgain(side);
    this.#tidy(await this.#arena.leftovers(side));
  }

  /** Stands by, or says why it cannot: where the guest was handed over it is the way back that is armed. */
  async #rearmed(side: Side): Promise<void> {
    const { places } = this.#arena;
    const place = places.place(side);
    const stop = new AbortController();
    const armed = Promise.withResolvers<void>();
    let said = 'nothing';
    place.watch((status) => {
      const standby = status.guests.find(({ name }) => name === GUEST)?.standby;
      said = standby == null ? 'not wanted' : `${standby.state} ${standby.reason ?? ''}`;
      if (standby?.state === 'armed') armed.resolve();
    }, stop.signal);
    try {
      await within(armed.promise, REARM_MS, 'the standby');
    } catch {
      this.problems.push(`not armed again within ${REARM_MS} ms: ${said}`);
    } finally {
      stop.abort();
    }
  }

  /** Where it runs by the statuses, by another QEMU than the one that was killed, or where it has died. */
  async #settledWithout(killed: number): Promise<Side | { readonly stoppedAt: Side }> {
    const { places } = this.#arena;
    const until = performance.now() + SETTLE_DEADLINE_MS;
    let seen = '';
    while (performance.now() < until) {
      const [device, site] = await Promise.all([
        places.device.guest(GUEST),
        places.site.guest(GUEST),
      ]);
      const states = { device: device?.state, site: site?.state };
      seen = JSON.stringify(states);
      for (const side of ['device', 'site'] as const) {
        const [here, there] = [states[side], states[places.other(side).side]];
        const isThere = there === undefined || there.kind === 'elsewhere';
        if (isThere && here?.kind === 'crashed') return { stoppedAt: side };
        if (isThere && here?.kind === 'running' && here.pid !== killed) return places.settled();
      }
      await sleep(LOOK_EVERY_MS);
    }
    throw new Error(`the guest is not in one place: ${seen}`);
  }

  #tidy(left: readonly string[]): void {
    for (const line of left) this.problems.push(`left behind: ${line}`);
  }

  #take(said: Verdict): void {
    this.problems.push(...said.problems);
    this.silenceMs = Math.round(said.longestSilenceMs);
    this.standstillMs = Math.round(said.longestStandstillMs);
  }
}
