import type { GuestView, PlaceView, Status } from '../../api/schema.ts';
import { sentences } from '../model/format.ts';
import { safetyOf } from '../model/safety.ts';
import { Empty } from '../parts/basics.tsx';
import { Icon } from '../parts/icon.tsx';
import { ProblemList } from '../parts/problem-list.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';
import { GuestActions } from './guest-actions.tsx';
import { safetyText, stateText } from './guest-texts.ts';
import { LiveHandoff } from './handoff-timeline.tsx';

/** One glance: where each guest runs, and whether it is safe. */
export function Dashboard({ status }: { readonly status: Status }) {
  const { dashboard } = useMessages();
  const { guests, places } = status;
  return (
    <>
      <header class="row spread">
        <h1>{dashboard.title}</h1>
        {guests.length > 0 && (
          <a class="button" href={hrefOf({ view: 'setup' })}>
            {dashboard.newGuest}
          </a>
        )}
      </header>
      {guests.length === 0 && (
        <Empty icon="dashboard" title={dashboard.empty} help={dashboard.emptyHelp}>
          <a class="button primary" href={hrefOf({ view: 'setup' })}>
            {dashboard.emptyAction}
          </a>
        </Empty>
      )}
      <ul class="cards" aria-label={dashboard.summary(guests.length)}>
        {guests.map((guest) => (
          <li key={guest.id}>
            <GuestCard {...{ guest, places }} />
          </li>
        ))}
      </ul>
    </>
  );
}

function GuestCard({
  guest,
  places,
}: {
  readonly guest: GuestView;
  readonly places: readonly PlaceView[];
}) {
  const app = useApp();
  const { dashboard, common } = useMessages();
  const problems = app.problems.value.filter((problem) => problem.guest?.id === guest.id);
  return (
    <article class={`card tone-${safetyOf(guest).tone}`} data-guest={guest.name}>
      <div class="row spread">
        <h2 class="name">{guest.name}</h2>
        <a
          class="button quiet"
          href={hrefOf({ view: 'guest', guest: guest.id })}
          aria-label={dashboard.openDetails(guest.name)}
        >
          {common.details}
        </a>
      </div>
      <GuestGlance guest={guest} />
      <LiveHandoff guestId={guest.id} />
      <ProblemList problems={problems} compact />
      <GuestActions {...{ guest, places }} />
    </article>
  );
}

/** State first, then whether it is safe: in words, with a sign whose colour says the same. */
export function GuestGlance({ guest }: { readonly guest: GuestView }) {
  const messages = useMessages();
  const formats = useFormats();
  const safety = safetyOf(guest);
  const why = 'reason' in safety && safety.kind !== 'paused' && safety.kind !== 'crashed';
  return (
    <div class={`glance tone-${safety.tone}`}>
      <span class="sign">
        <Icon name={safety.tone} />
      </span>
      <div class="grow">
        <p class="state">{stateText(guest.state, messages)}</p>
        <p class="safety">{safetyText(safety, messages, formats)}</p>
        {why && safety.reason !== null && (
          <p class="muted" lang="en">
            {sentences(safety.reason, safety.remedy)}
          </p>
        )}
        {safety.kind === 'armed' && safety.hindrance !== null && (
          <p class="muted" lang="en">
            {sentences(safety.hindrance)}
          </p>
        )}
      </div>
    </div>
  );
}
