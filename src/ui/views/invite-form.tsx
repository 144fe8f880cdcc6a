import { useState } from 'preact/hooks';
import type { CallOutput } from '../../api/schema.ts';
import { Button, Callout, Failure, Field } from '../parts/basics.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { QrCode } from '../parts/qr-code.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

const SUBJECT = 'invite';
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const lifetimes = [15 * MINUTE, HOUR, DAY, 7 * DAY] as const;

/** An invite to this site, as text, file and QR code. */
export function InviteForm() {
  const app = useApp();
  const { invite: texts, common } = useMessages();
  const [hosts, setHosts] = useState('');
  const [ttlSeconds, setTtl] = useState<number>(HOUR);
  const [made, setMade] = useState<CallOutput<'place.invite'>>();
  const busy = app.doing.value.has(SUBJECT);
  const error = app.failures.value.get(SUBJECT);
  const submit = async () => {
    const named = hosts.split(/[\s,]+/).filter((host) => host !== '');
    setMade(
      await app.ask(SUBJECT, 'other', 'place.invite', {
        hosts: named.length === 0 ? undefined : named,
        ttlSeconds,
      }),
    );
  };
  const lifetime = (seconds: number) =>
    seconds < HOUR
      ? texts.minutes(seconds / MINUTE)
      : seconds < DAY
        ? texts.hours(seconds / HOUR)
        : texts.days(seconds / DAY);
  if (made !== undefined) return <MadeInvite made={made} />;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <p class="muted">{texts.help}</p>
      <Field label={`${texts.hosts} (${common.optional})`}>
        {(id) => (
          <input
            id={id}
            autocomplete="off"
            spellcheck={false}
            value={hosts}
            onInput={(event) => setHosts(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field label={texts.ttl}>
        {(id) => (
          <select
            id={id}
            value={ttlSeconds}
            onChange={(event) => setTtl(Number(event.currentTarget.value))}
          >
            {lifetimes.map((seconds) => (
              <option key={seconds} value={seconds}>
                {lifetime(seconds)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Callout tone="info">
        <p>{texts.warning}</p>
      </Callout>
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(SUBJECT)} />}
      <div class="row end">
        <Button type="submit" look="primary" busy={busy}>
          {busy ? texts.busy : texts.action}
        </Button>
      </div>
    </form>
  );
}

function MadeInvite({ made }: { readonly made: CallOutput<'place.invite'> }) {
  const app = useApp();
  const { invite: texts } = useMessages();
  const { time } = useFormats();
  const save = () => {
    const url = URL.createObjectURL(new Blob([`${made.invite}\n`], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = 'sojourn-invite.txt';
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <>
      <QrCode text={made.invite} label={texts.qr} />
      <p role="status">{texts.expires(time(made.expiresAt))}</p>
      <Field label={texts.text}>
        {(id) => <textarea id={id} rows={5} readOnly spellcheck={false} value={made.invite} />}
      </Field>
      <div class="row">
        <CopyButton text={made.invite} />
        {app.canDownload && <Button onClick={save}>{texts.save}</Button>}
      </div>
    </>
  );
}
