/**
 * Where the files of one guest are at this place, and which of them is the newest state of its disks.
 *
 *   guests/<id>/diskN.qcow2      durable: the overlay itself, or the last persisted copy of the one in memory
 *   guests/<id>/uefi-variables.fd   what a UEFI guest has told its firmware to remember
 *   <tmpfs>/<place>/<id>/diskN.qcow2   overlay in memory; while it exists it is newer than the durable copy
 */
import { createHash } from 'node:crypto';
import { access, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SojournError } from '../common/index.ts';
import {
  copyOverlay,
  createOverlay,
  createVariables,
  type Firmware,
  growOverlay,
  memoryDirectory,
  overlayEnd,
  overlayUsage,
  type PersistDisk,
  persistLive,
  type QmpClient,
} from '../guest/index.ts';
import type { DiskRuntime } from '../guest/runtime.ts';
import type { GuestDisk, GuestSpec } from '../guest/spec.ts';
import type { ImageStore } from '../images/index.ts';

/** Enough of the id to be unique at one place, and short enough for unix socket paths. */
const ID_DIGITS = 12;

/** What the overlays of a guest that is about to start shall hold. */
export type OverlayContent = 'kept' | 'new' | 'empty';

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
   * Readies the overlays of a guest that is about to start. `kept`: what is in memory already, else a copy of the
   * durable one. `new`: it has never run. `empty`: its content is about to arrive, and what an earlier stay left is void.
   *
   * @throws SojournError `overlay-lost`, `overlay-memory-short`, `overlay-limit-small`, or as the image store's `verify`
   */
  async prepare(spec: GuestSpec, content: OverlayContent): Promise<DiskRuntime[]> {
    await mkdir(this.directory(spec), { recursive: true, mode: 0o700 });
    const working = await this.#workingDirectory(spec);
    await mkdir(working, { recursive: true, mode: 0o700 });
    const disks: DiskRuntime[] = [];
    for (const disk of spec.abi.disks) {
      await this.#images.verify(disk.base.digest);
      const place = {
        overlayPath: join(working, `${disk.name}.qcow2`),
        basePath: this.#images.path(disk.base.digest),
        limitBytes: spec.overlayLimitBytes,
      };
      const durable = this.durablePath(spec, disk);
      if (content !== 'kept') {
        await rm(durable, { force: true });
        await createOverlay(disk, place);
      } else if (await exists(place.overlayPath)) {
        // Newest already; its limit may have been raised since it was made.
        await growOverlay(place.overlayPath, place.limitBytes);
      } else if (await exists(durable)) {
        await copyOverlay(disk, durable, place);
      } else {
        throw overlayLost(spec, disk);
      }
      disks.push({ name: disk.name, ...place });
    }
    return disks;
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
    if (content !== 'kept' || !(await exists(path))) await createVariables(firmware, path);
    return path;
  }

  /** Copies the overlays in memory of a running guest to disk, as of one moment, while it goes on. */
  async persistRunning(
    spec: GuestSpec,
    qmp: QmpClient,
    disks: readonly DiskRuntime[],
    signal?: AbortSignal,
  ): Promise<void> {
    if (spec.overlayStorage === 'disk' || disks.length === 0) return;
    await persistLive(qmp, this.#persisted(spec, disks), signal === undefined ? {} : { signal });
  }

  /** Brings the overlays in memory of a stopped guest to disk; then memory is free again. */
  async persistStopped(spec: GuestSpec, disks: readonly DiskRuntime[]): Promise<void> {
    if (spec.overlayStorage === 'disk') return;
    for (const { disk, basePath, targetPath } of this.#persisted(spec, disks)) {
      const overlay = disks.find(({ name }) => name === disk.name)?.overlayPath;
      if (overlay === undefined || !(await exists(overlay))) continue;
      await copyOverlay(disk, overlay, { overlayPath: targetPath, basePath });
      await rm(overlay, { force: true });
    }
  }

  /** Removes everything of the guest here: it was deleted, or it is another place's now. */
  async remove(spec: GuestSpec, disks: readonly DiskRuntime[]): Promise<void> {
    for (const { overlayPath } of disks) await rm(overlayPath, { force: true });
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
    for (const { overlayPath } of disks)
      if (await exists(overlayPath)) bytes += await overlayUsage(overlayPath);
    return bytes;
  }

  #persisted(spec: GuestSpec, disks: readonly DiskRuntime[]): PersistDisk[] {
    return spec.abi.disks.flatMap((disk) => {
      const runtime = disks.find(({ name }) => name === disk.name);
      if (runtime === undefined) return [];
      return [{ disk, basePath: runtime.basePath, targetPath: this.durablePath(spec, disk) }];
    });
  }

  async #workingDirectory(spec: GuestSpec): Promise<string> {
    if (spec.overlayStorage === 'disk') return this.directory(spec);
    const memory = await memoryDirectory({
      environment: process.env,
      requiredBytes: spec.overlayLimitBytes * spec.abi.disks.length,
    });
    return join(memory.path, this.#placeKey, guestKey(spec.id));
  }
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
