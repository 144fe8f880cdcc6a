/** What the agent does about what the datapath says. */
import type { Logger } from 'pino';
import { errorText } from '../../common/index.ts';
import type { DatapathEvent } from '../../datapath/index.ts';
import type { Guests } from '../guests/guests.ts';
import type { Departures } from '../handoffs/departures.ts';

export function onDatapathEvent(
  event: DatapathEvent,
  guests: Guests,
  departures: Departures,
  log: Logger,
): void {
  log.debug(event, 'datapath event');
  if (event.event === 'guestPortReconnected')
    wakeNetwork(event.guestId, guests, departures, log).catch((error: unknown) =>
      log.warn({ reason: errorText(error) }, 'guest network not woken'),
    );
}

async function wakeNetwork(
  guestId: string,
  guests: Guests,
  departures: Departures,
  log: Logger,
): Promise<void> {
  if (!(await guests.isNetworkStuck(guestId))) return;
  log.info({ guestId }, 'the guest cannot send: it is stopped and continued');
  await departures.atRest(guestId, () => guests.wakeNetwork(guestId));
}
