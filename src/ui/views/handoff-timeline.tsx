import type { SeenHandoff } from '../model/handoffs.ts';
import { percentOf } from '../model/safety.ts';
import { Facts, Meter } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';

/** The handoff of a guest that is under way, if one is. */
export function LiveHandoff({ guestId }: { readonly guestId: string }) {
  const handoff = useApp().handoffs.value.find(
    ({ guest, outcome }) => guest.id === guestId && outcome === 'running',
  );
  return handoff === undefined ? null : <HandoffTimeline handoff={handoff} />;
}

/** What happens in a handoff, phase by phase, as it happens and afterwards. */
export function HandoffTimeline({ handoff }: { readonly handoff: SeenHandoff }) {
  const { handoffs: texts } = useMessages();
  const { bytes, byteRate, duration } = useFormats();
  const running = handoff.outcome === 'running';
  const current = handoff.phases.at(-1);
  const amount = (done: number, total: number | null) =>
    total === null ? (done > 0 ? bytes(done) : '') : texts.of(bytes(done), bytes(total));
  return (
    <div class="timeline">
      {running && current !== undefined && (
        <Meter label={texts.progress(handoff.guest.name)} percent={percentOf(current)} />
      )}
      <ol aria-label={texts.phase}>
        {handoff.phases.map((phase) => (
          <li key={phase.name} class={phase.ms === null ? 'current' : 'past'}>
            <span class="grow">{texts.phases[phase.name]}</span>
            <span class="muted">{amount(phase.bytesDone, phase.bytesTotal)}</span>
            <span class="number">{phase.ms === null ? '…' : duration(phase.ms)}</span>
          </li>
        ))}
      </ol>
      {running ? (
        <Facts
          facts={[
            [texts.rate, handoff.bytesPerSecond === null ? null : byteRate(handoff.bytesPerSecond)],
            [texts.left, handoff.etaMs === null ? null : duration(handoff.etaMs)],
            [texts.residue, handoff.residueBytes === null ? null : bytes(handoff.residueBytes)],
          ]}
        />
      ) : (
        handoff.outcome === 'moved' && (
          <Facts
            facts={[
              [texts.pause, handoff.pauseMs === null ? null : duration(handoff.pauseMs)],
              [
                texts.total,
                handoff.triggerToRunningMs === null ? null : duration(handoff.triggerToRunningMs),
              ],
              [texts.onLink, handoff.bytesOnLink === null ? null : bytes(handoff.bytesOnLink)],
            ]}
          />
        )
      )}
      {handoff.note !== null && running && (
        <p class="muted" lang="en">
          {handoff.note}
        </p>
      )}
    </div>
  );
}
