/**
 * Where the files of one guest are at this place, and which of them is the newest state of its disks.
 *
 *   guests/<id>/diskN.qcow2      durable: the overlay itself, or the last persisted copy of the one in memory
 *   guests/<id>/copy.json        how old that copy is (`copy-record.ts`)
 *   guests/<id>/uefi-variables.fd   what a UEFI guest has told its firmware to remember
 *   <tmpfs>/<place>/<id>/diskN.qcow2   overlay in memory; while it exists it is newer than the durable copy
 */
import { createHash } from 'node:crypto';
import { access, mkdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SojournError } from '../../common/index.ts';
import {
  copyOverlay,
  createOverlay,
  createVariables,
  type Firmware,
  growOverlay,
  memoryDirectory,
  overlayEnd,
  overlayUsage,
  ownMemoryDirectories,
  type PersistDisk,
  type PersistOptions,
  persistLive,
  type QmpClient,
} from '../../guest/index.ts';
import type { DiskRuntime } from '../../guest/runtime.ts';
import type { GuestDisk, GuestSpec } from '../../guest/spec.ts';
import type { ImageStore } from '../../images/index.ts';
import { readCopyRecord, writeCopyRecord } from './copy-record.ts';

/** Enough of the id to be unique at one place, and short enough for unix socket paths. */
const ID_DIGITS = 12;

/**
 * What the overlays of a guest that is about to start shall hold. `kept`: what it has written. `copy`: the same, or, if
 * that is gone, what a copy from its last run has of it. `new`: it has never run. `empty`: its content is about to
 * arrive, and what an earlier stay left is void.
 */
export type OverlayContent = 'kept' | 'copy' | 'new' | 'empty';

export class GuestFiles {
  readonly #guests: string;
  readonly #images: ImageStore;
  readonly #placeKey: string;

  constructor(stateDirectory: string, guestsDirectory: string, images: ImageStore) {
    this.#guests = guestsDirectory;
    this.#images = images;
    this.#placeKey = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8);
  }

  directory(spec: Pick<GuestSpec, 'id'>): string {
    return join(this.#guests, guestKey(spec.id));
  }

  durablePath(spec: Pick<GuestSpec, 'id'>, disk: GuestDisk): string {
    return join(this.directory(spec), `${disk.name}.qcow2`);
  }

  /**
   * Readies the overlays of a guest that is about to start: what is in memory already, else a copy of the durable one.
   * `known`: where they were last.
   *
   * @throws SojournError `overlay-lost`, `overlay-memory-*`, `overlay-limit-small`, or as the image store's `verify`
   */
  async prepare(
    spec: GuestSpec,
    content: OverlayContent,
    known: readonly DiskRuntime[] = [],
  ): Promise<DiskRuntime[]> {
    await mkdir(this.directory(spec), { recursive: true, mode: 0o700 });
    const disks: DiskRuntime[] = [];
    for (const disk of spec.abi.disks) {
      await this.#images.verify(disk.base.digest);
      const basePath = this.#images.path(disk.base.digest);
      const left = isFresh(content) ? undefined : await this.#present(disk, known);
      const overlayPath = left ?? (await this.#newOverlayPath(spec, disk));
      const place = { overlayPath, basePath, limitBytes: spec.overlayLimitBytes };
      await this.#fill(spec, disk, place, content);
      disks.push({ name: disk.name, ...place });
    }
    if (isCopied(spec)) await this.#beginRun(spec, content);
    return disks;
  }

  async #fill(
    spec: GuestSpec,
    disk: GuestDisk,
    place: Omit<DiskRuntime, 'name'>,
    content: OverlayContent,
  ): Promise<void> {
    const durable = this.durablePath(spec, disk);
    if (isFresh(content)) {
      await rm(durable, { force: true });
      await createOverlay(disk, place);
    } else if (await exists(place.overlayPath)) {
      // Newest already; its limit may have been raised since it was made.
      await growOverlay(place.overlayPath, place.limitBytes);
    } else {
      if (!(await exists(durable))) throw overlayLost(spec, disk);
      const copy = await readCopyRecord(this.#copyRecord(spec));
      if (content === 'kept' && copy?.final === false)
        throw overlayOutdated(spec, copy.at ?? (await stat(durable)).mtime.toISOString());
      await copyOverlay(disk, durable, place);
    }
  }

  /** From now on the durable copy is not all that the guest has written. */
  async #beginRun(spec: GuestSpec, content: OverlayContent): Promise<void> {
    const path = this.#copyRecord(spec);
    const at = isFresh(content) ? null : ((await readCopyRecord(path))?.at ?? null);
    await writeCopyRecord(path, { at, final: false });
  }

  /** The guest's own UEFI variables: what it has kept here, else those of a new machine. Returns their path. */
  async prepareVariables(
    spec: GuestSpec,
    firmware: Firmware,
    content: OverlayContent,
  ): Promise<string> {
    const directory = this.directory(spec);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, 'uefi-variables.fd');
    if (isFresh(content) || !(await exists(path))) await createVariables(firmware, path);
    return path;
  }

  /** Copies the overlays in memory of a running guest to disk, as of one moment, while it goes on. */
  async persistRunning(
    spec: GuestSpec,
    qmp: QmpClient,
    disks: readonly DiskRuntime[],
    options: PersistOptions = {},
  ): Promise<void> {
    if (!isCopied(spec) || disks.length === 0) return;
    const at = new Date().toISOString();
    await persistLive(qmp, this.#persisted(spec, disks), options);
    await writeCopyRecord(this.#copyRecord(spec), { at, final: false });
  }

  /** Brings the overlays in memory of a stopped guest to disk; then memory is free again. */
  async persistStopped(spec: GuestSpec, disks: readonly DiskRuntime[]): Promise<void> {
    if (!isCopied(spec)) return;
    const left: string[] = [];
    const all = this.#persisted(spec, disks);
    for (const { disk, basePath, targetPath } of all) {
      const overlay = await this.#present(disk, disks);
      if (overlay === undefined) continue;
      await copyOverlay(disk, overlay, { overlayPath: targetPath, basePath });
      left.push(overlay);
    }
    if (left.length === 0) return;
    if (left.length === all.length)
      await writeCopyRecord(this.#copyRecord(spec), { at: new Date().toISOString(), final: true });
    for (const overlay of left) await removeOverlay(spec, overlay);
  }

  /** Removes everything of the guest here: it was deleted, or it is another place's now. */
  async remove(spec: GuestSpec, disks: readonly DiskRuntime[]): Promise<void> {
    for (const { overlayPath } of disks) await removeOverlay(spec, overlayPath);
    // Also what was begun, and is on no record yet.
    if (isCopied(spec))
      for (const own of await ownMemoryDirectories({ environment: process.env })) {
        const folder = join(own, this.#placeKey, guestKey(spec.id));
        await rm(folder, { recursive: true, force: true });
        await removeEmpty(dirname(folder));
      }
    await rm(this.directory(spec), { recursive: true, force: true });
  }

  /** @throws SojournError `overlay-limit-small` when a stopped guest has written more than that. */
  async requireLimit(spec: GuestSpec, limitBytes: number): Promise<void> {
    for (const disk of spec.abi.disks) {
      const path = this.durablePath(spec, disk);
      const end = (await exists(path)) ? await overlayEnd(path) : 0;
      if (end > limitBytes)
        throw new SojournError({
          kind: 'usage',
          code: 'overlay-limit-small',
          message: `${spec.name} has written ${mebibytes(end)} MiB to ${disk.name}, and a limit of ${mebibytes(limitBytes)} MiB is less than that`,
          remedy: `Choose ${mebibytes(end)} MiB or more`,
        });
    }
  }

  /** Bytes that the overlays take; 0 where there are none. */
  async usage(disks: readonly { readonly overlayPath: string }[]): Promise<number> {
    let bytes = 0;
    for (const { overlayPath } of disks) bytes += await overlayUsage(overlayPath);
    return bytes;
  }

  #persisted(spec: GuestSpec, disks: readonly DiskRuntime[]): PersistDisk[] {
    return spec.abi.disks.flatMap((disk) => {
      const runtime = disks.find(({ name }) => name === disk.name);
      if (runtime === undefined) return [];
      return [{ disk, basePath: runtime.basePath, targetPath: this.durablePath(spec, disk) }];
    });
  }

  #copyRecord(spec: GuestSpec): string {
    return join(this.directory(spec), 'copy.json');
  }

  /** The disk's overlay where it was last, if it is there. */
  async #present(disk: GuestDisk, known: readonly DiskRuntime[]): Promise<string | undefined> {
    const path = known.find(({ name }) => name === disk.name)?.overlayPath;
    return path !== undefined && (await exists(path)) ? path : undefined;
  }

  async #newOverlayPath(spec: GuestSpec, disk: GuestDisk): Promise<string> {
    const directory = await this.#workingDirectory(spec);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return join(directory, `${disk.name}.qcow2`);
  }

  async #workingDirectory(spec: GuestSpec): Promise<string> {
    if (!isCopied(spec)) return this.directory(spec);
    const memory = await memoryDirectory({
      environment: process.env,
      requiredBytes: spec.overlayLimitBytes * spec.abi.disks.length,
    });
    return join(memory.path, this.#placeKey, guestKey(spec.id));
  }
}

/** Whether the durable files are copies of overlays in memory. */
function isCopied(spec: GuestSpec): boolean {
  return spec.overlayStorage === 'memory' && spec.abi.disks.length > 0;
}

/** Whether the guest begins with nothing of its own. */
function isFresh(content: OverlayContent): boolean {
  return content === 'new' || content === 'empty';
}

/** Names a guest in paths. */
export function guestKey(id: string): string {
  return id.replaceAll('-', '').slice(0, ID_DIGITS);
}

function overlayLost(spec: GuestSpec, disk: GuestDisk): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'overlay-lost',
    message: `The changes of ${spec.name} on ${disk.name} are gone: they were only in the memory of this host, which has been restarted without a shutdown`,
    remedy: `Delete it with "sojourn guest delete ${spec.name}" and create it again; one created with --overlay disk survives a power cut`,
  });
}

function overlayOutdated(spec: GuestSpec, at: string): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'overlay-lost',
    message: `What ${spec.name} has written since ${at} is gone: it was only in the memory of this host, which has been restarted without a shutdown`,
    remedy: `Go on from the copy of ${at} with "sojourn guest start ${spec.name} --from-copy"; a guest created with --overlay disk survives a power cut`,
  });
}

/** In memory its folders go with it, as far as nothing else is in them. */
async function removeOverlay(spec: GuestSpec, path: string): Promise<void> {
  await rm(path, { force: true });
  if (spec.overlayStorage === 'disk') return;
  const guest = dirname(path);
  if (await removeEmpty(guest)) await removeEmpty(dirname(guest));
}

/** @returns whether it is gone: it stays as long as there is something in it. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'ENOTEMPTY') return false;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** Rounded up, so that a limit of as much is enough. */
function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2);
}
