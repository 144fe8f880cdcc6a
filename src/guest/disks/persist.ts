/**
 * Copies the overlays of a running guest to disk while it goes on, all as of one moment: what a guest that lost
 * power then would find. For a guest that has stopped, `copyOverlay` does it.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { SojournError } from '../../common/index.ts';
import { overlayNode } from '../arguments.ts';
import { type QmpClient, QmpError } from '../qmp/index.ts';
import type { GuestDisk } from '../spec.ts';
import { createImage } from './overlay.ts';
import { replaceFile } from './qemu-img.ts';

/** Copying may take minutes on a slow disk; a job that makes no end by then is given up. */
const BACKUP_TIMEOUT_MS = 30 * 60_000;
/** For jobs that were cancelled to end. */
const REMAINS_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 5;
/** Jobs and nodes of copies have it at the end of their names; nothing else does. */
const SUFFIX = '-persist';

export interface PersistDisk {
  readonly disk: GuestDisk;
  readonly basePath: string;
  /** The durable copy; replaced as a whole. */
  readonly targetPath: string;
}

export interface PersistOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** QEMU has nothing to do with the copy any more; its file may still be on its way to the disk. */
  readonly onReleased?: () => void;
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
  await removePersistRemains(qmp);
  await withPartials(disks, [], async (partials) => {
    try {
      options.signal?.throwIfAborted();
      for (const [index, { disk }] of disks.entries())
        await attach(qmp, disk, partials[index] ?? '');
      await backUp(qmp, disks, options);
    } finally {
      if (!qmp.isClosed) await removePersistRemains(qmp);
      options.onReleased?.();
    }
  });
}

/**
 * Whether a copy can be made while a handoff mirrors the guest's disks: not of a QEMU that a version before the filters
 * has started.
 */
export async function canPersistMirrored(
  qmp: QmpClient,
  disks: readonly { readonly name: string }[],
): Promise<boolean> {
  const nodes = await nodeNames(qmp);
  return disks.every(({ name }) => nodes.has(overlayNode(name)));
}

const statisticsSchema = z.array(
  z.object({ stats: z.object({ wr_bytes: z.int(), unmap_bytes: z.int() }) }),
);

/** Bytes that the guest has written or discarded since this QEMU was started, on all its disks. */
export async function bytesWritten(qmp: QmpClient): Promise<number> {
  const disks = await qmp.query(statisticsSchema, 'query-blockstats');
  return disks.reduce((sum, { stats }) => sum + stats.wr_bytes + stats.unmap_bytes, 0);
}

const nodesSchema = z.array(z.object({ 'node-name': z.string().optional() }));

/**
 * Ends a copy that was left under way in this QEMU, by an agent that died: its jobs and nodes stand in the way of the
 * next copy, and of a handoff. Throws Error when a job does not end.
 */
export async function removePersistRemains(qmp: QmpClient): Promise<void> {
  const deadline = performance.now() + REMAINS_TIMEOUT_MS;
  for (let round = 0; ; round += 1) {
    const jobs = await qmp.query(jobsSchema, 'query-jobs');
    const ours = jobs.filter(({ id }) => id.endsWith(SUFFIX));
    if (ours.length === 0) break;
    if (performance.now() > deadline) throw new Error('a copy of a disk does not end');
    for (const { id, status } of ours) {
      if (status === 'concluded') await unlessEnded(qmp.execute('job-dismiss', { id }));
      else if (round === 0) await unlessEnded(qmp.execute('job-cancel', { id }));
    }
    await delay(LOOK_EVERY_MS);
  }
  for (const name of await nodeNames(qmp))
    if (name.endsWith(SUFFIX)) await qmp.execute('blockdev-del', { 'node-name': name });
}

async function nodeNames(qmp: QmpClient): Promise<ReadonlySet<string>> {
  const nodes = await qmp.query(nodesSchema, 'query-named-block-nodes', { flat: true });
  return new Set(nodes.flatMap(({ 'node-name': name }) => name ?? []));
}

/** A job may come to its end by itself at any time, and then refuses what it is told. */
async function unlessEnded(command: Promise<unknown>): Promise<void> {
  try {
    await command;
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
  }
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
    // It is brought to the disk when it is complete; QEMU, and the guest with it, would stand still for that.
    cache: { 'no-flush': true },
  });
}

async function backUp(
  qmp: QmpClient,
  disks: readonly PersistDisk[],
  { timeoutMs = BACKUP_TIMEOUT_MS, signal }: PersistOptions,
): Promise<void> {
  const jobs = disks.map(({ disk }) => nodeName(disk));
  const nodes = await nodeNames(qmp);
  const ends = jobs.map((job) =>
    qmp.waitFor('JOB_STATUS_CHANGE', ({ data }) => data.id === job && data.status === 'concluded', {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  const ended = Promise.all(ends);
  // A transaction that is refused is the error; these waits then end in vain.
  ended.catch(() => undefined);
  await qmp.execute('transaction', {
    actions: disks.map(({ disk }) => ({
      type: 'blockdev-backup',
      data: {
        'job-id': nodeName(disk),
        // Below what a handoff works on; QEMUs of earlier versions have one node for both.
        device: nodes.has(overlayNode(disk.name)) ? overlayNode(disk.name) : disk.name,
        target: nodeName(disk),
        sync: 'top',
        'auto-dismiss': false,
      },
    })),
    properties: { 'completion-mode': 'grouped' },
  });
  await ended;
  await conclude(qmp, jobs);
}

const jobsSchema = z.array(
  z.object({ id: z.string(), status: z.string(), error: z.string().optional() }),
);

async function conclude(qmp: QmpClient, jobs: readonly string[]): Promise<void> {
  const all = await qmp.query(jobsSchema, 'query-jobs');
  const ours = all.filter(({ id }) => jobs.includes(id));
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

function nodeName(disk: GuestDisk): string {
  return `${disk.name}${SUFFIX}`;
}
