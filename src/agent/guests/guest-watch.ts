/** What a guest's QEMU does of its own accord: it comes to the limit of a disk, or ends. */
import type { Logger } from 'pino';
import { onOverlayFull } from '../../guest/index.ts';
import type { LiveGuest, LivePhase } from './live-guest.ts';

export interface GuestExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** By its own power-down, or because the host ends its programs before it shuts down itself. */
  readonly orderly: boolean;
}

export interface GuestWatcher {
  readonly paused: (phase: Extract<LivePhase, { kind: 'paused' }>) => void;
  readonly ended: (exit: GuestExit) => void;
  readonly log: Logger;
}

export function watchGuest({ spec, process, disks }: LiveGuest, watcher: GuestWatcher): void {
  let orderly = false;
  process.qmp.on('SHUTDOWN', ({ data }) => {
    orderly = data.guest === true || data.reason === 'host-signal';
  });
  onOverlayFull(
    process.qmp,
    disks,
    ({ disk, hostFull }) =>
      watcher.paused({
        kind: 'paused',
        reason: hostFull ? 'disk-error' : 'overlay-limit',
        detail: hostFull
          ? `the host has no room left for ${disk}`
          : `the overlay of ${disk} has reached its limit`,
      }),
    (error) => watcher.log.warn({ err: error, guest: spec.name }, 'overlay not examined'),
  );
  void process.exited.then(({ code, signal }) =>
    watcher.ended({ code: code ?? null, signal: signal ?? null, orderly }),
  );
}
