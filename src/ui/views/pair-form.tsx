import { useId, useState } from 'preact/hooks';
import type { PlaceView } from '../../api/schema.ts';
import { failureOf } from '../model/failure.ts';
import { formatFingerprint } from '../model/format.ts';
import { Button, Callout, Failure, Field } from '../parts/basics.tsx';
import { inviteIn, readInvite } from '../parts/read-invite.ts';
import { useApp, useMessages } from '../state/context.ts';

const SUBJECT = 'pair';

/** Pairing with a site by the invite that it made: typed, from a file, or from a picture of its QR code. */
export function PairForm({ given = '' }: { readonly given?: string | undefined }) {
  const app = useApp();
  const { pair: texts, common } = useMessages();
  const [invite, setInvite] = useState(given);
  const [name, setName] = useState('');
  const [wasRead, setWasRead] = useState(false);
  const [paired, setPaired] = useState<PlaceView>();
  const file = useId();
  const busy = app.doing.value.has(SUBJECT);
  const error = app.failures.value.get(SUBJECT);

  const read = async (chosen: File) => {
    app.dismiss(SUBJECT);
    setWasRead(false);
    try {
      setInvite(await readInvite(chosen));
      setWasRead(true);
    } catch (thrown) {
      app.show(SUBJECT, failureOf(thrown));
    }
  };
  const submit = async () => {
    const place = await app.ask(SUBJECT, 'other', 'place.pair', {
      invite: inviteIn(invite) ?? invite.trim(),
      name: name.trim() === '' ? undefined : name.trim(),
    });
    if (place === undefined) return;
    setPaired(place);
    setInvite('');
  };

  if (paired !== undefined)
    return (
      <Callout tone="safe">
        <p role="status">
          <strong class="name">{texts.done(paired.name)}</strong>
        </p>
        <p>{texts.compare}</p>
        <code>{formatFingerprint(paired.id)}</code>
      </Callout>
    );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <p class="muted">{texts.help}</p>
      <Field label={texts.label}>
        {(id) => (
          <textarea
            id={id}
            required
            rows={4}
            spellcheck={false}
            autocomplete="off"
            placeholder={texts.placeholder}
            value={invite}
            onInput={(event) => setInvite(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="field">
        <label for={file}>{texts.file}</label>
        <input
          id={file}
          type="file"
          accept="image/*,text/plain,.txt,.invite"
          onChange={(event) => {
            const chosen = event.currentTarget.files?.[0];
            if (chosen !== undefined) void read(chosen);
          }}
        />
        <span role="status" class="muted">
          {wasRead ? texts.read : ''}
        </span>
      </div>
      <Field label={`${texts.name} (${common.optional})`}>
        {(id) => (
          <input
            id={id}
            maxLength={64}
            autocomplete="off"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
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
