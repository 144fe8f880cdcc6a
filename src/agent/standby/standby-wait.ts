/** The call that arms a guest, and waits if it is asked to. */
import { once } from 'node:events';
import type { CallContext, PlaceRef } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { HandlerParts } from '../handlers.ts';

/** Figures of a fill move without an event, ms. */
const LOOK_EVERY_MS = 500;

/**
 * @throws SojournError as `Standbys.arm`; with `wait` also why the guest does not stand by: it is tried again all the same,
 * but nobody has to wait for that. What has to come first is waited for.
 */
export async function armAndWait(
  { standbys, changes }: Pick<HandlerParts, 'standbys' | 'changes'>,
  spec: GuestSpec,
  to: PlaceRef,
  how: { readonly wait: boolean; readonly whenUnmetered: boolean; readonly bothWays: boolean },
  { signal, emit }: CallContext<'standby.arm'>,
): Promise<void> {
  const { wait, ...wish } = how;
  await standbys.arm(spec, to, wish);
  while (wait) {
    const view = standbys.view(spec.id);
    if (view === null || view.place.id !== to.id)
      throw new SojournError({
        kind: 'cancelled',
        code: 'disarmed',
        message: `${spec.name} was disarmed`,
      });
    emit(view);
    if (view.state === 'armed') return;
    if (view.state === 'unavailable')
      throw new SojournError({
        kind: 'requirement',
        code: view.reasonCode ?? 'standby-failed',
        message: `${spec.name} does not stand by at ${to.name}: ${view.reason}; it is tried again by itself`,
        remedy: view.remedy ?? 'See "sojourn status" for what becomes of it',
      });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_EVERY_MS)]);
    await once(changes, 'change', { signal: limit }).catch(() => undefined);
    signal.throwIfAborted();
  }
}
