import type { DecisionView, LinkView } from '../../api/schema.ts';
import { Check, Failure } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

type Told = LinkView['policy'];
type Rules = Told['rules'];

const SUBJECT = 'policy';

/** When guests leave and come back by themselves, and what that says of each guest, with its reason. */
export function Policy({ policy }: { readonly policy: Told }) {
  const app = useApp();
  const { rules: texts } = useMessages();
  const { automatic, rules, now, recent } = policy;
  const error = app.failures.value.get(SUBJECT);
  const set = (change: Partial<Rules>) =>
    void app.ask(SUBJECT, 'other', 'policy.set', { rules: { ...rules, ...change } });
  const arm = (change: Partial<Rules['arm']>) => set({ arm: { ...rules.arm, ...change } });
  const leave = (change: Partial<Rules['leave']>) => set({ leave: { ...rules.leave, ...change } });
  const { choices } = texts;
  const leaving = (name: 'onLoss' | 'onSuspend' | 'onShutdown' | 'onLidClosed' | 'onUndock') => (
    <Check
      label={choices[name]}
      checked={rules.leave[name]}
      onChange={(on) => leave({ [name]: on })}
    />
  );
  return (
    <>
      <Check
        label={texts.automatic}
        checked={automatic}
        onChange={(on) => void app.ask(SUBJECT, 'other', 'policy.auto', { on })}
      />
      {!automatic && <p class="muted">{texts.automaticOff}</p>}
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(SUBJECT)} />}
      <fieldset class="card">
        <legend class="visually-hidden">{texts.keepReady}</legend>
        <h3>{texts.keepReady}</h3>
        <div>
          <Check
            label={choices.armEnabled}
            checked={rules.arm.enabled}
            onChange={(enabled) => arm({ enabled })}
          />
          <Check
            label={choices.armOnMetered}
            checked={rules.arm.onMetered}
            onChange={(onMetered) => arm({ onMetered })}
          />
        </div>
      </fieldset>
      <fieldset class="card">
        <legend class="visually-hidden">{texts.leave}</legend>
        <h3>{texts.leave}</h3>
        <div>
          {leaving('onLoss')}
          {leaving('onSuspend')}
          {leaving('onShutdown')}
          {leaving('onLidClosed')}
          {leaving('onUndock')}
          <Check
            label={choices.followPerson}
            checked={rules.leave.followPerson}
            onChange={(followPerson) => leave({ followPerson })}
          />
          <Check
            label={choices.leaveOnMetered}
            checked={rules.leave.onMetered}
            onChange={(onMetered) => leave({ onMetered })}
          />
        </div>
      </fieldset>
      <fieldset class="card">
        <legend class="visually-hidden">{texts.come}</legend>
        <h3>{texts.come}</h3>
        <Check
          label={choices.returnAutomatic}
          checked={rules.return.automatic}
          onChange={(on) => set({ return: { ...rules.return, automatic: on } })}
        />
      </fieldset>
      <h3>{texts.said}</h3>
      {now.length === 0 ? <p class="muted">{texts.saidNone}</p> : <Decisions decisions={now} />}
      {recent.length > 0 && (
        <details>
          <summary>{texts.before}</summary>
          <Decisions decisions={recent.toReversed()} />
        </details>
      )}
    </>
  );
}

function Decisions({ decisions }: { readonly decisions: readonly DecisionView[] }) {
  const { rules: texts } = useMessages();
  const { time } = useFormats();
  return (
    <ul class="lines">
      {decisions.map(({ at, guest, action, code, why }) => (
        <li key={`${guest.id}-${at}-${code}`}>
          <span class="grow">
            <strong class="name">{guest.name}</strong>{' '}
            <span class="tag">{texts.decisions[action]}</span> <span lang="en">{why}</span>
          </span>
          <span class="muted">{time(at)}</span>
        </li>
      ))}
    </ul>
  );
}
