import { useEffect, useId, useRef, useState } from 'preact/hooks';
// Past its index: the schemas stay where `no-code-from-text.ts` comes before them.
import { fitsClipboard } from '../../api/rfb-clipboard.ts';
import type { GuestView, PlaceRef, Status } from '../../api/schema.ts';
import { sentences } from '../model/format.ts';
import type { ScreenState } from '../model/screen-state.ts';
import { Button, Dialog, Empty, Failure, failureText, Loading } from '../parts/basics.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import type { ClipboardState } from '../screen/clipboard.ts';
import { readLocal, writeLocal } from '../screen/local-clipboard.ts';
import type { Viewer } from '../screen/viewer.ts';
import { useApp, useMessages } from '../state/context.ts';
import { hrefOf, MAX_SCREENS } from '../state/route.ts';

/** The screens of one guest or of several, beside each other. */
export function Screens({
  guests,
  status,
}: {
  readonly guests: readonly string[];
  readonly status: Status;
}) {
  const { screen: texts, nav } = useMessages();
  const known = guests.flatMap((reference) => {
    const guest = status.guests.find(({ id, name }) => id === reference || name === reference);
    return guest === undefined ? [] : [guest];
  });
  if (known.length === 0)
    return (
      <Empty icon="dashboard" title={texts.gone} help="">
        <a class="button" href={hrefOf({ view: 'dashboard' })}>
          {nav.dashboard}
        </a>
      </Empty>
    );
  // A place may call itself otherwise than this one calls it.
  const nameOf = ({ id, name }: PlaceRef) =>
    status.places.find((place) => place.id === id)?.name ?? name;
  const shown = known.map(({ id }) => id);
  const others = status.guests.filter(
    ({ id, display, state }) =>
      display !== 'none' && state.kind !== 'stopped' && !shown.includes(id),
  );
  return (
    <>
      <h1 class="visually-hidden">{texts.title(known.map(({ name }) => name).join(', '))}</h1>
      <div class={`screens count-${known.length}`}>
        {known.map((guest) => (
          <GuestScreen
            key={guest.id}
            guest={guest}
            nameOf={nameOf}
            others={shown.filter((id) => id !== guest.id)}
          />
        ))}
      </div>
      {others.length > 0 && shown.length < MAX_SCREENS && (
        <p class="row">
          {others.map(({ id, name }) => (
            <a key={id} class="button" href={hrefOf({ view: 'screen', guests: [...shown, id] })}>
              {texts.beside(name)}
            </a>
          ))}
        </p>
      )}
    </>
  );
}

function GuestScreen({
  guest,
  nameOf,
  others,
}: {
  readonly guest: GuestView;
  readonly nameOf: (place: PlaceRef) => string;
  readonly others: readonly string[];
}) {
  const app = useApp();
  const { screen: texts, common } = useMessages();
  const frame = useRef<HTMLElement>(null);
  const target = useRef<HTMLDivElement>(null);
  const viewer = useRef<Viewer | undefined>(undefined);
  const [state, setState] = useState<ScreenState>({ kind: 'opening', error: null });
  const [input, setInput] = useState({ waiting: 0, refused: 0 });
  const [clipboard, setClipboard] = useState<ClipboardState>({ kind: 'unknown' });
  /** What was copied in the guest; `taken`: into the clipboard of this device. */
  const [copied, setCopied] = useState<{ text: string; taken: boolean }>();
  const [scaled, setScaled] = useState(true);
  const [asking, setAsking] = useState(false);
  const [broken, setBroken] = useState(false);
  const heading = useId();

  useEffect(() => {
    let over = false;
    // Only who looks at a screen pays for what it takes.
    import('../screen/viewer.ts').then(
      (module) => {
        if (over || target.current === null) return;
        viewer.current = new module.Viewer({
          target: target.current,
          open: (onEvent) => app.transport.screen(guest.id, onEvent),
          changed: (next, waiting) => {
            setState(next);
            setInput(waiting);
          },
          clipboard: setClipboard,
          copied: (text) => void writeLocal(text).then((taken) => setCopied({ text, taken })),
          named: () => undefined,
        });
      },
      () => setBroken(true),
    );
    return () => {
      over = true;
      viewer.current?.close();
      viewer.current = undefined;
    };
  }, [app, guest.id]);

  const shares = clipboard.kind === 'ready';
  useEffect(() => {
    const { current } = target;
    if (current === null || !shares) return;
    const look = () => {
      const attended = document.hasFocus() && current.contains(document.activeElement);
      viewer.current?.attend(attended);
      if (!attended) return;
      void readLocal(app.shell, false).then((text) => {
        if (text !== undefined) viewer.current?.offer(text);
      });
    };
    look();
    const heard = [
      [current, 'focusin'],
      [current, 'focusout'],
      [window, 'focus'],
      [window, 'blur'],
    ] as const;
    for (const [from, event] of heard) from.addEventListener(event, look);
    return () => {
      for (const [from, event] of heard) from.removeEventListener(event, look);
    };
  }, [app, shares]);

  const act = (what: (viewer: Viewer) => void) => () => {
    const { current } = viewer;
    if (current === undefined) return;
    what(current);
    current.focus();
  };
  const scale = () => {
    setScaled(!scaled);
    if (viewer.current !== undefined) viewer.current.scaled = !scaled;
  };
  const seen = state.kind === 'live' || state.kind === 'moving' || state.kind === 'following';
  const close =
    others.length > 0
      ? hrefOf({ view: 'screen', guests: others })
      : hrefOf({ view: 'guest', guest: guest.id });
  return (
    <section class="screen" ref={frame} aria-labelledby={heading}>
      <header class="row screen-bar">
        <h2 id={heading} class="name">
          {guest.name}
        </h2>
        <p class={`screen-state ${state.kind}`} role="status">
          {stateText(state, input, { texts, nameOf })}
        </p>
        <fieldset class="row actions">
          <legend class="visually-hidden">{texts.tools(guest.name)}</legend>
          <Button onClick={act((one) => one.ctrlAltDel())}>{texts.ctrlAltDel}</Button>
          <Button onClick={() => setAsking(true)}>{texts.send}</Button>
          <Button onClick={scale}>{scaled ? texts.realSize : texts.fit}</Button>
          <Button onClick={() => void frame.current?.requestFullscreen()}>
            {texts.fullScreen}
          </Button>
          <a class="button" href={close}>
            {common.close}
          </a>
        </fieldset>
      </header>
      {copied !== undefined && (
        <p class="row" role="status">
          <span>{copied.taken ? texts.taken : texts.copied}</span>
          <code class="grow name">{copied.text.slice(0, SHOWN_TEXT)}</code>
          {!copied.taken && <CopyButton key={copied.text} text={copied.text} />}
        </p>
      )}
      {state.kind === 'failed' && (
        <Failure error={state.error} onAgain={() => viewer.current?.again()} />
      )}
      <WhyNot state={state} />
      {broken && <p role="alert">{texts.notLoaded}</p>}
      {!seen && !broken && state.kind !== 'failed' && <Loading text={texts.opening} />}
      <div
        ref={target}
        class={`screen-frame ${scaled ? 'scaled' : 'real'} ${seen ? 'seen' : ''} ${state.kind}`}
        role="application"
        aria-label={texts.picture(guest.name)}
      />
      {asking && (
        <SendText
          onClose={() => setAsking(false)}
          onType={(text) => act((one) => one.type(text))()}
          clipboard={clipboard}
          onPaste={(text) => act((one) => one.offer(text, true))()}
        />
      )}
    </section>
  );
}

/** Why the last try failed, while it is tried again; a guest that has just moved may take a moment. */
function WhyNot({ state }: { readonly state: ScreenState }) {
  const messages = useMessages();
  const waits = state.kind === 'opening' || (state.kind === 'following' && state.to === null);
  if (!waits || state.error === null) return null;
  const { message, remedy, foreign } = failureText(state.error, messages);
  return (
    <p class="muted" lang={foreign ? 'en' : undefined}>
      {sentences(message, remedy)}
    </p>
  );
}

/** Of a text that the guest has copied, characters. */
const SHOWN_TEXT = 120;
/** Typed key by key, characters. */
const MAX_TYPED = 500;

function SendText({
  onClose,
  onType,
  clipboard,
  onPaste,
}: {
  readonly onClose: () => void;
  readonly onType: (text: string) => void;
  readonly clipboard: ClipboardState;
  readonly onPaste: (text: string) => void;
}) {
  const app = useApp();
  const { screen: texts, common } = useMessages();
  const [text, setText] = useState('');
  const id = useId();
  const then = (send: (text: string) => void) => () => {
    onClose();
    send(text);
  };
  return (
    <Dialog title={texts.sendTitle} onClose={onClose}>
      <label class="field" for={id}>
        <span>{texts.sendLabel}</span>
        <textarea
          id={id}
          rows={4}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <p class="muted">{texts.sendHelp}</p>
      <p class="muted">{clipboardText(clipboard, texts)}</p>
      <div class="row end">
        <Button onClick={onClose}>{common.cancel}</Button>
        {clipboard.kind === 'ready' && (
          <>
            <Button
              onClick={() =>
                void readLocal(app.shell, true).then((local) => {
                  if (local !== undefined) setText(local);
                })
              }
            >
              {texts.fromDevice}
            </Button>
            <Button
              obstacle={fitsClipboard(text) ? null : texts.tooLongToCopy}
              onClick={then(onPaste)}
            >
              {texts.toClipboard}
            </Button>
          </>
        )}
        <Button
          look="primary"
          obstacle={text.length > MAX_TYPED ? texts.tooLong(MAX_TYPED) : null}
          onClick={then(onType)}
        >
          {texts.type}
        </Button>
      </div>
    </Dialog>
  );
}

function clipboardText(
  state: ClipboardState,
  texts: ReturnType<typeof useMessages>['screen'],
): string {
  switch (state.kind) {
    case 'unknown':
      return '';
    case 'none':
      return texts.noClipboard;
    case 'absent':
      return state.problem === null ? texts.noAgent : texts.agentFault(state.problem);
    case 'ready':
      return texts.shares;
  }
}

function stateText(
  state: ScreenState,
  { waiting, refused }: { readonly waiting: number; readonly refused: number },
  {
    texts,
    nameOf,
  }: {
    readonly texts: ReturnType<typeof useMessages>['screen'];
    readonly nameOf: (place: PlaceRef) => string;
  },
): string {
  const input = refused > 0 ? ` ${texts.refused}` : waiting > 0 ? ` ${texts.waiting(waiting)}` : '';
  switch (state.kind) {
    case 'opening':
      return texts.opening;
    case 'failed':
      return texts.failed;
    case 'live':
      return texts.live(nameOf(state.place));
    case 'moving':
      return texts.moving(nameOf(state.place)) + input;
    case 'following':
      return (state.to === null ? texts.searching : texts.following(nameOf(state.to))) + input;
  }
}
