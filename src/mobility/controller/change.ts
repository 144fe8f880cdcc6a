/** Carries a change of one mapping to all gateways that it concerns, phase by phase. */
import { SojournError } from '../../common/index.ts';
import type { Clock } from '../../openflow/index.ts';
import { isEmpty, PHASES, type Phase, type Plan } from '../flows/index.ts';
import type { Connected } from './connected.ts';
import type { ChangeReport } from './events.ts';

/** A phase begins without gateways that have not answered the one before for so long, ms; it is their own traffic that is at risk then. */
const GRACE_MS = 500;
/** A gateway that does not answer in this time is left behind, ms. */
const ANSWER_TIMEOUT_MS = 5_000;

export interface GatewayChange {
  readonly id: string;
  /** Undefined while it is not connected. */
  readonly connected: Connected | undefined;
  readonly plan: Plan;
}

/** Never rejects: a gateway that fails is left behind, and repaired. */
export async function carryOut(
  changes: readonly GatewayChange[],
  clock: Clock,
): Promise<ChangeReport> {
  const startedAt = clock.now();
  const behind: string[] = [];
  const works: GatewayWork[] = [];
  for (const { id, connected, plan } of changes) {
    if (isEmpty(plan)) continue;
    if (connected === undefined) behind.push(id);
    else works.push(new GatewayWork(id, connected, plan, clock));
  }
  for (const phase of PHASES) {
    const answers = works.map((work) => work.begin(phase));
    await within(Promise.all(answers), GRACE_MS, clock);
  }
  await Promise.all(works.map((work) => work.end()));
  behind.push(...works.filter(({ state }) => state === 'behind').map(({ id }) => id));
  const gateways = works.filter(({ state }) => state !== 'behind').map(({ id }) => id);
  const sent = works.reduce((sum, work) => sum + work.sent, 0);
  return { gateways, behind, changes: sent, tookMs: clock.now() - startedAt };
}

/** The phases at one gateway, each behind the one before. */
class GatewayWork {
  readonly id: string;
  state: 'working' | 'repaired' | 'behind' = 'working';
  sent = 0;
  readonly #connected: Connected;
  readonly #plan: Plan;
  readonly #clock: Clock;
  #last: Promise<void> | undefined;

  constructor(id: string, connected: Connected, plan: Plan, clock: Clock) {
    this.id = id;
    this.#connected = connected;
    this.#plan = plan;
    this.#clock = clock;
    connected.changed();
  }

  /** What is to be sent is sent at once, unless the phase before is not answered yet. */
  begin(phase: Phase): Promise<void> {
    const work = () => this.#phase(phase);
    const last = this.#last === undefined ? work() : this.#last.then(work);
    this.#last = last;
    const forget = () => {
      if (this.#last === last) this.#last = undefined;
    };
    return last.then(forget);
  }

  async end(): Promise<void> {
    await this.#last;
  }

  async #phase(phase: Phase): Promise<void> {
    if (this.state !== 'working') return;
    const { repairing, link } = this.#connected;
    const changes = this.#plan[phase];
    // A repair under way makes this change, too.
    if (repairing === undefined && changes.length === 0) return;
    if (repairing === undefined) this.sent += changes.length;
    const ok = await within(
      repairing ?? succeeds(link.apply(changes)),
      ANSWER_TIMEOUT_MS,
      this.#clock,
    );
    if (ok && repairing !== undefined) this.state = 'repaired';
    if (ok) return;
    this.state = 'behind';
    this.#connected.repairLater();
  }
}

function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof SojournError)) throw error;
      return false;
    },
  );
}

/** @returns undefined when it takes longer. */
async function within<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  let stop = () => {};
  const late = new Promise<undefined>((resolve) => {
    stop = clock.after(ms, () => resolve(undefined));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop();
  }
}
