/** A guest whose QEMU is here and answers, and what is asked of that QEMU itself. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type GuestProcess, QmpError } from '../../guest/index.ts';
import type { DiskRuntime } from '../../guest/runtime.ts';
import type { GuestSpec } from '../../guest/spec.ts';

const QUEUE_STATUS = 'x-query-virtio-queue-status';
/** virtio 1.2, 5.1.2: 0 receives, 1 transmits. */
const TRANSMIT_QUEUE = { path: '/machine/peripheral/net0/virtio-backend', queue: 1 };
/** A queue that nothing leaves for so long is stuck, ms. */
const STUCK_MS = 200;
/** Buffers that QEMU has taken and not given back, and how many it has given back ever (modulo 2^16). */
const queueStatus = z.object({ inuse: z.number(), 'used-idx': z.number() });

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
  /** Copies of its disks can be made while it stands by elsewhere. */
  readonly copiedStandingBy: boolean;
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

/**
 * Whether QEMU waits for room in a stream that its switch has left behind: it does not send what it had taken from the guest then,
 * nor anything after it.
 */
export async function isNetworkStuck(live: LiveGuest): Promise<boolean> {
  if ((await statusOf(live)) !== 'running') return false;
  const { qmp } = live.process;
  const look = async () => queueStatus.parse(await qmp.execute(QUEUE_STATUS, TRANSMIT_QUEUE));
  try {
    const before = await look();
    if (before.inuse === 0) return false;
    await delay(STUCK_MS);
    return (await look())['used-idx'] === before['used-idx'];
  } catch (error) {
    // QEMU before 7.2 cannot tell.
    if (error instanceof QmpError) return true;
    throw error;
  }
}

/**
 * `stop` and `cont` let a stuck transmit queue go on. Not while QEMU sends the guest's memory: without a guest that runs it does not
 * wait for the release of a handoff, and then refuses `cont`.
 */
export async function wakeNetwork({ process: { qmp } }: LiveGuest): Promise<void> {
  // Both at once, so that nobody sees it paused.
  await Promise.all([qmp.execute('stop'), qmp.execute('cont')]);
}

async function statusOf(live: LiveGuest): Promise<string> {
  const query = z.object({ status: z.string() });
  return (await live.process.qmp.query(query, 'query-status')).status;
}
