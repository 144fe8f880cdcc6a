/** Time limits for what must not hang, and the way out when QEMU itself does. */
import { z } from 'zod';
import { SojournError } from '../common/index.ts';
import type { LogPort, QmpPort } from './ports.ts';
import { HANDOFF_PREFIX } from './qemu-names.ts';

/** QMP commands of clean-up get this long before QEMU is yanked, ms; they take a few ms otherwise. */
export const QMP_PATIENCE_MS = 2_000;
/** Out-of-band commands are answered by a thread of their own, ms. */
const OOB_TIMEOUT_MS = 2_000;
const LOOK_EVERY_MS = 100;

const yankInstances = z.array(
  z.looseObject({ type: z.string(), 'node-name': z.string().optional() }),
);

/**
 * Cuts the connections of a handoff inside QEMU, out of band: the one thing that works when QEMU waits for an
 * NBD peer or a migration stream. Other connections of the guest stay. The cut commands then fail and end.
 */
export async function yank(qmp: QmpPort, log: LogPort): Promise<void> {
  const options = { timeoutMs: OOB_TIMEOUT_MS };
  const found = yankInstances.parse(await qmp.executeOob('query-yank', undefined, options));
  const ours = found.filter(
    ({ type, 'node-name': node }) =>
      type === 'migration' || (type === 'block-node' && node?.startsWith(HANDOFF_PREFIX)),
  );
  log.warn({ instances: ours }, 'QEMU does not answer: cutting the connections of the handoff');
  if (ours.length > 0) await qmp.executeOob('yank', { instances: ours }, options);
}

/** Runs a clean-up command; where QEMU does not answer it is yanked, and the command's end awaited once more. */
export async function insist(
  qmp: QmpPort,
  log: LogPort,
  command: string,
  args?: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const answer = qmp.execute(command, args, { timeoutMs: 3 * QMP_PATIENCE_MS });
  // Awaited below, unless the yank itself fails.
  answer.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), QMP_PATIENCE_MS);
  });
  try {
    const first = await Promise.race([answer.then(() => 'done' as const), late]);
    if (first === 'late') await yank(qmp, log);
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Rejects when `progress` (any figure that moves while work gets done) stands still for `patienceMs`. Meant for the
 * pause only: before it a stall costs the guest nothing, and is waited out. Counts looks, not time: a busy
 * event loop of our own is no stall of the link.
 */
export function watchProgress(
  progress: () => number,
  patienceMs: number,
): { readonly stalled: Promise<never>; stop(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  let last = progress();
  let still = 0;
  const timer = setInterval(() => {
    const current = progress();
    still = current === last ? still + 1 : 0;
    last = current;
    if (still * LOOK_EVERY_MS < patienceMs) return;
    clearInterval(timer);
    reject(
      new SojournError({
        kind: 'unreachable',
        code: 'switchover-stalled',
        message: `Nothing arrived at the other place for ${Math.round(patienceMs)} ms during the switchover`,
        remedy: 'Try again when the network is better; the guest goes on here',
      }),
    );
  }, LOOK_EVERY_MS);
  return { stalled: promise, stop: () => clearInterval(timer) };
}
