/** Starts a guest's QEMU on its files, on record from before to after. */
import type { Logger } from 'pino';
import { errorText } from '../../common/index.ts';
import { GuestProcess, type GuestProcessOptions } from '../../guest/index.ts';
import type { DiskRuntime } from '../../guest/runtime.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { ImageStore } from '../../images/index.ts';
import type { GuestStore } from '../state/guest-store.ts';
import { bootFiles } from './boot-files.ts';
import type { GuestFiles, OverlayContent } from './guest-files.ts';
import type { Machine } from './machine.ts';

export interface LaunchParts {
  readonly store: GuestStore;
  readonly files: GuestFiles;
  readonly images: ImageStore;
  readonly machine: Machine;
  readonly log: Logger;
  /** Path of the switch port that the guest is plugged into. */
  readonly netSocket: (spec: GuestSpec) => string;
}

export interface Launched {
  readonly process: GuestProcess;
  readonly disks: readonly DiskRuntime[];
  readonly since: Date;
}

/** @throws SojournError as GuestProcess.start, GuestFiles.prepare and bootFiles */
export async function launchGuest(
  spec: GuestSpec,
  { content, incoming }: { readonly content: OverlayContent; readonly incoming: boolean },
  parts: LaunchParts,
  options: GuestProcessOptions,
): Promise<Launched> {
  const { store, files, machine } = parts;
  const { binary } = await machine.qemu();
  const boot = await bootFiles(spec, content, parts);
  const disks = await files.prepare(spec, content, store.find(spec.id)?.disks);
  const since = new Date();
  const record = {
    spec,
    intent: incoming ? ('stopped' as const) : ('running' as const),
    process: null,
    disks,
    crash: null,
    since: since.toISOString(),
  };
  // An agent that dies between here and the other record leaves a QEMU that `Guests.adopt` looks for.
  store.put(record);
  const directory = files.directory(spec);
  const netSocket = parts.netSocket(spec);
  const runtime = { binary, directory, disks, ...boot, netSocket, incoming };
  try {
    const process = await GuestProcess.start(spec, runtime, options);
    store.put({ ...record, process: process.record });
    return { process, disks, since };
  } catch (error) {
    // What was put into memory is not needed there; what arrives is void without the rest.
    if (!incoming) await files.persistStopped(spec, disks).catch(notSettled(spec, parts.log));
    throw error;
  }
}

export function notSettled(spec: GuestSpec, log: Logger): (error: unknown) => void {
  return (error) =>
    log.error({ guest: spec.name, reason: errorText(error) }, 'overlays not brought to disk');
}
