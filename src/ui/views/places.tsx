import { useState } from 'preact/hooks';
import type { PlaceView, ReceiveMode, Status } from '../../api/schema.ts';
import { formatFingerprint } from '../model/format.ts';
import { Button, Dialog, Empty, Facts, Failure } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';
import { Confirm } from './guest-dialogs.tsx';
import { InviteForm } from './invite-form.tsx';
import { Nearby } from './nearby.tsx';
import { PairForm } from './pair-form.tsx';
import { Receiving, RightsDialog, useRightsText } from './receiving.tsx';

/** Who this place trusts, as whom it knows them, and the way to end that. */
export function Places({
  status,
  invite: given,
  nearby: near = false,
}: {
  readonly status: Status;
  /** Somebody followed a link with it. */
  readonly invite?: string;
  /** Somebody wants to pair with a device in the same network. */
  readonly nearby?: boolean;
}) {
  const { places: texts, pair, invite, nearby, common } = useMessages();
  const [open, setOpen] = useState<'pair' | 'invite' | 'nearby' | undefined>(
    near ? 'nearby' : given === undefined ? undefined : 'pair',
  );
  const isSite = status.agent.profile === 'site';
  const others = status.places.filter(({ self }) => !self);
  const close = () => {
    setOpen(undefined);
    // The invite leaves the address, so that going back does not offer it again.
    if (given !== undefined || near) location.replace(hrefOf({ view: 'places' }));
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
      <Button onClick={() => setOpen('nearby')}>{nearby.open}</Button>
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
              <PlaceCard place={place} all={status.receiving?.receive} />
            </li>
          ))}
      </ul>
      <Receiving status={status} />
      {open === 'nearby' && (
        <Dialog title={nearby.title} onClose={close}>
          <Nearby />
          <div class="row end">
            <Button onClick={close}>{common.close}</Button>
          </div>
        </Dialog>
      )}
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

function PlaceCard({
  place,
  all,
}: {
  readonly place: PlaceView;
  /** Whether guests of places of which nothing else is said may come here. */
  readonly all: ReceiveMode | undefined;
}) {
  const app = useApp();
  const { places: texts, receiving, confirm } = useMessages();
  const { duration, time } = useFormats();
  const rightsText = useRightsText();
  const [asking, setAsking] = useState<'forget' | 'rights'>();
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
          ...(place.rights === undefined ? [] : ([[receiving.title, rightsText(place)]] as const)),
          [texts.fingerprint, <code>{formatFingerprint(place.id)}</code>],
        ]}
      />
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(place.id)} />}
      {!self && (
        <div class="row">
          {all !== undefined && (
            <Button label={receiving.rightsOf(place.name)} onClick={() => setAsking('rights')}>
              {receiving.rights}
            </Button>
          )}
          <Button
            look="danger"
            label={texts.forgetLabel(place.name)}
            busy={app.doing.value.has(place.id)}
            onClick={() => setAsking('forget')}
          >
            {texts.forget}
          </Button>
        </div>
      )}
      {asking === 'rights' && all !== undefined && (
        <RightsDialog place={place} all={all} onClose={() => setAsking(undefined)} />
      )}
      {asking === 'forget' && (
        <Confirm
          title={confirm.forgetTitle(place.name)}
          help={confirm.forgetHelp}
          action={confirm.forgetAction}
          onConfirm={() => void app.ask(place.id, 'other', 'place.forget', { place: place.id })}
          onClose={() => setAsking(undefined)}
        />
      )}
    </article>
  );
}
