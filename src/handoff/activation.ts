/** Lets a claimed guest run, and finds out what is known when that fails. */
import { QmpError } from '../guest/index.ts';
import type { IncomingGuest } from './ports.ts';
import { statusInfo } from './qemu-names.ts';
import { reasonOf } from './reason.ts';
import type { Reason } from './source-machine.ts';

/**
 * `watched`: all that the QEMU did since it was loaded has been seen. Undefined when the guest runs; `ran`: it executed at
 * least one instruction here, or nobody knows that it did not.
 */
export async function letRun(
  guest: IncomingGuest,
  watched: boolean,
): Promise<{ readonly ran: boolean; readonly reason: Reason } | undefined> {
  let resumed = !watched;
  const off = guest.qmp.on('RESUME', () => {
    resumed = true;
  });
  try {
    await guest.qmp.execute('cont');
    return undefined;
  } catch (error) {
    // QEMU tells RESUME before the first instruction: an end without it was an end before it.
    const ran = resumed || !(await provablyPaused(guest, error));
    return { ran, reason: reasonOf(error) };
  } finally {
    off();
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
