/** Whether a guest that is away comes back. */
import { ending, plannedCause } from './leaving.ts';
import type { Rules } from './rules.ts';
import { act, type Choice, none, type PolicyInput, type PolicyState } from './types.ts';

export function comeBack(state: PolicyState, input: PolicyInput, rules: Rules): Choice {
  if (!rules.return.automatic) return none('away', 'The guest is away; it comes back when you ask');
  if (input.personAt === 'elsewhere')
    return none('away-person', 'The guest is away, and so are you');
  if (ending(input, rules) !== undefined || plannedCause(state, input, rules) !== undefined)
    return none('away-cause', 'The guest is away, and would leave again at once');
  if (state.goodSinceMs === undefined)
    return none('away-weak', 'The guest is away; the link is not good enough yet');
  const needMs = returnWaitMs(state, rules);
  const goodMs = input.atMs - state.goodSinceMs;
  if (goodMs < needMs)
    return none(
      'away-waiting',
      `The link has been good for ${Math.floor(goodMs / 1000)} of ${Math.round(needMs / 1000)} s`,
    );
  return act('return', 'recovered', `The link has been good for ${Math.round(goodMs / 1000)} s`);
}

/** Each return that did not last doubles the wait: the guest never flaps. */
function returnWaitMs({ shortReturns }: PolicyState, rules: Rules): number {
  const wait = rules.return.afterSeconds * 2 ** Math.min(shortReturns, 20);
  return (
    1000 * Math.min(wait, Math.max(rules.return.longestWaitSeconds, rules.return.afterSeconds))
  );
}
