/** Lets a claimed guest run, and finds out what is known when that fails. */
import { setTimeout as delay } from 'node:timers/promises';
import { QmpError, QmpTimeoutError } from '../guest/index.ts';
import type { IncomingGuest, LogPort } from './ports.ts';
import { statusInfo } from './qemu-names.ts';
import { reasonOf } from './reason.ts';
import type { Reason } from './source-machine.ts';

/** A QEMU that did not answer is asked again after this, ms. */
const ASK_AGAIN_MS = 250;

/**
 * `watched`: all that the QEMU did since it was loaded has been seen. Undefined when the guest runs; `ran`: it executed at
 * least one instruction here, or nobody knows that it did not. A QEMU that does not answer is waited for, however long: it has the only
 * copy of the guest.
 */
export async function letRun(
  guest: IncomingGuest,
  watched: boolean,
  log: LogPort,
): Promise<{ readonly ran: boolean; readonly reason: Reason } | undefined> {
  let resumed = !watched;
  const off = guest.qmp.on('RESUME', () => {
    resumed = true;
  });
  try {
    await continued(guest, log);
    return undefined;
  } catch (error) {
    // QEMU tells RESUME before the first instruction: an end without it was an end before it.
    const ran = resumed || !(await provablyPaused(guest, error));
    return { ran, reason: reasonOf(error) };
  } finally {
    off();
  }
}

/** `cont` of a guest that runs changes nothing, so that it may be asked for again. */
async function continued(guest: IncomingGuest, log: LogPort): Promise<void> {
  for (;;) {
    try {
      await guest.qmp.execute('cont');
      return;
    } catch (error) {
      if (!(error instanceof QmpTimeoutError) || guest.qmp.isClosed) throw error;
      log.warn({ err: error }, 'the guest is ours, and its QEMU does not answer yet');
      await Promise.race([delay(ASK_AGAIN_MS), guest.qmp.closed]);
    }
  }
}

async function provablyPaused(guest: IncomingGuest, error: unknown): Promise<boolean> {
  if (guest.qmp.isClosed) return true;
  if (!(error instanceof QmpError)) return false;
  try {
    return !statusInfo.parse(await guest.qmp.execute('query-status')).running;
  } catch {
    // No answer about a living QEMU proves nothing.
    return guest.qmp.isClosed;
  }
}
