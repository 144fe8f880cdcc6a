/** Carries a change of one mapping to all gateways that it concerns, phase by phase. */
import { SojournError } from '../../common/index.ts';
import type { Clock } from '../../openflow/index.ts';
import { isEmpty, PHASES, type Plan } from '../flows/index.ts';
import type { Connected } from './connected.ts';
import type { ChangeReport } from './events.ts';

/** The others do not wait longer for a gateway that does not answer, ms. */
const PHASE_TIMEOUT_MS = 2_000;

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
  const done: string[] = [];
  const behind: string[] = [];
  let active: { id: string; connected: Connected; plan: Plan }[] = [];
  let sent = 0;
  for (const { id, connected, plan } of changes) {
    if (isEmpty(plan)) continue;
    if (connected === undefined) behind.push(id);
    else active.push({ id, connected, plan });
  }
  for (const { connected } of active) connected.changed();
  for (const phase of PHASES) {
    const results = await Promise.all(
      active.map(async (one) => {
        const { connected, plan } = one;
        if (connected.repairing !== undefined) {
          // The repair makes this change, too.
          const ok = await answered(connected, connected.repairing, clock);
          return { one, result: ok ? 'done' : 'behind' } as const;
        }
        if (plan[phase].length === 0) return { one, result: 'go-on' } as const;
        sent += plan[phase].length;
        const ok = await answered(connected, connected.link.apply(plan[phase]), clock);
        return { one, result: ok ? 'go-on' : 'behind' } as const;
      }),
    );
    active = [];
    for (const { one, result } of results) {
      if (result === 'go-on') active.push(one);
      else (result === 'done' ? done : behind).push(one.id);
    }
  }
  done.push(...active.map(({ id }) => id));
  return { gateways: done, behind, changes: sent, tookMs: clock.now() - startedAt };
}

/** @returns whether it was done in time. If not, the gateway is repaired later. */
async function answered(connected: Connected, work: Promise<void>, clock: Clock): Promise<boolean> {
  let stop = () => {};
  const late = new Promise<false>((resolve) => {
    stop = clock.after(PHASE_TIMEOUT_MS, () => resolve(false));
  });
  const ended = work.then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof SojournError)) throw error;
      return false;
    },
  );
  const ok = await Promise.race([ended, late]);
  stop();
  if (!ok) connected.repairLater();
  return ok;
}
