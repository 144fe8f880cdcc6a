/** The calls about when guests leave and come back by themselves. */
import type { Handlers } from '../api/index.ts';
import { SojournError } from '../common/index.ts';
import type { HandlerParts } from './handlers.ts';

type PolicyCalls = 'policy.show' | 'policy.set' | 'policy.auto' | 'link.play';

export function policyHandlers({
  policy,
  link,
  changes,
}: Pick<HandlerParts, 'policy' | 'link' | 'changes'>): Pick<Handlers, PolicyCalls> {
  const show = () => ({ automatic: policy.rules.automatic, rules: policy.rules });
  const changed = () => {
    link?.reconsider();
    changes.emit('change');
    return show();
  };
  return {
    'policy.show': async () => show(),
    'policy.set': async ({ rules }) => {
      policy.rules = rules;
      return changed();
    },
    'policy.auto': async ({ on }) => {
      policy.automatic = on;
      return changed();
    },
    'link.play': async () => {
      if (link !== undefined) return { startedAtMs: link.play() };
      throw new SojournError({
        kind: 'conflict',
        code: 'no-recording',
        message: 'A site does not look at a link',
        remedy: 'Ask the agent of a device',
      });
    },
  };
}
