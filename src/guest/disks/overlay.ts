/**
 * Overlays: qcow2 files with a guest's own changes over a read-only base, in memory (tmpfs) or on disk. The limit is not
 * the file's: the file is sparse and as long as the overlay can ever become, and QEMU's raw driver lets only the first
 * `limitBytes` be used. QEMU does not notice a file that grows under it, so raising the limit must not need that.
 */
import { chmod, mkdir, stat, statfs, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { SojournError } from '../../common/index.ts';
import { limitNode } from '../arguments.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { GuestDisk } from '../spec.ts';
import { qemuImg, replaceFile } from './qemu-img.ts';

/** Free room below which the host, not the limit, is taken to have stopped the guest, bytes. */
const HOST_FULL_BYTES = 1024 * 1024;
/** Smallest limit that leaves room for the metadata of an empty overlay and some data, bytes. */
export const MINIMUM_OVERLAY_LIMIT = 1024 * 1024;
const BLOCK_BYTES = 512;

type DiskShape = Pick<GuestDisk, 'baseFormat' | 'virtualBytes'>;

export interface OverlayPlace {
  readonly overlayPath: string;
  readonly basePath: string;
  readonly limitBytes: number;
}

/** Makes an empty overlay, readable by its owner only. Throws SojournError: `overlay-limit-small`, as `qemuImg`. */
export async function createOverlay(disk: DiskShape, place: OverlayPlace): Promise<void> {
  await mkdir(dirname(place.overlayPath), { recursive: true, mode: 0o700 });
  await replaceFile(place.overlayPath, async (partial) => {
    await createImage(disk, place.basePath, partial);
    await applyLimit(disk, partial, place.limitBytes);
  });
}

/**
 * Copies an overlay that no QEMU uses, keeping only what differs from the base: to persist what is in memory, and to
 * restore it (then with `limitBytes`). The copy is durable when it returns. Throws as `qemuImg`, `overlay-limit-small`.
 */
export async function copyOverlay(
  disk: DiskShape,
  from: string,
  to: Omit<OverlayPlace, 'limitBytes'> & { readonly limitBytes?: number },
): Promise<void> {
  await mkdir(dirname(to.overlayPath), { recursive: true, mode: 0o700 });
  await replaceFile(to.overlayPath, async (partial) => {
    const backing = ['-B', to.basePath, '-F', disk.baseFormat];
    await qemuImg('convert', '-q', '-f', 'qcow2', '-O', 'qcow2', ...backing, from, partial);
    await chmod(partial, 0o600);
    if (to.limitBytes !== undefined) await applyLimit(disk, partial, to.limitBytes);
  });
}

/** An empty qcow2 image over the base, without a limit. */
export async function createImage(disk: DiskShape, basePath: string, path: string): Promise<void> {
  const backing = ['-b', basePath, '-F', disk.baseFormat];
  await qemuImg('create', '-q', '-f', 'qcow2', '-u', ...backing, path, String(disk.virtualBytes));
  await chmod(path, 0o600);
}

/** Bytes an overlay takes of its limit; 0 where there is none, or none any more. */
export async function overlayUsage(path: string): Promise<number> {
  try {
    return (await stat(path)).blocks * BLOCK_BYTES;
  } catch (error) {
    // It can go at any time: a guest that has left, an arrival that was refused.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

const checkSchema = z.object({ 'image-end-offset': z.int() });

/** Where the used part of an overlay ends, bytes: the least limit it can have. No QEMU may use it. Throws as `qemuImg`. */
export async function overlayEnd(path: string): Promise<number> {
  const report = await qemuImg('check', '--output=json', '-f', 'qcow2', path);
  return checkSchema.parse(JSON.parse(report))['image-end-offset'];
}

/** Makes an overlay that no QEMU uses as long as a raised limit needs it. */
export async function growOverlay(path: string, limitBytes: number): Promise<void> {
  if ((await stat(path)).size < limitBytes) await truncate(path, limitBytes);
}

export interface OverlayFull {
  /** Name of the disk in the spec. */
  readonly disk: string;
  /** The host has no room, so that raising the limit would not help. */
  readonly hostFull: boolean;
  /** QEMU's time of the event, milliseconds since 1970. */
  readonly timeMs: number;
}

const ioErrorSchema = z.object({
  'node-name': z.string().optional(),
  /** Since QEMU 9.2. */
  'qom-path': z.string().optional(),
  action: z.string(),
  nospace: z.boolean().optional(),
});

/**
 * Tells when an overlay has reached its limit and the guest was paused for it: once for each write that was
 * under way. Returns how to stop that.
 */
export function onOverlayFull(
  qmp: QmpClient,
  disks: readonly { readonly name: string; readonly overlayPath: string }[],
  listener: (full: OverlayFull) => void,
  failed: (error: unknown) => void,
): () => void {
  let resumedMs = 0;
  const offResume = qmp.on('RESUME', ({ timeMs }) => {
    resumedMs = timeMs;
  });
  const offError = qmp.on('BLOCK_IO_ERROR', ({ data, timeMs }) => {
    const parsed = ioErrorSchema.safeParse(data);
    if (!parsed.success || parsed.data.nospace !== true || parsed.data.action !== 'stop') return;
    const { 'node-name': node, 'qom-path': device = '' } = parsed.data;
    // The node is that of a job, without a name of ours, while one works on the disk.
    const disk = disks.find(
      ({ name }) => name === node || device.startsWith(`/machine/peripheral/${name}/`),
    );
    if (disk === undefined) return;
    statfs(dirname(disk.overlayPath))
      .then(({ bavail, bsize }) => {
        // It may have been given room meanwhile.
        if (timeMs < resumedMs) return;
        listener({ disk: disk.name, hostFull: bavail * bsize < HOST_FULL_BYTES, timeMs });
      })
      .catch(failed);
  });
  return () => {
    offResume();
    offError();
  };
}

/**
 * Gives the overlay of a running or paused guest more room; the guest goes on if the limit had paused it. QEMU
 * tries the write that failed again. Returns the new limit, which is no more than the overlay can ever need. Throws
 * SojournError `overlay-limit-small` when it is not more than before.
 */
export async function raiseOverlayLimit(
  qmp: QmpClient,
  disk: { readonly name: string; readonly overlayPath: string },
  limitBytes: number,
): Promise<number> {
  const node = await currentLimitNode(qmp, disk.name);
  if (limitBytes <= node.limitBytes) throw notRaised(node.limitBytes);
  const { size } = await stat(disk.overlayPath);
  const effective = Math.min(limitBytes, size);
  await qmp.execute('blockdev-reopen', {
    options: [{ ...limitNode(disk.name, effective), cache: node.cache }],
  });
  const { status } = await qmp.query(z.object({ status: z.string() }), 'query-status');
  if (status === 'io-error') await qmp.execute('cont');
  return effective;
}

const namedNodesSchema = z.array(
  z.object({
    'node-name': z.string().optional(),
    cache: z.object({ direct: z.boolean(), 'no-flush': z.boolean() }),
    image: z.object({ 'virtual-size': z.int() }),
  }),
);

/** blockdev-reopen resets every option that it is not given again. */
async function currentLimitNode(qmp: QmpClient, disk: string) {
  const nodes = await qmp.query(namedNodesSchema, 'query-named-block-nodes', { flat: true });
  const node = nodes.find((candidate) => candidate['node-name'] === `${disk}-file`);
  if (node !== undefined) {
    const { direct, 'no-flush': noFlush } = node.cache;
    const limitBytes = node.image['virtual-size'];
    return { limitBytes, cache: { direct, 'no-flush': noFlush } };
  }
  throw new SojournError({
    kind: 'not-found',
    code: 'disk-unknown',
    message: `The guest has no disk ${disk}`,
    remedy: 'Name a disk that "sojourn guest show" lists',
  });
}

async function applyLimit(disk: DiskShape, path: string, limitBytes: number): Promise<void> {
  const { size } = await stat(path);
  const least = Math.max(size, MINIMUM_OVERLAY_LIMIT);
  if (limitBytes < least) throw tooSmall(limitBytes, least);
  await truncate(path, Math.max(limitBytes, largestOverlay(disk)));
}

/** Bytes a qcow2 image with 64 KiB clusters takes at most: data, 8 bytes of L2 table and 2 of refcount per cluster. */
function largestOverlay({ virtualBytes }: DiskShape): number {
  const mebibytes = Math.ceil((virtualBytes * 1.001) / 1024 ** 2);
  return (mebibytes + 4) * 1024 ** 2;
}

function notRaised(presentBytes: number): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'overlay-limit-small',
    message: `The overlay limit of a running guest can only be raised, and it is ${mebibytes(presentBytes)} MiB now`,
    remedy: `Choose more than ${mebibytes(presentBytes)} MiB, or stop the guest first`,
  });
}

function tooSmall(limitBytes: number, leastBytes: number): SojournError {
  return new SojournError({
    kind: 'usage',
    code: 'overlay-limit-small',
    message: `An overlay limit of ${mebibytes(limitBytes)} MiB is less than the ${mebibytes(leastBytes)} MiB it must hold`,
    remedy: `Raise it with "sojourn guest limit GUEST SIZE" to ${mebibytes(leastBytes)} MiB or more`,
  });
}

function mebibytes(bytes: number): string {
  return String(Number((bytes / 1024 ** 2).toFixed(1)));
}
