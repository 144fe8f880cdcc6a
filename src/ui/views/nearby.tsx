/** Pairing with a device in the same network: who is there, and the number that two people compare. */
import { useEffect, useState } from 'preact/hooks';
import type { NearbyView, WireError } from '../../api/schema.ts';
import { Button, Callout, Failure, Loading } from '../parts/basics.tsx';
import { Countdown } from '../parts/countdown.tsx';
import { useApp, useMessages } from '../state/context.ts';

const SUBJECT = 'nearby';

type Attempt = NonNullable<NearbyView['attempt']>;

/** While this is shown the device is visible to others. */
export function Nearby() {
  const app = useApp();
  const [view, setView] = useState<NearbyView>();
  const [error, setError] = useState<WireError>();
  /** What had ended before this was opened is not told of. */
  const [old, setOld] = useState<string>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    let first = true;
    setError(undefined);
    const stop = app.transport.subscribe('nearby.watch', {}, (event) => {
      if (event.kind === 'item') {
        if (first && isOver(event.item.attempt)) setOld(event.item.attempt?.id);
        first = false;
        setView(event.item);
      } else if (event.kind === 'error') setError(event.error);
    });
    return () => {
      stop();
      app.dismiss(SUBJECT);
    };
  }, [app, round]);
  const failure = app.failures.value.get(SUBJECT);
  if (error !== undefined) return <Failure error={error} onAgain={() => setRound(round + 1)} />;
  if (view === undefined) return <Loading />;
  const attempt = view.attempt?.id === old ? null : view.attempt;
  return (
    <>
      {failure !== undefined && <Failure error={failure} onDismiss={() => app.dismiss(SUBJECT)} />}
      {attempt === null ? (
        <Devices view={view} />
      ) : (
        <Meeting attempt={attempt} onAgain={() => setOld(attempt.id)} />
      )}
    </>
  );
}

function isOver(attempt: Attempt | null): boolean {
  return attempt?.state.kind === 'paired' || attempt?.state.kind === 'failed';
}

function Devices({ view }: { readonly view: NearbyView }) {
  const app = useApp();
  const { nearby: texts, places } = useMessages();
  const { devices, visibleAs, problem } = view;
  const begin = (device: string) => void app.ask(SUBJECT, 'other', 'nearby.pair', { device });
  return (
    <>
      <p>{texts.help}</p>
      <p class="muted name">{texts.visible(visibleAs)}</p>
      {problem !== null && (
        <Callout tone="risk">
          <p lang="en">{problem.text}</p>
        </Callout>
      )}
      {devices.length === 0 ? (
        <Loading text={texts.looking} />
      ) : (
        <ul class="plain-list" aria-label={texts.devices}>
          {devices.map(({ id, name, profile, paired }) => (
            <li key={id} class="row spread" data-device={id}>
              <span class="name">
                {name}
                <span class="muted">
                  {' '}
                  ({places.profiles[profile]}
                  {paired && `, ${texts.already}`})
                </span>
              </span>
              <Button
                look="primary"
                label={texts.pairWith(name)}
                busy={app.doing.value.has(SUBJECT)}
                onClick={() => begin(id)}
              >
                {texts.pair}
              </Button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Meeting({
  attempt,
  onAgain,
}: {
  readonly attempt: Attempt;
  readonly onAgain: () => void;
}) {
  const app = useApp();
  const { nearby: texts } = useMessages();
  const { id, peer, state, direction, msLeft } = attempt;
  const answer = (said: 'same' | 'different' | 'cancel') =>
    void app.ask(SUBJECT, 'other', 'nearby.answer', { attempt: id, answer: said });
  const stop = (
    <Button look="quiet" onClick={() => answer('cancel')}>
      {texts.cancel}
    </Button>
  );
  switch (state.kind) {
    case 'connecting':
    case 'concluding':
      return (
        <>
          <Loading
            text={(state.kind === 'connecting' ? texts.connecting : texts.waiting)(peer.name)}
          />
          <div class="row end">{stop}</div>
        </>
      );
    case 'comparing':
      return (
        <div class="meeting" data-attempt={id}>
          {direction === 'there' && <p class="name">{texts.asks(peer.name)}</p>}
          <p role="alert" class="name">
            <strong>{texts.question(peer.name)}</strong>
          </p>
          <output class="code" aria-label={`${texts.code}: ${[...state.code].join(' ')}`}>
            {state.code.slice(0, 3)} {state.code.slice(3)}
          </output>
          {msLeft !== null && <Countdown ms={msLeft} start={id} text={texts.left} />}
          <p role="status">
            {state.there && !state.here ? texts.there(peer.name) : ''}
            {state.here && !state.there ? texts.waiting(peer.name) : ''}
          </p>
          <div class="row end">
            {stop}
            <Button look="danger" onClick={() => answer('different')}>
              {texts.different}
            </Button>
            <Button look="primary" busy={state.here} onClick={() => answer('same')}>
              {texts.same}
            </Button>
          </div>
        </div>
      );
    case 'paired':
      return (
        <Callout tone="safe">
          <p role="status">
            <strong class="name">{texts.done(state.place.name)}</strong>
          </p>
          <p>{texts.doneHelp}</p>
          <p>{texts.warning}</p>
        </Callout>
      );
    case 'failed': {
      const { code, text: message, remedy } = state;
      return <Failure error={{ kind: 'refused', code, message, remedy }} onAgain={onAgain} />;
    }
  }
}
