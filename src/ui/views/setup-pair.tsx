import { useState } from 'preact/hooks';
import type { PlaceView } from '../../api/schema.ts';
import { Button, Callout } from '../parts/basics.tsx';
import { useApp, useMessages } from '../state/context.ts';
import { PairForm } from './pair-form.tsx';

export function PairStep({ places }: { readonly places: readonly PlaceView[] }) {
  const { language } = useApp();
  const { setup: texts } = useMessages();
  const known = places.filter(({ self }) => !self);
  const [asking, setAsking] = useState(known.length === 0);
  const names = new Intl.ListFormat(language.value).format(known.map(({ name }) => name));
  return (
    <>
      <p class="muted">{texts.pairHelp}</p>
      {known.length > 0 && !asking && (
        <>
          <Callout tone="safe">
            <p class="name">{texts.paired(names)}</p>
          </Callout>
          <div class="row">
            <Button onClick={() => setAsking(true)}>{texts.another}</Button>
          </div>
        </>
      )}
      {asking && <PairForm />}
    </>
  );
}
