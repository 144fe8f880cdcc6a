/** Carries trials out one after the other, in as few pairs of places as it can. */
import { Arena } from './arena.ts';
import type { FaultTimes } from './inject.ts';
import { isApart, type Trial } from './plan.ts';
import { runTrial, type TrialResult } from './trial.ts';

export interface RunOptions {
  readonly times: FaultTimes;
  readonly evidence: string;
  /** Whether to wait until the guest stands by again. */
  readonly rearm?: (trial: Trial) => boolean;
  /** Asked before each trial. */
  readonly goOn: () => boolean;
  readonly onBegin: (trial: Trial, left: number) => void;
  readonly onEnd: (result: TrialResult) => void;
}

/** Trials where the guest is by chance come first: moving it takes time. One that fails gets new places after it. */
export async function runTrials(trials: readonly Trial[], options: RunOptions): Promise<void> {
  for (const apart of [false, true]) {
    const left = trials.filter((trial) => isApart(trial) === apart);
    let arena: Arena | undefined;
    try {
      while (left.length > 0 && options.goOn()) {
        arena ??= await Arena.create({ registryApart: apart });
        const index = left.findIndex(({ from }) => from === arena?.side);
        const [trial] = left.splice(Math.max(0, index), 1);
        if (trial === undefined) break;
        options.onBegin(trial, left.length);
        const result = await runTrial(arena, trial, options);
        options.onEnd(result);
        if (result.outcome !== 'failed') continue;
        await arena[Symbol.asyncDispose]();
        arena = undefined;
      }
    } finally {
      await arena?.[Symbol.asyncDispose]();
    }
  }
}
