/**
 * Copies the overlays of a running guest to disk while it goes on, all as of one moment: what a guest that lost
 * power then would find. For a guest that has stopped, `copyOverlay` does it.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { SojournError } from '../../common/index.ts';
import { type QmpClient, QmpError } from '../qmp/index.ts';
import type { GuestDisk } from '../spec.ts';
import { createImage } from './overlay.ts';
import { replaceFile } from './qemu-img.ts';

/** Copying may take minutes on a slow disk; a job that makes no end by then is given up. */
const BACKUP_TIMEOUT_MS = 30 * 60_000;

export interface PersistDisk {
  readonly disk: GuestDisk;
  readonly basePath: string;
  /** The durable copy; replaced as a whole. */
  readonly targetPath: string;
}

export interface PersistOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Throws SojournError `persist-failed`, or the signal's reason; the previous copies then stay as they were and the
 * guest is not touched. Only one at a time per guest.
 */
export async function persistLive(
  qmp: QmpClient,
  disks: readonly PersistDisk[],
  options: PersistOptions = {},
): Promise<void> {
  await withPartials(disks, [], async (partials) => {
    const attached: string[] = [];
    try {
      for (const [index, { disk }] of disks.entries()) {
        await attach(qmp, disk, partials[index] ?? '');
        attached.push(nodeName(disk));
      }
      await backUp(qmp, disks, options);
    } finally {
      if (!qmp.isClosed)
        for (const node of attached) await qmp.execute('blockdev-del', { 'node-name': node });
    }
  });
}

/** All partial files exist before, and are put in place after, `make`. */
async function withPartials(
  disks: readonly PersistDisk[],
  partials: readonly string[],
  make: (partials: readonly string[]) => Promise<void>,
): Promise<void> {
  const next = disks[partials.length];
  if (next === undefined) return make(partials);
  await mkdir(dirname(next.targetPath), { recursive: true, mode: 0o700 });
  await replaceFile(next.targetPath, async (partial) => {
    await createImage(next.disk, next.basePath, partial);
    await withPartials(disks, [...partials, partial], make);
  });
}

async function attach(qmp: QmpClient, disk: GuestDisk, filename: string): Promise<void> {
  await qmp.execute('blockdev-add', {
    driver: 'qcow2',
    'node-name': nodeName(disk),
    // Under the base that the guest uses: zeroes written over its data must be kept as such in the copy.
    backing: `${disk.name}-base`,
    file: { driver: 'file', filename },
  });
}

async function backUp(
  qmp: QmpClient,
  disks: readonly PersistDisk[],
  { timeoutMs = BACKUP_TIMEOUT_MS, signal }: PersistOptions,
): Promise<void> {
  const jobs = disks.map(({ disk }) => nodeName(disk));
  const ends = jobs.map((job) =>
    qmp.waitFor('JOB_STATUS_CHANGE', ({ data }) => data.id === job && data.status === 'concluded', {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  await qmp.execute('transaction', {
    actions: disks.map(({ disk }) => ({
      type: 'blockdev-backup',
      data: {
        'job-id': nodeName(disk),
        device: disk.name,
        target: nodeName(disk),
        sync: 'top',
        'auto-dismiss': false,
      },
    })),
    properties: { 'completion-mode': 'grouped' },
  });
  try {
    await Promise.all(ends);
  } catch (error) {
    await cancel(qmp, jobs);
    throw error;
  }
  await conclude(qmp, jobs);
}

const jobsSchema = z.array(
  z.object({ id: z.string(), status: z.string(), error: z.string().optional() }),
);

async function conclude(qmp: QmpClient, jobs: readonly string[]): Promise<void> {
  const all = await qmp.query(jobsSchema, 'query-jobs');
  const ours = all.filter(({ id }) => jobs.includes(id));
  for (const { id } of ours) await qmp.execute('job-dismiss', { id });
  const failed = ours.find(({ error }) => error !== undefined);
  if (failed === undefined) return;
  const full = failed.error === 'No space left on device';
  throw new SojournError({
    kind: full ? 'requirement' : 'internal',
    code: 'persist-failed',
    message: `The guest's disk changes could not be copied to disk: ${failed.error}`,
    remedy: full
      ? 'Free room in the state directory'
      : 'See the log of QEMU in the directory of the guest',
  });
}

async function cancel(qmp: QmpClient, jobs: readonly string[]): Promise<void> {
  if (qmp.isClosed) return;
  for (const id of jobs) {
    const ended = qmp.waitFor(
      'JOB_STATUS_CHANGE',
      ({ data }) => data.id === id && data.status === 'concluded',
    );
    try {
      await qmp.execute('job-cancel', { id });
      await ended;
    } catch (error) {
      // It has ended by itself in the meantime, and cannot be cancelled any more.
      if (!(error instanceof QmpError)) throw error;
    }
    await qmp.execute('job-dismiss', { id });
  }
}

function nodeName(disk: GuestDisk): string {
  return `${disk.name}-persist`;
}
