import { useState } from 'preact/hooks';
import type { GuestView, ImageView, PlaceView } from '../../api/schema.ts';
import { Button, Callout, Check, Failure, Field } from '../parts/basics.tsx';
import { useApp, useMessages } from '../state/context.ts';

const SUBJECT = 'create';

interface GuestStepProps {
  readonly image: ImageView | undefined;
  readonly places: readonly PlaceView[];
  readonly onMade: (guest: GuestView) => void;
}

/** Makes a guest, and if wanted starts it and has it stand by at the site. */
export function GuestStep({ image, places, onMade }: GuestStepProps) {
  const app = useApp();
  const { setup: texts, common } = useMessages();
  const [name, setName] = useState('');
  const [memoryMiB, setMemory] = useState(image?.defaults.memoryMiB ?? 512);
  const [vcpus, setVcpus] = useState(image?.defaults.vcpus ?? 1);
  const [overlayStorage, setStorage] = useState<'memory' | 'disk'>('memory');
  const [screen, setScreen] = useState(true);
  const [startNow, setStartNow] = useState(true);
  const [keepReady, setKeepReady] = useState(true);
  const self = places.find((place) => place.self);
  const site = places.find((place) => !place.self && place.profile === 'site');
  const busy = app.doing.value.has(SUBJECT);
  const error = app.failures.value.get(SUBJECT);
  if (image === undefined) return <p>{texts.needImage}</p>;

  const submit = async () => {
    const made = await app.ask(SUBJECT, 'other', 'guest.create', {
      ...{ name, image: image.name, memoryMiB, vcpus, overlayStorage },
      display: screen ? 'vga' : 'none',
    });
    if (made === undefined) return;
    // What fails from here on is told where the guest is shown.
    if (startNow) {
      const started = await app.ask(made.id, 'start', 'guest.start', { guest: made.id });
      if (started !== undefined && keepReady && site !== undefined)
        await app.ask(made.id, 'arm', 'standby.arm', { guest: made.id, at: site.id });
    }
    onMade(made);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {site === undefined && self?.profile === 'device' && (
        <Callout tone="risk">
          <p>{texts.needSite}</p>
        </Callout>
      )}
      <Field label={texts.guestName} help={texts.guestNameHelp}>
        {(id, help) => (
          <input
            id={id}
            aria-describedby={help}
            required
            pattern="[a-z0-9][a-z0-9\-]{0,39}"
            autocomplete="off"
            spellcheck={false}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="row">
        <Field label={texts.memory}>
          {(id) => (
            <input
              id={id}
              type="number"
              required
              min={64}
              max={1_048_576}
              value={memoryMiB}
              onInput={(event) => setMemory(event.currentTarget.valueAsNumber)}
            />
          )}
        </Field>
        <Field label={texts.processors}>
          {(id) => (
            <input
              id={id}
              type="number"
              required
              min={1}
              max={64}
              value={vcpus}
              onInput={(event) => setVcpus(event.currentTarget.valueAsNumber)}
            />
          )}
        </Field>
      </div>
      <Field label={texts.storage}>
        {(id) => (
          <select
            id={id}
            value={overlayStorage}
            onChange={(event) =>
              setStorage(event.currentTarget.value === 'disk' ? 'disk' : 'memory')
            }
          >
            <option value="memory">{texts.storageMemory}</option>
            <option value="disk">{texts.storageDisk}</option>
          </select>
        )}
      </Field>
      <Check label={texts.screen} checked={screen} onChange={setScreen} />
      <Check label={texts.startNow} checked={startNow} onChange={setStartNow} />
      {site !== undefined && startNow && (
        <Check label={texts.keepReady(site.name)} checked={keepReady} onChange={setKeepReady} />
      )}
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(SUBJECT)} />}
      <div class="row end">
        <Button type="submit" look="primary" busy={busy}>
          {busy ? texts.guestBusy : texts.guestAction}
        </Button>
      </div>
      <p class="visually-hidden" role="status">
        {busy ? common.loading : ''}
      </p>
    </form>
  );
}
