/** A guest of another place wants to come: shown over whatever view there is. */
import { useState } from 'preact/hooks';
import type { IncomingView, Status } from '../../api/schema.ts';
import { Button, Callout, Dialog, Facts, Failure } from '../parts/basics.tsx';
import { Countdown } from '../parts/countdown.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

export function Incoming({ status }: { readonly status: Status }) {
  const { incoming: texts } = useMessages();
  /** Questions that somebody has put aside; they still run out. */
  const [aside, setAside] = useState<readonly string[]>([]);
  const asked = status.incoming ?? [];
  const open = asked.find(({ id }) => !aside.includes(id));
  const waiting = asked.filter(({ id }) => aside.includes(id));
  return (
    <>
      {waiting.map(({ id, guest, from }) => (
        <Callout key={id} tone="info">
          <div class="row spread">
            <span class="name">{texts.later(guest.name, from.name)}</span>
            <Button onClick={() => setAside(aside.filter((one) => one !== id))}>
              {texts.answer}
            </Button>
          </div>
        </Callout>
      ))}
      {open !== undefined && (
        <Prompt
          key={open.id}
          asked={open}
          now={status.at}
          onClose={() => setAside([...aside, open.id])}
        />
      )}
    </>
  );
}

function Prompt({
  asked,
  now,
  onClose,
}: {
  readonly asked: IncomingView;
  /** By the clock of the agent, as the time when the question runs out. */
  readonly now: string;
  readonly onClose: () => void;
}) {
  const app = useApp();
  const { incoming: texts } = useMessages();
  const { bytes } = useFormats();
  const { id, guest, from, standby, memoryMiB, vcpus, diskBytes, expiresAt } = asked;
  const answer = (said: 'once' | 'always' | 'refuse') =>
    void app.ask(id, 'other', 'incoming.answer', { incoming: id, answer: said });
  const busy = app.doing.value.has(id);
  const error = app.failures.value.get(id);
  return (
    <Dialog title={texts.title(guest.name)} onClose={onClose}>
      <p class="name">{(standby ? texts.standby : texts.help)(from.name)}</p>
      <Facts
        facts={[
          [texts.from, <span class="name">{from.name}</span>],
          [texts.memory, bytes(memoryMiB * 1024 ** 2)],
          [texts.processors, vcpus],
          [texts.disk, bytes(diskBytes)],
        ]}
      />
      <Countdown ms={Date.parse(expiresAt) - Date.parse(now)} start={id} text={texts.left} />
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(id)} />}
      <div class="row end" data-incoming={id}>
        <Button look="danger" busy={busy} onClick={() => answer('refuse')}>
          {texts.refuse}
        </Button>
        <Button busy={busy} onClick={() => answer('always')}>
          {texts.always(from.name)}
        </Button>
        <Button look="primary" busy={busy} onClick={() => answer('once')}>
          {texts.accept}
        </Button>
      </div>
    </Dialog>
  );
}
