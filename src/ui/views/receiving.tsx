/** Whether guests of other places may come here, and what they may use. */
import { useState } from 'preact/hooks';
import type { PlaceView, ReceiveMode, Status } from '../../api/schema.ts';
import { Button, Check, Dialog, Failure, Field } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

const SUBJECT = 'receiving';
const GIB = 1024 ** 3;
const modes: readonly ReceiveMode[] = ['off', 'ask', 'always'];

/** For all places of which nothing else is said. */
export function Receiving({ status }: { readonly status: Status }) {
  const app = useApp();
  const { receiving: texts } = useMessages();
  const { receiving } = status;
  if (receiving === undefined) return null;
  const error = app.failures.value.get(SUBJECT);
  return (
    <section>
      <h2>{texts.title}</h2>
      <p class="muted">{texts.help}</p>
      <Field label={texts.all}>
        {(id) => (
          <select
            id={id}
            value={receiving.receive}
            onChange={({ currentTarget: { value } }) => {
              const receive = modes.find((mode) => mode === value);
              if (receive !== undefined)
                void app.ask(SUBJECT, 'other', 'receiving.set', { receive });
            }}
          >
            {modes.map((mode) => (
              <option key={mode} value={mode}>
                {texts.modes[mode]}
              </option>
            ))}
          </select>
        )}
      </Field>
      {receiving.listens.length > 0 && (
        <p class="muted">{texts.listens(receiving.listens.join(', '))}</p>
      )}
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(SUBJECT)} />}
    </section>
  );
}

/** What a place may do here, in one line. */
export function useRightsText(): (place: PlaceView) => string | null {
  const { receiving: texts } = useMessages();
  const { bytes } = useFormats();
  return ({ rights }) => {
    if (rights === undefined) return null;
    const { receive, own, fetch, limits } = rights;
    const mode = texts.modes[receive];
    const { guests, memoryMiB, diskBytes } = limits;
    const limited = [
      guests === null ? [] : texts.countGuests(guests),
      memoryMiB === null ? [] : texts.ofMemory(bytes(memoryMiB * 1024 ** 2)),
      diskBytes === null ? [] : texts.ofDisk(bytes(diskBytes)),
    ].flat();
    const may = texts.facts(own ? mode : texts.asAll(mode), fetch);
    return limited.length === 0 ? may : `${may}; ${texts.limited(limited.join(', '))}`;
  };
}

export function RightsDialog({
  place,
  all,
  onClose,
}: {
  readonly place: PlaceView;
  /** What is set for all places. */
  readonly all: ReceiveMode;
  readonly onClose: () => void;
}) {
  const app = useApp();
  const { receiving: texts, common } = useMessages();
  const rights = place.rights;
  const [receive, setReceive] = useState<ReceiveMode | 'default'>(
    rights?.own === true ? rights.receive : 'default',
  );
  const [fetch, setFetch] = useState(rights?.fetch ?? true);
  const { guests = null, memoryMiB = null, diskBytes = null } = rights?.limits ?? {};
  const [counted, setCounted] = useState(guests?.toString() ?? '');
  const [memory, setMemory] = useState(inGib(memoryMiB === null ? null : memoryMiB * 1024 ** 2));
  const [disk, setDisk] = useState(inGib(diskBytes));
  const apply = async () => {
    const memoryBytes = fromGib(memory);
    const answer = await app.ask(place.id, 'other', 'receiving.set', {
      place: place.id,
      receive,
      fetch,
      limits: {
        guests: counted === '' ? null : Number(counted),
        memoryMiB: memoryBytes === null ? null : Math.round(memoryBytes / 1024 ** 2),
        diskBytes: fromGib(disk),
      },
    });
    if (answer !== undefined) onClose();
  };
  const error = app.failures.value.get(place.id);
  const limit = (label: string, value: string, set: (value: string) => void, step: string) => (
    <Field label={label}>
      {(id) => (
        <input
          id={id}
          type="number"
          min="0"
          step={step}
          value={value}
          onInput={(event) => set(event.currentTarget.value)}
        />
      )}
    </Field>
  );
  return (
    <Dialog title={texts.rightsOf(place.name)} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void apply();
        }}
      >
        <Field label={texts.from(place.name)}>
          {(id) => (
            <select
              id={id}
              value={receive}
              onChange={({ currentTarget: { value } }) =>
                setReceive(modes.find((mode) => mode === value) ?? 'default')
              }
            >
              <option value="default">{texts.asAll(texts.modes[all])}</option>
              {modes.map((mode) => (
                <option key={mode} value={mode}>
                  {texts.modes[mode]}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Check label={texts.fetch} checked={fetch} onChange={setFetch} />
        <fieldset>
          <legend>{texts.limits}</legend>
          {limit(texts.guests, counted, setCounted, '1')}
          {limit(texts.memory, memory, setMemory, 'any')}
          {limit(texts.disk, disk, setDisk, 'any')}
        </fieldset>
        {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(place.id)} />}
        <div class="row end">
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" look="primary" busy={app.doing.value.has(place.id)}>
            {texts.apply}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function inGib(bytes: number | null): string {
  return bytes === null ? '' : String(Number((bytes / GIB).toFixed(2)));
}

function fromGib(text: string): number | null {
  return text === '' ? null : Math.round(Number(text) * GIB);
}
