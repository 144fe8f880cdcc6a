import type { SeenHandoff } from '../model/handoffs.ts';
import { Callout, Empty, Failure, Loading } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { useAnswer } from '../state/use-answer.ts';
import { HandoffTimeline } from './handoff-timeline.tsx';

/** Newest entries of the journal that are shown. */
const MAX_ENTRIES = 100;

export function Handoffs() {
  const app = useApp();
  const { handoffs: texts } = useMessages();
  const log = app.handoffs.value;
  const live = log.filter(({ outcome }) => outcome === 'running');
  const recent = log.filter(({ outcome }) => outcome !== 'running');
  return (
    <>
      <h1>{texts.title}</h1>
      {log.length === 0 && <Empty icon="handoffs" title={texts.empty} help={texts.emptyHelp} />}
      <HandoffSection title={texts.live} handoffs={live} />
      <HandoffSection title={texts.recent} handoffs={recent} />
      <History ended={recent.length} />
    </>
  );
}

function HandoffSection({
  title,
  handoffs,
}: {
  readonly title: string;
  readonly handoffs: readonly SeenHandoff[];
}) {
  const { handoffs: texts } = useMessages();
  const { time } = useFormats();
  if (handoffs.length === 0) return null;
  return (
    <section>
      <h2>{title}</h2>
      {handoffs.map((handoff) => (
        <article key={handoff.id} class="card">
          <div class="row spread">
            <h3>
              <span class="name">{handoff.guest.name}</span>{' '}
              <span class="muted name">{texts.fromTo(handoff.from, handoff.to)}</span>
            </h3>
            <span class={`tag ${handoff.outcome}`}>{texts.outcomes[handoff.outcome]}</span>
          </div>
          <p class="muted">
            {time(new Date(handoff.startedAtMs).toISOString())}
            {handoff.kind === null ? '' : ` · ${texts.kinds[handoff.kind]}`}
          </p>
          <HandoffTimeline handoff={handoff} />
          {handoff.error !== null && <Failure error={handoff.error} />}
        </article>
      ))}
    </section>
  );
}

/** Who owned each guest and when, by the agent's journal: read again when a handoff has `ended`. */
function History({ ended }: { readonly ended: number }) {
  const { handoffs: texts } = useMessages();
  const { time } = useFormats();
  const [answer, again] = useAnswer('guest.audit', {}, ended);
  if (answer.kind === 'loading') return <Loading />;
  if (answer.kind === 'error') return <Failure error={answer.error} onAgain={() => again()} />;
  const found = answer.value;
  const entries = found.entries.toReversed().slice(0, MAX_ENTRIES);
  return (
    <section>
      <h2>{texts.history}</h2>
      {found.problems.map((problem) => (
        <Callout key={problem} tone="risk">
          <p lang="en">{problem}</p>
        </Callout>
      ))}
      {found.problems.length === 0 && <p class="muted">{texts.consistent(found.place.name)}</p>}
      <ul class="lines">
        {entries.map(({ guest, epoch, owner, from, until, record }) => (
          <li key={`${guest.id}-${epoch}-${record}-${from}`}>
            <span class="grow">
              <strong class="name">{guest.name}</strong>{' '}
              <span class="name">{owner === null ? texts.nobody : texts.owner(owner.name)}</span>
            </span>
            <span class="muted">
              {texts.until(time(from), until === null ? texts.now : time(until))}
            </span>
            <span class="muted">{texts.epoch(epoch)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
