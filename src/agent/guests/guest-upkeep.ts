/** What running guests need from time to time: short logs, and copies of what is only in memory. */
import type { Logger } from 'pino';
import { guestPaths, trimConsoleLog } from '../../guest/index.ts';
import type { GuestFiles } from './guest-files.ts';
import type { LiveGuest } from './live-guest.ts';
import type { Persistence } from './persistence.ts';

const LOGS_EVERY_MS = 60_000;
/** What a power cut may take of a guest whose overlays are in memory. */
const COPY_EVERY_MS = 10 * 60_000;

/** What a handoff of the guest, if there is one, does at present. */
export type Departing = (guestId: string) => 'moving' | 'standing-by' | undefined;

export interface UpkeepOptions {
  readonly guests: () => readonly LiveGuest[];
  readonly files: GuestFiles;
  readonly persistence: Persistence;
  readonly departing: Departing;
  readonly log: Logger;
}

/** Returns how to end it. */
export function keepUp(options: UpkeepOptions): () => void {
  const { guests, persistence, departing } = options;
  const copies = setInterval(() => {
    for (const live of guests())
      if (mayCopy(live, departing(live.spec.id))) persistence.refresh(live);
  }, COPY_EVERY_MS).unref();
  const logs = setInterval(() => void trimConsoleLogs(options), LOGS_EVERY_MS).unref();
  return () => {
    clearInterval(copies);
    clearInterval(logs);
  };
}

/** A guest on its way has its disks for its handoff alone, and so has one of an earlier version that stands by. */
export function mayCopy(
  { phase, copiedStandingBy }: Pick<LiveGuest, 'phase' | 'copiedStandingBy'>,
  departing: ReturnType<Departing>,
): boolean {
  if (phase.kind !== 'running' || departing === 'moving') return false;
  return departing === undefined || copiedStandingBy;
}

/** Never rejects: a log that cannot be trimmed only grows. */
async function trimConsoleLogs({ guests, files, log }: UpkeepOptions): Promise<void> {
  for (const { spec } of guests()) {
    try {
      await trimConsoleLog(guestPaths(files.directory(spec)).consoleLog);
    } catch (error) {
      log.warn({ err: error, guest: spec.name }, 'console log not trimmed');
    }
  }
}
