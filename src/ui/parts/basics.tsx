import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { WireError } from '../../api/schema.ts';
import type { Messages } from '../messages/index.ts';
import { sentences } from '../model/format.ts';
import { useMessages } from '../state/context.ts';
import { Icon, type IconName } from './icon.tsx';

export interface ButtonProps {
  readonly children: ComponentChildren;
  readonly onClick?: () => void;
  readonly look?: 'primary' | 'plain' | 'danger' | 'quiet';
  readonly type?: 'button' | 'submit';
  readonly busy?: boolean;
  /** Why it cannot be pressed; it stays reachable by keyboard, so that the reason can be read. */
  readonly obstacle?: string | null;
  readonly label?: string;
}

export function Button(props: ButtonProps) {
  const { children, onClick, look = 'plain', type = 'button', busy = false, label } = props;
  const obstacle = props.obstacle ?? null;
  const blocked = busy || obstacle !== null;
  const reason = useId();
  return (
    <>
      <button
        class={`button ${look}`}
        type={type}
        aria-disabled={blocked}
        aria-busy={busy}
        aria-label={label}
        aria-describedby={obstacle === null ? undefined : reason}
        title={obstacle ?? undefined}
        onClick={(event) => {
          if (blocked) event.preventDefault();
          else onClick?.();
        }}
      >
        {busy && <span class="spinner" aria-hidden="true" />}
        {children}
      </button>
      {obstacle !== null && (
        <span id={reason} class="visually-hidden">
          {obstacle}
        </span>
      )}
    </>
  );
}

/** What the window itself finds wrong is said in its own language; what the agent says, as it says it. */
export function failureText(
  error: WireError,
  { failures }: Messages,
): { readonly message: string; readonly remedy: string | undefined; readonly foreign: boolean } {
  if (!Object.hasOwn(failures, error.code))
    return { message: error.message, remedy: error.remedy, foreign: true };
  const { message, remedy } = failures[error.code as keyof Messages['failures']];
  return { message, remedy, foreign: false };
}

export function Failure({
  error,
  onDismiss,
  onAgain,
}: {
  readonly error: WireError;
  readonly onDismiss?: () => void;
  readonly onAgain?: () => void;
}) {
  const messages = useMessages();
  const { errors, common } = messages;
  const { message, remedy, foreign } = failureText(error, messages);
  return (
    <div class="callout problem" role="alert">
      <Icon name="problem" />
      <div class="grow">
        <strong>{errors[error.kind]}</strong>
        <p lang={foreign ? 'en' : undefined}>{sentences(message, remedy)}</p>
        <div class="row">
          {onAgain !== undefined && <Button onClick={onAgain}>{common.again}</Button>}
          {onDismiss !== undefined && (
            <Button look="quiet" onClick={onDismiss}>
              {common.dismiss}
            </Button>
          )}
        </div>
      </div>
    </div>
  );
}

export function Callout({
  tone,
  icon,
  children,
}: {
  readonly tone: 'info' | 'risk' | 'safe';
  readonly icon?: IconName;
  readonly children: ComponentChildren;
}) {
  return (
    <div class={`callout ${tone}`}>
      <Icon name={icon ?? (tone === 'safe' ? 'ok' : tone)} />
      <div class="grow">{children}</div>
    </div>
  );
}

export function Loading({ text }: { readonly text?: string }) {
  const { common } = useMessages();
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> {text ?? common.loading}
    </p>
  );
}

export function Empty({
  icon,
  title,
  help,
  children,
}: {
  readonly icon: IconName;
  readonly title: string;
  readonly help: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <section class="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      <p>{help}</p>
      {children}
    </section>
  );
}

/** A list of facts. What is not known says so. */
export function Facts({
  facts,
}: {
  readonly facts: readonly (readonly [string, ComponentChildren])[];
}) {
  const { common } = useMessages();
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? <span class="muted">{common.notKnown}</span>}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A modal dialog of the browser's own: it keeps the focus, and Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={heading} onClose={onClose}>
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}

export function Field({
  label,
  help,
  children,
}: {
  readonly label: string;
  readonly help?: string;
  /** Gets the id of the label's control, and of its help. */
  readonly children: (id: string, helpId: string | undefined) => ComponentChildren;
}) {
  const id = useId();
  const helpId = help === undefined ? undefined : `${id}-help`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, helpId)}
      {help !== undefined && (
        <small id={helpId} class="muted">
          {help}
        </small>
      )}
    </div>
  );
}

export function Check({
  label,
  checked,
  onChange,
}: {
  readonly label: string;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  );
}

export function Meter({
  label,
  percent,
}: {
  readonly label: string;
  /** Null while the whole is not known. */
  readonly percent: number | null;
}) {
  return <progress aria-label={label} max={100} value={percent ?? undefined} />;
}
