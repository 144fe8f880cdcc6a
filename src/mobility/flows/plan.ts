/**
 * From the flows that gateways have and those they should have to the changes, in the order that no packet notices. Pure.
 *
 *   receive   flows that take packets where they will arrive; nothing leads there yet
 *   steer     flows that lead packets there; from table to table backwards, so that what a packet goes on to is there
 *   remove    what is not wanted any more; from the first table on, so that nothing leads into a gap
 *
 * A phase begins at any gateway when every gateway has answered the barrier after the phase before.
 */
import { FLOW_FLAG, type FlowMod, flowMod } from '../../openflow/index.ts';
import { type FlowKey, instructionsText, keyOf } from './canonical.ts';
import type { DesiredFlow } from './desired.ts';

/** As a switch reports it. */
export interface InstalledFlow extends FlowKey {
  readonly instructions: DesiredFlow['instructions'];
  readonly cookie: bigint;
  readonly idleTimeout?: number;
}

export const PHASES = ['receive', 'steer', 'remove'] as const;
export type Phase = (typeof PHASES)[number];

export type Change =
  /** Added, or in the place of the one with the same key. */
  | { readonly type: 'put'; readonly flow: DesiredFlow }
  | { readonly type: 'delete'; readonly flow: InstalledFlow };

export type Plan = Readonly<Record<Phase, readonly Change[]>>;

/** The changes at one gateway. Empty where nothing differs. */
export function planChanges(
  installed: readonly InstalledFlow[],
  desired: readonly DesiredFlow[],
): Plan {
  const have = new Map(installed.map((flow) => [keyOf(flow), flow]));
  const plan: Record<Phase, Change[]> = { receive: [], steer: [], remove: [] };
  for (const flow of desired) {
    const key = keyOf(flow);
    const before = have.get(key);
    have.delete(key);
    if (before === undefined || !sameEffect(before, flow))
      plan[flow.stage].push({ type: 'put', flow });
  }
  for (const flow of have.values()) plan.remove.push({ type: 'delete', flow });
  const backwards = (a: Change, b: Change) => b.flow.table - a.flow.table;
  plan.receive.sort(backwards);
  plan.steer.sort(backwards);
  plan.remove.sort((a, b) => backwards(b, a));
  return plan;
}

export function isEmpty(plan: Plan): boolean {
  return PHASES.every((phase) => plan[phase].length === 0);
}

function sameEffect(a: InstalledFlow, b: InstalledFlow): boolean {
  return (
    a.cookie === b.cookie &&
    (a.idleTimeout ?? 0) === (b.idleTimeout ?? 0) &&
    instructionsText(a.instructions) === instructionsText(b.instructions)
  );
}

/** An add replaces a flow with the same match and priority in one step, cookie and counters included (6.4). */
export function flowModOf(change: Change): FlowMod {
  const { table, priority, match, cookie } = change.flow;
  if (change.type === 'delete')
    return flowMod({ command: 'delete-strict', table, priority, match });
  const { instructions, idleTimeout = 0 } = change.flow;
  return flowMod({
    command: 'add',
    table,
    priority,
    match,
    cookie,
    instructions,
    idleTimeout,
    flags: FLOW_FLAG.resetCounts,
  });
}
