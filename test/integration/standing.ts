/** A guest of a handoff lab that stands by, and what a test wants to know of it. */
import {
  type HandoffResult,
  runSource,
  type SourceOptions,
  type StandbySnapshot,
  upkeepBudget,
} from '../../src/handoff/index.ts';
import type { HandoffLab } from './handoff-lab.ts';

export class Standing {
  readonly done: Promise<HandoffResult>;
  readonly #trigger = new AbortController();
  readonly #cancel = new AbortController();
  #bursts = 0;
  #waiting: { bursts: number; resolve: (snapshot: StandbySnapshot) => void }[] = [];

  constructor(lab: HandoffLab, change: Partial<SourceOptions> = {}) {
    this.done = runSource({
      ...lab.sourceOptions({ signal: this.#cancel.signal }),
      ...change,
      standby: {
        trigger: this.#trigger.signal,
        armBack: false,
        mayFill: () => true,
        budget: (linkBytesPerSecond) =>
          upkeepBudget({ onBattery: false, metered: false, linkBytesPerSecond, standbys: 1 }),
        onFresh: (snapshot) => this.#fresh(snapshot),
      },
    });
  }

  /** Resolves after so many more bursts; rejects when it ends before. */
  async bursts(count: number): Promise<StandbySnapshot> {
    const { promise, resolve } = Promise.withResolvers<StandbySnapshot>();
    this.#waiting.push({ bursts: this.#bursts + count, resolve });
    const over = this.done.then((result): never => {
      throw new Error(`it ended: ${JSON.stringify(result.reason)}`);
    });
    return Promise.race([promise, over]);
  }

  trigger(): Promise<HandoffResult> {
    this.#trigger.abort();
    return this.done;
  }

  disarm(): Promise<HandoffResult> {
    this.#cancel.abort();
    return this.done;
  }

  #fresh(snapshot: StandbySnapshot): void {
    this.#bursts += 1;
    const due = this.#waiting.filter(({ bursts }) => bursts <= this.#bursts);
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    for (const { resolve } of due) resolve(snapshot);
  }
}
