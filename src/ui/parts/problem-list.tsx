import { sentences } from '../model/format.ts';
import type { Problem } from '../model/problems.ts';
import { useFormats, useMessages } from '../state/context.ts';
import { Icon } from './icon.tsx';

const icons = { error: 'problem', warning: 'risk', info: 'info' } as const;

/** Problems as a checklist: what is wrong, and what to do about it. */
export function ProblemList({
  problems,
  compact = false,
}: {
  readonly problems: readonly Problem[];
  readonly compact?: boolean;
}) {
  const { problems: texts, common } = useMessages();
  const { time } = useFormats();
  if (problems.length === 0) return null;
  return (
    <ul class={compact ? 'problems compact' : 'problems'}>
      {problems.map(({ key, severity, text, remedy, guest, since }) => (
        <li key={key} class={severity}>
          <Icon name={icons[severity]} />
          <div class="grow">
            <p>
              <span class={compact ? 'visually-hidden' : 'tag'}>{texts.severities[severity]}</span>{' '}
              {!compact && guest !== null && <strong class="name">{guest.name} </strong>}
              <span lang="en">{sentences(text)}</span>
            </p>
            {remedy !== null && (
              <p class="muted">
                {texts.todo} <span lang="en">{sentences(remedy)}</span>
              </p>
            )}
            {!compact && since !== null && (
              <p class="muted">
                <small>{common.since(time(since))}</small>
              </p>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}
