/** The questions that an action on a guest asks first. */
import { useState } from 'preact/hooks';
import type { GuestView, RecoverAction } from '../../api/schema.ts';
import { Button, Dialog, Failure, Field, Loading } from '../parts/basics.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { useAnswer } from '../state/use-answer.ts';

interface GuestDialogProps {
  readonly guest: GuestView;
  readonly onClose: () => void;
}

export function Confirm({
  title,
  help,
  action,
  onConfirm,
  onClose,
}: {
  readonly title: string;
  readonly help: string;
  readonly action: string;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}) {
  const { common } = useMessages();
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{help}</p>
      <div class="row end">
        <Button onClick={onClose}>{common.cancel}</Button>
        <Button
          look="danger"
          onClick={() => {
            onConfirm();
            onClose();
          }}
        >
          {action}
        </Button>
      </div>
    </Dialog>
  );
}

export function ConsoleDialog({ guest, onClose }: GuestDialogProps) {
  const { console: texts, common } = useMessages();
  const command = `sojourn guest console ${guest.name}`;
  return (
    <Dialog title={texts.title(guest.name)} onClose={onClose}>
      <p>{texts.help}</p>
      <p class="row">
        <code class="grow">{command}</code>
        <CopyButton text={command} />
      </p>
      <div class="row end">
        <Button onClick={onClose}>{common.close}</Button>
      </div>
    </Dialog>
  );
}

const GIB = 1024 ** 3;

export function LimitDialog({ guest, onClose }: GuestDialogProps) {
  const app = useApp();
  const { limit: texts, common } = useMessages();
  const { bytes } = useFormats();
  const { overlay } = guest;
  const [gib, setGib] = useState(overlay === null ? 1 : (2 * overlay.limitBytes) / GIB);
  const apply = () => {
    const overlayLimitBytes = Math.round(gib * GIB);
    void app.ask(guest.id, 'other', 'guest.limit', { guest: guest.id, overlayLimitBytes });
    onClose();
  };
  return (
    <Dialog title={texts.title(guest.name)} onClose={onClose}>
      {overlay !== null && (
        <p class="muted">{texts.used(bytes(overlay.usedBytes), bytes(overlay.limitBytes))}</p>
      )}
      <Field label={texts.label}>
        {(id) => (
          <input
            id={id}
            type="number"
            min={0.01}
            step="any"
            value={gib}
            onInput={(event) => setGib(event.currentTarget.valueAsNumber)}
          />
        )}
      </Field>
      <div class="row end">
        <Button onClick={onClose}>{common.cancel}</Button>
        <Button look="primary" onClick={apply}>
          {texts.apply}
        </Button>
      </div>
    </Dialog>
  );
}

/** A guest in doubt: what is known, and what each decision would mean, in the agent's words. */
export function DecideDialog({ guest, onClose }: GuestDialogProps) {
  const app = useApp();
  const { decide, common } = useMessages();
  const [answer] = useAnswer('guest.recover', { guest: guest.id });
  const take = (action: RecoverAction) => {
    void app.ask(guest.id, 'other', 'guest.recover', { guest: guest.id, action });
    onClose();
  };
  return (
    <Dialog title={decide.title(guest.name)} onClose={onClose}>
      {answer.kind === 'loading' && <Loading />}
      {answer.kind === 'error' && <Failure error={answer.error} />}
      {answer.kind === 'ok' && (
        <>
          <p lang="en">{answer.value.explanation}</p>
          {answer.value.choices.length > 0 && <p class="muted">{decide.warning}</p>}
          {answer.value.choices.map(({ action, consequence }) => (
            <div key={action} class="choice">
              <span class="grow" lang="en">
                {consequence}
              </span>
              <Button look="danger" onClick={() => take(action)}>
                {decide[action]}
              </Button>
            </div>
          ))}
        </>
      )}
      <div class="row end">
        <Button onClick={onClose}>{common.cancel}</Button>
      </div>
    </Dialog>
  );
}
