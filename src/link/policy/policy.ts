/**
 * When a guest leaves and when it comes back. Pure: `decide(state, input, rules) -> state + decision`; monotonic time is an argument and
 * may have gaps (sleep), wall-clock time may jump.
 *
 * In this order, the first that applies decides: the person's own wish; a handoff under way; waking up; what ends the session (shutdown,
 * sleep, lid); known places and schedules that say stay; what can be planned (battery, undocking, person, places, schedule); the link.
 */
import { advance } from './advance.ts';
import { leave } from './leaving.ts';
import { comeBack } from './returning.ts';
import type { Rules } from './rules.ts';
import {
  type Action,
  act,
  type Choice,
  type Decision,
  isWired,
  none,
  type PolicyInput,
  type PolicyState,
} from './types.ts';

/** Above this level a link needs no close watch. */
const CALM_DBM = -60;

export function decide(
  before: PolicyState,
  input: PolicyInput,
  rules: Rules,
): { readonly state: PolicyState; readonly decision: Decision } {
  const state = advance(before, input, rules);
  const decision = choose(state, input, rules);
  return { state, decision: { ...decision, pace: paceOf(input, decision.action) } };
}

function choose(state: PolicyState, input: PolicyInput, rules: Rules): Choice {
  return (
    wished(input) ??
    (input.guest === 'moving' ? none('moving', 'A handoff is under way') : undefined) ??
    (rules.automatic ? undefined : none('manual', 'Automatic handoff is switched off')) ??
    settling(state, input) ??
    (input.guest === 'away' ? comeBack(state, input, rules) : leave(state, input, rules))
  );
}

/** A wish holds until the person takes it back; nothing overrules it. */
function wished({ wish, guest }: PolicyInput): Choice | undefined {
  if (wish === 'stay') return none('wish-stay', 'You asked to leave everything where it is');
  if (wish === 'leave')
    return guest === 'here'
      ? act('fire', 'wish-leave', 'You asked to hand over now')
      : none('wish-leave', 'You asked to hand over; the guest is not here any more');
  if (wish === 'return')
    return guest === 'away'
      ? act('return', 'wish-return', 'You asked to bring the guest back')
      : none('wish-return', 'You asked to bring the guest back; it is not away');
  return undefined;
}

function settling(
  state: PolicyState,
  { atMs, shutdownInMs, suspendInMs }: PolicyInput,
): Choice | undefined {
  if (atMs >= state.settledAtMs || shutdownInMs !== undefined || suspendInMs !== undefined)
    return undefined;
  const left = Math.ceil((state.settledAtMs - atMs) / 1000);
  return none('settling', `The machine woke up or its clock jumped: looking again for ${left} s`);
}

function paceOf(input: PolicyInput, action: Action): Decision['pace'] {
  const { outlook } = input;
  if (action !== 'none') return 'fast';
  if (outlook === undefined || isWired(input)) return 'slow';
  return outlook.evidence === 'steady' && outlook.levelDbm >= CALM_DBM ? 'slow' : 'fast';
}
