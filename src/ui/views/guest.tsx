import type { GuestView, Status } from '../../api/schema.ts';
import { formatFingerprint } from '../model/format.ts';
import { Empty, Facts, Meter } from '../parts/basics.tsx';
import { ProblemList } from '../parts/problem-list.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { hrefOf } from '../state/route.ts';
import { GuestGlance } from './dashboard.tsx';
import { GuestActions } from './guest-actions.tsx';
import { LiveHandoff } from './handoff-timeline.tsx';

/** All about one guest. */
export function Guest({
  reference,
  status,
}: {
  /** Id or name. */
  readonly reference: string;
  readonly status: Status;
}) {
  const app = useApp();
  const { guest: texts, nav } = useMessages();
  const guest = status.guests.find(({ id, name }) => id === reference || name === reference);
  if (guest === undefined)
    return (
      <Empty icon="dashboard" title={texts.gone} help="">
        <a class="button" href={hrefOf({ view: 'dashboard' })}>
          {nav.dashboard}
        </a>
      </Empty>
    );
  return (
    <>
      <p>
        <a href={hrefOf({ view: 'dashboard' })}>← {nav.dashboard}</a>
      </p>
      <h1 class="name">{guest.name}</h1>
      <section class="card">
        <GuestGlance guest={guest} />
        <LiveHandoff guestId={guest.id} />
        <ProblemList
          problems={app.problems.value.filter((problem) => problem.guest?.id === guest.id)}
          compact
        />
        <GuestActions guest={guest} places={status.places} detailed />
      </section>
      <Standby guest={guest} />
      <GuestFacts guest={guest} />
    </>
  );
}

function Standby({ guest }: { readonly guest: GuestView }) {
  const { guest: texts } = useMessages();
  const { bytes, byteRate, duration, wait } = useFormats();
  const { standby } = guest;
  if (standby === null) return null;
  const { residueBytes, residueBytesOnLink, dirtyBytesPerSecond, freshMs } = standby;
  const { upkeepBytesPerSecond, estimateMs } = standby;
  return (
    <section>
      <h2>{texts.standby}</h2>
      <Facts
        facts={[
          [texts.standbyPlace, <span class="name">{standby.place.name}</span>],
          [texts.standbyState, texts.standbyStates[standby.state]],
          [texts.estimate, estimateMs === null ? null : wait(estimateMs)],
          [
            texts.residue,
            residueBytes === null || residueBytesOnLink === null
              ? null
              : texts.residueBoth(bytes(residueBytesOnLink), bytes(residueBytes)),
          ],
          [texts.dirty, dirtyBytesPerSecond === null ? null : byteRate(dirtyBytesPerSecond)],
          [texts.fresh, freshMs === null ? null : duration(freshMs)],
          [texts.upkeep, upkeepBytesPerSecond === null ? null : byteRate(upkeepBytesPerSecond)],
        ]}
      />
    </section>
  );
}

function GuestFacts({ guest }: { readonly guest: GuestView }) {
  const { guest: texts, limit } = useMessages();
  const { bytes, time } = useFormats();
  const { overlay, network } = guest;
  return (
    <section>
      <h2>{texts.facts}</h2>
      {overlay !== null && (
        <div class="field">
          <span>
            {texts.written}: {limit.used(bytes(overlay.usedBytes), bytes(overlay.limitBytes))},{' '}
            {overlay.storage === 'memory' ? texts.writtenMemory : texts.writtenDisk}
          </span>
          <Meter
            label={texts.written}
            percent={Math.floor((100 * overlay.usedBytes) / overlay.limitBytes)}
          />
        </div>
      )}
      <Facts
        facts={[
          [texts.homeAddress, `${network.hoa4}, ${network.hoa6Prefix}`],
          [texts.home, <span class="name">{guest.home.name}</span>],
          [texts.memory, `${guest.memoryMiB} MiB`],
          [texts.processors, guest.vcpus],
          [texts.accelerator, guest.accelerator],
          [texts.machine, guest.machine],
          [texts.epoch, guest.epoch],
          [texts.created, time(guest.createdAt)],
          [texts.id, <code>{formatFingerprint(guest.id.replaceAll('-', ''))}</code>],
        ]}
      />
    </section>
  );
}
