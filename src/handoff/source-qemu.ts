/** What is done to the guest's own QEMU at the source beside mirror and migration: look, clean up, see that it runs. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { LogPort, QmpPort } from './ports.ts';
import { blockJobs, HANDOFF_PREFIX, leftByHandoff, migrateInfo, statusInfo } from './qemu-names.ts';
import type { FoundQemu } from './recovery.ts';
import { insist } from './watchdog.ts';

const LOOK_EVERY_MS = 10;
/** For QEMU to leave a cancelled migration, and a job to end, ms. */
const SETTLE_TIMEOUT_MS = 10_000;

/** Where no migration is under way, and the guest may be continued. */
const settledMigration = [undefined, 'none', 'completed', 'failed', 'cancelled'];

const nodes = z.array(z.looseObject({ 'node-name': z.string().optional() }));
const exportsInfo = z.array(z.looseObject({ id: z.string() }));

export async function findQemu(qmp: QmpPort | undefined): Promise<FoundQemu> {
  if (qmp === undefined || qmp.isClosed) return { kind: 'gone' };
  let found: unknown[];
  try {
    found = await Promise.all([
      qmp.execute('query-status'),
      qmp.execute('query-migrate'),
      qmp.execute('query-block-exports'),
    ]);
  } catch (error) {
    if (qmp.isClosed) return { kind: 'gone' };
    throw error;
  }
  const [status, migration, exported] = found;
  return {
    kind: 'present',
    status: statusInfo.parse(status).status,
    migration: migrateInfo.parse(migration).status,
    exports: exportsInfo.parse(exported).length,
  };
}

/**
 * Ends a migration that is under way and sees that the guest runs, in any state QEMU may be in: `active` and `device`
 * (QEMU resumes by itself when cancelled), `pre-switchover`, `postmigrate` (only `cont` helps). A guest that is stopped for
 * a reason of its own, such as `io-error`, stays so.
 * Rejects when QEMU is gone, or does not run the guest in time.
 */
export async function runGuestHere(qmp: QmpPort, log: LogPort): Promise<void> {
  await insist(qmp, log, 'migrate_cancel');
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const { status } = migrateInfo.parse(await insist(qmp, log, 'query-migrate'));
    if (settledMigration.includes(status)) break;
    if (performance.now() > deadline) throw new Error(`QEMU stays in migration state ${status}`);
    await delay(LOOK_EVERY_MS);
  }
  for (;;) {
    const found = statusInfo.parse(await insist(qmp, log, 'query-status'));
    if (found.running || !leftByHandoff.has(found.status)) return;
    // Right after a cancellation QEMU is about to resume by itself.
    if (found.status !== 'finish-migrate') await insist(qmp, log, 'cont');
    else await delay(LOOK_EVERY_MS);
    if (performance.now() > deadline) throw new Error(`QEMU stays in state ${found.status}`);
  }
}

/** Removes the jobs and nodes of a handoff that did not take place. The guest runs meanwhile. */
export async function removeMirrors(qmp: QmpPort, log: LogPort): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (let round = 0; ; round += 1) {
    const jobs = blockJobs.parse(await insist(qmp, log, 'query-block-jobs'));
    const ours = jobs.filter(({ device }) => device.startsWith(HANDOFF_PREFIX));
    if (ours.length === 0) break;
    if (performance.now() > deadline) throw new Error('a disk mirror does not end');
    for (const { device, paused } of round === 0 ? ours : []) {
      await insist(qmp, log, 'block-job-cancel', { device, force: true });
      if (paused) await insist(qmp, log, 'block-job-resume', { device });
    }
    await delay(LOOK_EVERY_MS);
  }
  const found = nodes.parse(await insist(qmp, log, 'query-named-block-nodes', { flat: true }));
  for (const { 'node-name': name } of found) {
    if (name?.startsWith(HANDOFF_PREFIX)) {
      await insist(qmp, log, 'blockdev-del', { 'node-name': name });
    }
  }
}
