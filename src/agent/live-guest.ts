/** A guest whose QEMU is here and answers, and what is asked of that QEMU itself. */
import { z } from 'zod';
import type { GuestProcess } from '../guest/index.ts';
import type { DiskRuntime } from '../guest/runtime.ts';
import type { GuestSpec } from '../guest/spec.ts';

export type LivePhase =
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | {
      readonly kind: 'paused';
      readonly reason: 'overlay-limit' | 'disk-error';
      readonly detail: string;
    }
  /** Waits for a handoff to complete; only that may start it. */
  | { readonly kind: 'incoming' }
  | { readonly kind: 'stopping' };

export interface LiveGuest {
  readonly spec: GuestSpec;
  readonly process: GuestProcess;
  readonly disks: readonly DiskRuntime[];
  phase: LivePhase;
  since: Date;
}

/** What QEMU is left in is told from what was `expected` of it. */
export async function phaseOf(live: LiveGuest, expected: LivePhase): Promise<LivePhase> {
  if (expected.kind === 'incoming' || (await statusOf(live)) !== 'io-error') return expected;
  return {
    kind: 'paused',
    reason: 'overlay-limit',
    detail: 'a disk could not be written; its overlay may have reached its limit',
  };
}

/** After a switch that died or stalled, `stop` and `cont` wake the guest's transmit queue again. */
export async function wakeNetwork(live: LiveGuest): Promise<void> {
  if ((await statusOf(live)) !== 'running') return;
  await live.process.qmp.execute('stop');
  await live.process.qmp.execute('cont');
}

async function statusOf(live: LiveGuest): Promise<string> {
  const query = z.object({ status: z.string() });
  return (await live.process.qmp.query(query, 'query-status')).status;
}
