import { useState } from 'preact/hooks';
import type { GuestView, ImageView, Status } from '../../api/schema.ts';
import { Button } from '../parts/basics.tsx';
import { useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';
import { InviteForm } from './invite-form.tsx';
import { CheckStep } from './setup-check.tsx';
import { GuestStep } from './setup-guest.tsx';
import { ImageStep } from './setup-image.tsx';
import { PairStep } from './setup-pair.tsx';

const steps = {
  device: ['check', 'pair', 'image', 'guest', 'done'],
  site: ['check', 'invite', 'image', 'guest', 'done'],
} as const;

/** From nothing to a running guest that has somewhere to go; every step can be come back to. */
export function Setup({ status }: { readonly status: Status }) {
  const { setup: texts, common } = useMessages();
  const order = steps[status.agent.profile];
  const [at, setAt] = useState(0);
  const [image, setImage] = useState<ImageView>();
  const [guest, setGuest] = useState<GuestView>();
  const step = order[at] ?? 'done';
  const next = () => setAt(Math.min(at + 1, order.length - 1));
  const canSkip = step === 'pair' || step === 'invite';
  return (
    <>
      <h1>{texts.title}</h1>
      <ol class="steps" aria-label={texts.stepOf(at + 1, order.length)}>
        {order.map((name, index) => (
          <li
            key={name}
            class={index < at ? 'past' : index === at ? 'current' : 'future'}
            aria-current={index === at ? 'step' : undefined}
          >
            {texts.steps[name]}
          </li>
        ))}
      </ol>
      <section class="card" aria-live="polite">
        <h2>{texts.steps[step]}</h2>
        {step === 'check' && <CheckStep />}
        {step === 'pair' && <PairStep places={status.places} />}
        {step === 'invite' && <InviteForm />}
        {step === 'image' && <ImageStep chosen={image} onChoose={setImage} />}
        {step === 'guest' && (
          <GuestStep
            image={image}
            places={status.places}
            onMade={(made) => {
              setGuest(made);
              next();
            }}
          />
        )}
        {step === 'done' && (
          <>
            {guest !== undefined && <p>{texts.doneHelp(guest.name)}</p>}
            <a class="button primary" href={hrefOf({ view: 'dashboard' })}>
              {texts.toDashboard}
            </a>
          </>
        )}
      </section>
      {step !== 'done' && (
        <div class="row spread">
          {at > 0 ? <Button onClick={() => setAt(at - 1)}>{common.back}</Button> : <span />}
          {step !== 'guest' && (
            <Button
              look="primary"
              onClick={next}
              obstacle={step === 'image' && image === undefined ? texts.needImage : null}
            >
              {canSkip && status.places.every(({ self }) => self) ? texts.skip : common.next}
            </Button>
          )}
        </div>
      )}
    </>
  );
}
