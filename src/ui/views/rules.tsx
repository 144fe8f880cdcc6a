import type { GuestView, Status } from '../../api/schema.ts';
import { safetyOf } from '../model/safety.ts';
import { Button, Empty, Facts, Failure } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { safetyText } from './guest-texts.ts';
import { Policy } from './policy.tsx';

/** What happens by itself, and how it stands with it now. */
export function Rules({ status }: { readonly status: Status }) {
  const { rules: texts } = useMessages();
  const standing = status.guests.filter(({ standby }) => standby !== null);
  return (
    <>
      <h1>{texts.title}</h1>
      <p class="muted">{texts.help}</p>
      <section>
        <h2>{texts.handoffs}</h2>
        {status.link === undefined ? (
          <p>{texts.handoffsHelp}</p>
        ) : (
          <Policy policy={status.link.policy} />
        )}
      </section>
      <section>
        <h2>{texts.standing}</h2>
        {standing.length === 0 && <Empty icon="rules" title={texts.none} help={texts.noneHelp} />}
        <ul class="cards">
          {standing.map((guest) => (
            <li key={guest.id}>
              <StandbyRule guest={guest} />
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function StandbyRule({ guest }: { readonly guest: GuestView }) {
  const app = useApp();
  const messages = useMessages();
  const formats = useFormats();
  const { rules: texts, actions } = messages;
  const { standby } = guest;
  if (standby === null) return null;
  const error = app.failures.value.get(guest.id);
  return (
    <article class="card">
      <h3 class="name">{texts.ruleArmed(guest.name, standby.place.name)}</h3>
      <p class="muted">
        {standby.whenUnmetered ? texts.unmetered : texts.always} ·{' '}
        {standby.bothWays ? texts.bothWays : texts.oneWay}
      </p>
      <Facts
        facts={[
          [texts.now, safetyText(safetyOf(guest), messages, formats)],
          ...(standby.reason === undefined
            ? []
            : ([[texts.reason, <span lang="en">{standby.reason}</span>]] as const)),
        ]}
      />
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(guest.id)} />}
      <div class="row">
        <Button
          busy={app.doing.value.has(guest.id)}
          onClick={() => void app.ask(guest.id, 'disarm', 'standby.disarm', { guest: guest.id })}
        >
          {actions.disarm}
        </Button>
      </div>
    </article>
  );
}
