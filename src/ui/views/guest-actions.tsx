import { useState } from 'preact/hooks';
import type { GuestView, PlaceView } from '../../api/schema.ts';
import { type ActionName, actionsOf, usualTarget } from '../model/actions.ts';
import { Button, Failure } from '../parts/basics.tsx';
import { useApp, useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';
import { ChoosePlace } from './choose-place.tsx';
import { Confirm, ConsoleDialog, DecideDialog, LimitDialog } from './guest-dialogs.tsx';

type Question = 'hand-off' | 'arm' | 'force-stop' | 'delete' | 'console' | 'limit' | 'decide';

interface GuestActionsProps {
  readonly guest: GuestView;
  readonly places: readonly PlaceView[];
  /** Also what this window cannot do, with the reason. */
  readonly detailed?: boolean;
}

/** Everything that can be done with a guest now, what went wrong, and the questions that come first. */
export function GuestActions({ guest, places, detailed = false }: GuestActionsProps) {
  const app = useApp();
  const { actions: texts, screen } = useMessages();
  const [question, setQuestion] = useState<Question>();
  const doing = app.doing.value.get(guest.id);
  const cancelling = app.doing.value.has(cancelOf(guest.id));
  const subjects = [guest.id, cancelOf(guest.id)];
  const usual = usualTarget(guest, places);
  const self = places.find((place) => place.self);
  const reference = { guest: guest.id };

  const perform: Readonly<Record<ActionName, () => void>> = {
    'hand-off': () => setQuestion('hand-off'),
    'bring-back': () => {
      if (self !== undefined) void app.handOff(guest, self.id);
    },
    arm: () => setQuestion('arm'),
    disarm: () => void app.ask(guest.id, 'disarm', 'standby.disarm', reference),
    start: () => void app.ask(guest.id, 'start', 'guest.start', reference),
    'start-copy': () =>
      void app.ask(guest.id, 'start', 'guest.start', { ...reference, fromCopy: true }),
    stop: () => void app.ask(guest.id, 'stop', 'guest.stop', reference),
    'force-stop': () => setQuestion('force-stop'),
    cancel: () => void app.ask(cancelOf(guest.id), 'cancel', 'handoff.cancel', reference),
    decide: () => setQuestion('decide'),
    limit: () => setQuestion('limit'),
    screen: () => {
      if (app.shell.openScreen !== undefined) void app.shell.openScreen(guest.id);
      else location.hash = hrefOf({ view: 'screen', guests: [guest.id] });
    },
    console: () => {
      if (app.shell.openConsole === undefined) setQuestion('console');
      else void app.shell.openConsole(guest.id);
    },
    delete: () => setQuestion('delete'),
  };
  const obstacle = (action: ActionName) =>
    action === 'screen' && guest.display === 'none' ? screen.none : null;
  const isBusy = (action: ActionName) =>
    action === 'cancel' ? cancelling : doing !== undefined && action !== 'console';

  const offered = actionsOf(guest).filter(
    (action) => detailed || action !== 'screen' || obstacle(action) === null,
  );
  const [first, ...others] = offered;
  const oneClick = first === 'hand-off' && usual?.obstacle === null ? usual.place : undefined;
  return (
    <>
      {subjects.map((subject) => {
        const error = app.failures.value.get(subject);
        return (
          error !== undefined && (
            <Failure key={subject} error={error} onDismiss={() => app.dismiss(subject)} />
          )
        );
      })}
      <fieldset class="row actions">
        <legend class="visually-hidden">{texts.label(guest.name)}</legend>
        {oneClick !== undefined && (
          <Button
            look="primary"
            busy={doing !== undefined}
            onClick={() => void app.handOff(guest, oneClick.id)}
          >
            {doing === undefined ? texts.handOffTo(oneClick.name) : texts.busy[doing]}
          </Button>
        )}
        {first !== undefined && (
          <Button
            look={oneClick === undefined ? 'primary' : 'plain'}
            busy={isBusy(first)}
            onClick={perform[first]}
          >
            {oneClick === undefined && doing !== undefined && first !== 'cancel'
              ? texts.busy[doing]
              : texts[first]}
          </Button>
        )}
        {others.map((action) => (
          <Button
            key={action}
            busy={isBusy(action)}
            obstacle={obstacle(action)}
            onClick={perform[action]}
          >
            {texts[action]}
          </Button>
        ))}
      </fieldset>
      <Asked question={question} {...{ guest, places }} onClose={() => setQuestion(undefined)} />
    </>
  );
}

function Asked({
  question,
  guest,
  places,
  onClose,
}: Omit<GuestActionsProps, 'detailed'> & {
  readonly question: Question | undefined;
  readonly onClose: () => void;
}) {
  const app = useApp();
  const { confirm, actions } = useMessages();
  switch (question) {
    case undefined:
      return null;
    case 'hand-off':
    case 'arm':
      return <ChoosePlace purpose={question} {...{ guest, places, onClose }} />;
    case 'console':
      return <ConsoleDialog {...{ guest, onClose }} />;
    case 'limit':
      return <LimitDialog {...{ guest, onClose }} />;
    case 'decide':
      return <DecideDialog {...{ guest, onClose }} />;
    case 'force-stop':
      return (
        <Confirm
          title={confirm.stopTitle(guest.name)}
          help={confirm.stopHelp}
          action={actions['force-stop']}
          onConfirm={() =>
            void app.ask(guest.id, 'stop', 'guest.stop', { guest: guest.id, force: true })
          }
          onClose={onClose}
        />
      );
    case 'delete':
      return (
        <Confirm
          title={confirm.deleteTitle(guest.name)}
          help={confirm.deleteHelp}
          action={confirm.deleteAction}
          onConfirm={() => void app.ask(guest.id, 'other', 'guest.delete', { guest: guest.id })}
          onClose={onClose}
        />
      );
  }
}

/** A cancel is asked for while what it cancels is still being asked. */
function cancelOf(guestId: string): string {
  return `${guestId}:cancel`;
}
