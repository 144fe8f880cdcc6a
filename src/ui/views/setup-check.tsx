import type { CheckView } from '../../api/schema.ts';
import { sentences } from '../model/format.ts';
import { Button, Callout, Failure, Loading } from '../parts/basics.tsx';
import { Icon } from '../parts/icon.tsx';
import { useMessages } from '../state/context.ts';
import { useAnswer } from '../state/use-answer.ts';

const icons = { ok: 'ok', warn: 'risk', fail: 'problem' } as const;
const severities = { ok: 'good', warn: 'warning', fail: 'error' } as const;

/** What this machine has and lacks, with what to do about it. */
export function CheckStep() {
  const { setup: texts } = useMessages();
  const [answer, again] = useAnswer('agent.doctor', {});
  if (answer.kind === 'loading') return <Loading />;
  if (answer.kind === 'error') return <Failure error={answer.error} onAgain={() => again()} />;
  const { checks } = answer.value;
  return (
    <>
      <p class="muted">{texts.checkHelp}</p>
      <Verdict checks={checks} />
      <ul class="problems">
        {checks.map(({ id, status, text, remedy }) => (
          <li key={id} class={severities[status]}>
            <Icon name={icons[status]} />
            <div class="grow">
              <p>
                <span class="tag">{texts.checks[status]}</span>{' '}
                <span lang="en">{sentences(text)}</span>
              </p>
              {remedy !== undefined && (
                <p class="muted" lang="en">
                  {sentences(remedy)}
                </p>
              )}
            </div>
          </li>
        ))}
      </ul>
      <div class="row">
        <Button onClick={() => again()}>{texts.checkAgain}</Button>
      </div>
    </>
  );
}

function Verdict({ checks }: { readonly checks: readonly CheckView[] }) {
  const { setup: texts } = useMessages();
  const has = (wanted: CheckView['status']) => checks.some(({ status }) => status === wanted);
  if (has('fail'))
    return (
      <Callout tone="risk">
        <p>{texts.checkFail}</p>
      </Callout>
    );
  return (
    <Callout tone="safe">
      <p>{has('warn') ? texts.checkWarn : texts.checkOk}</p>
    </Callout>
  );
}
