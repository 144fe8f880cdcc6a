/** What is recorded of a guest whose QEMU has ended. */

import type { StoredGuest } from '../state/guest-store.ts';
import type { GuestExit } from './guest-watch.ts';

/** As it was to. */
export function ended(stored: StoredGuest): StoredGuest {
  return { ...stored, intent: 'stopped', process: null, since: now(), crash: null };
}

export function crashed(stored: StoredGuest, { code, signal }: GuestExit): StoredGuest {
  const at = now();
  const how = signal ?? (code === null ? undefined : `exit code ${code}`);
  const reason = `QEMU ended unexpectedly${how === undefined ? '' : ` (${how})`}`;
  const crash = { at, code, signal, reason };
  // Also of one that has just been claimed.
  return { ...stored, intent: 'running', process: null, since: at, crash };
}

/** Nobody knows how. */
export function endedWhileAway(stored: StoredGuest): StoredGuest {
  if (stored.process === null || stored.intent === 'stopped') return { ...stored, process: null };
  const reason = 'its QEMU ended while the agent was not running';
  return { ...stored, process: null, crash: { at: now(), code: null, signal: null, reason } };
}

function now(): string {
  return new Date().toISOString();
}
