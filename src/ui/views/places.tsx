import { useState } from 'preact/hooks';
import type { PlaceView, Status } from '../../api/schema.ts';
import { formatFingerprint } from '../model/format.ts';
import { Button, Dialog, Empty, Facts, Failure } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';
import { Confirm } from './guest-dialogs.tsx';
import { InviteForm } from './invite-form.tsx';
import { PairForm } from './pair-form.tsx';

/** Who this place trusts, as whom it knows them, and the way to end that. */
export function Places({
  status,
  invite: given,
}: {
  readonly status: Status;
  /** Somebody followed a link with it. */
  readonly invite?: string;
}) {
  const { places: texts, pair, invite, common } = useMessages();
  const [open, setOpen] = useState<'pair' | 'invite' | undefined>(
    given === undefined ? undefined : 'pair',
  );
  const isSite = status.agent.profile === 'site';
  const others = status.places.filter(({ self }) => !self);
  const close = () => {
    setOpen(undefined);
    // The invite leaves the address, so that going back does not offer it again.
    if (given !== undefined) location.replace(hrefOf({ view: 'places' }));
  };
  const actions = (
    <>
      {isSite && (
        <Button look="primary" onClick={() => setOpen('invite')}>
          {texts.invite}
        </Button>
      )}
      <Button look={isSite ? 'plain' : 'primary'} onClick={() => setOpen('pair')}>
        {texts.pair}
      </Button>
    </>
  );
  return (
    <>
      <header class="row spread">
        <h1>{texts.title}</h1>
        {others.length > 0 && <div class="row">{actions}</div>}
      </header>
      {others.length === 0 && (
        <Empty icon="places" title={texts.empty} help={texts.emptyHelp}>
          <div class="row">{actions}</div>
        </Empty>
      )}
      <ul class="cards">
        {status.places
          .toSorted((a, b) => Number(a.self) - Number(b.self))
          .map((place) => (
            <li key={place.id}>
              <PlaceCard place={place} />
            </li>
          ))}
      </ul>
      {open === 'pair' && (
        <Dialog title={pair.title} onClose={close}>
          <PairForm given={given} />
          <div class="row end">
            <Button onClick={close}>{common.close}</Button>
          </div>
        </Dialog>
      )}
      {open === 'invite' && (
        <Dialog title={invite.title} onClose={close}>
          <InviteForm />
          <div class="row end">
            <Button onClick={close}>{common.close}</Button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function PlaceCard({ place }: { readonly place: PlaceView }) {
  const app = useApp();
  const { places: texts, confirm } = useMessages();
  const { duration, time } = useFormats();
  const [asking, setAsking] = useState(false);
  const { self, connected, rttMs, lastSeenAt, endpoints, pairedAt, profile } = place;
  const error = app.failures.value.get(place.id);
  const rights = { site: texts.rightsSite, device: texts.rightsDevice }[profile];
  const tag = self ? 'self' : connected ? 'connected' : 'notConnected';
  return (
    <article class="card" data-place={place.id}>
      <div class="row spread">
        <h2 class="name">{place.name}</h2>
        <span class={`tag ${connected ? 'moved' : 'stayed'}`}>{texts[tag]}</span>
      </div>
      <p class="muted">{texts.profiles[profile]}</p>
      <Facts
        facts={[
          ...(self
            ? []
            : ([
                [texts.roundTrip, rttMs === null ? null : duration(rttMs)],
                [
                  texts.lastSeen,
                  lastSeenAt === null ? (pairedAt === null ? null : texts.never) : time(lastSeenAt),
                ],
                [texts.address, endpoints.length === 0 ? texts.dialsUs : endpoints.join(', ')],
                [texts.paired, pairedAt === null ? null : time(pairedAt)],
              ] as const)),
          [texts.rights, self ? texts.rightsSelf : rights],
          [texts.fingerprint, <code>{formatFingerprint(place.id)}</code>],
        ]}
      />
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(place.id)} />}
      {!self && (
        <div class="row">
          <Button
            look="danger"
            label={texts.forgetLabel(place.name)}
            busy={app.doing.value.has(place.id)}
            onClick={() => setAsking(true)}
          >
            {texts.forget}
          </Button>
        </div>
      )}
      {asking && (
        <Confirm
          title={confirm.forgetTitle(place.name)}
          help={confirm.forgetHelp}
          action={confirm.forgetAction}
          onConfirm={() => void app.ask(place.id, 'other', 'place.forget', { place: place.id })}
          onClose={() => setAsking(false)}
        />
      )}
    </article>
  );
}
