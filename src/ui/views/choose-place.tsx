import { useState } from 'preact/hooks';
import type { GuestView, PlaceView } from '../../api/schema.ts';
import { targetsOf, usualTarget } from '../model/actions.ts';
import { Button, Check, Dialog, Empty } from '../parts/basics.tsx';
import { useApp, useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';

interface ChoosePlaceProps {
  readonly guest: GuestView;
  readonly places: readonly PlaceView[];
  readonly purpose: 'hand-off' | 'arm';
  readonly onClose: () => void;
}

/** Where a guest shall go, or stand by. A place that cannot be reached is shown, and why. */
export function ChoosePlace({ guest, places, purpose, onClose }: ChoosePlaceProps) {
  const app = useApp();
  const { choosePlace: texts, common, actions, nav, places: placeTexts } = useMessages();
  const [chosen, setChosen] = useState(usualTarget(guest, places)?.place.id);
  const [options, setOptions] = useState({
    urgent: false,
    slowGuest: false,
    whenUnmetered: false,
    bothWays: true,
  });
  const targets = targetsOf(places);
  const moves = purpose === 'hand-off';
  const target = targets.find(({ place }) => place.id === chosen);
  const go = () => {
    if (target === undefined) return;
    const { urgent, slowGuest, whenUnmetered, bothWays } = options;
    const at = target.place.id;
    if (moves) void app.handOff(guest, at, { urgent, slowGuest });
    else
      void app.ask(guest.id, 'arm', 'standby.arm', {
        ...{ guest: guest.id, at, whenUnmetered, bothWays },
      });
    onClose();
  };
  const option = (name: keyof typeof options) => (
    <Check
      label={texts[name]}
      checked={options[name]}
      onChange={(checked) => setOptions({ ...options, [name]: checked })}
    />
  );
  return (
    <Dialog
      title={moves ? texts.handOffTitle(guest.name) : texts.armTitle(guest.name)}
      onClose={onClose}
    >
      {targets.length === 0 ? (
        <Empty icon="places" title={texts.none} help={texts.noneHelp}>
          <a class="button primary" href={hrefOf({ view: 'places' })} onClick={onClose}>
            {nav.places}
          </a>
        </Empty>
      ) : (
        <>
          <p class="muted">{moves ? texts.handOffHelp : texts.armHelp}</p>
          <fieldset class="choices">
            <legend class="visually-hidden">{nav.places}</legend>
            {targets.map(({ place, obstacle }) => (
              <label key={place.id} class="choice">
                <input
                  type="radio"
                  name="place"
                  checked={place.id === chosen}
                  // A standby waits for its place by itself; a move cannot.
                  disabled={moves && obstacle !== null}
                  onChange={() => setChosen(place.id)}
                />
                <span class="grow">
                  <strong class="name">{place.name}</strong>
                  <small class="muted">
                    {[
                      placeTexts.profiles[place.profile],
                      ...(place.id === guest.home.id ? [texts.home] : []),
                      ...(obstacle === null ? [] : [texts.notConnected]),
                    ].join(' · ')}
                  </small>
                </span>
              </label>
            ))}
          </fieldset>
          <details>
            <summary>{common.details}</summary>
            {moves ? (
              <>
                {option('urgent')}
                {option('slowGuest')}
              </>
            ) : (
              <>
                {option('whenUnmetered')}
                {option('bothWays')}
              </>
            )}
          </details>
        </>
      )}
      <div class="row end">
        <Button onClick={onClose}>{common.cancel}</Button>
        {targets.length > 0 && (
          <Button
            look="primary"
            onClick={go}
            obstacle={moves && target?.obstacle !== null ? texts.notConnected : null}
          >
            {moves && target !== undefined
              ? actions.handOffTo(target.place.name)
              : actions[purpose].replace(/\s*…$/, '')}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
