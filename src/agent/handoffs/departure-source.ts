/** What a departure needs of this place, and what this place learns from its end. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlaceRef } from '../../api/index.ts';
import { asClause, errorText } from '../../common/index.ts';
import { compatibilityProblems } from '../../guest/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { HandoffResult, SourceOptions } from '../../handoff/index.ts';
import type { GuestFiles } from '../guests/guest-files.ts';
import { departedSettings, localSettings } from '../network/mapping.ts';
import { unmapGuest } from '../network/unmap.ts';
import type { Places } from '../places/places.ts';
import type { Departure } from './departure.ts';
import { toApiProgress } from './departure-report.ts';
import type { DeparturesOptions } from './departures.ts';

/** While in doubt the other place is asked again and again; a look for a session takes this long at most, ms. */
const CONNECT_LIMIT_MS = 30_000;

export function sourceOptions(
  parts: DeparturesOptions,
  spec: GuestSpec,
  departure: Departure,
  epoch: number,
  directory: string,
): Omit<SourceOptions, 'guest'> {
  const { places, journal, machine, datapath, screens, log } = parts;
  const { to, handoffId, cancel } = departure;
  return {
    handoffId,
    spec,
    epoch,
    peer: to.id,
    connect: (signal) => untilConnected(places, to.id, signal),
    datapath: {
      beginSwitchover: async (request) => {
        // A screen is no reason for a handoff to fail.
        await screens
          .hold(spec.id)
          .catch((error: unknown) =>
            log.warn({ guest: spec.name, reason: errorText(error) }, 'keys may be lost'),
          );
        await datapath.client.call('beginSwitchover', request);
      },
      abortSwitchover: async (request) => {
        screens.goOn(spec.id);
        await datapath.abortSwitchover(request.guestId);
      },
      commitSwitchover: async (request) => {
        await datapath.client.call('commitSwitchover', request);
      },
      reclaim: async (request) => {
        screens.goOn(spec.id);
        await datapath.client.call('reclaim', request);
      },
    },
    journal,
    directory,
    wayBack: async () =>
      compatibilityProblems(spec, await machine.capabilities(spec.abi.accelerator), {
        placeName: places.self.name,
        // What it takes here it may take again.
        memoryReserved: true,
        overlayBytes: 0,
      }).map(({ message, ...problem }) => ({
        ...problem,
        message: asClause(`It could not come back, because ${asClause(message)}`),
      })),
    releaseDisks: () => parts.guests.releaseDisks(spec.id),
    onProgress: (progress) => {
      departure.progress = toApiProgress(progress, departure.progress);
      departure.onProgress(departure.progress);
      parts.changed(spec.id);
    },
    signal: cancel.signal,
    decision: departure.decision.promise,
    manner: () => departure.manner,
    now: Date.now,
    log,
  };
}

/** Mapping and registry follow what the two journals have decided. */
export async function settleDeparture(
  parts: DeparturesOptions,
  spec: GuestSpec,
  to: PlaceRef,
  result: HandoffResult,
): Promise<void> {
  const { registry, datapath, places, guests, netSocket } = parts;
  const self = places.self.id;
  if (result.outcome === 'handed-over') {
    const { epoch } = result;
    await datapath.ensureGuest(departedSettings(spec, { epoch, self, place: to.id }));
    registry.locate(spec.home, spec.id, to.id, epoch);
    return;
  }
  registry.locate(spec.home, spec.id, self, result.epoch);
  if (result.guest === 'gone') {
    await unmapGuest(spec.id, { registry, datapath, self });
  } else {
    const at = { epoch: result.epoch, self, socket: netSocket(spec), held: false };
    await datapath.ensureGuest(localSettings(spec, at));
  }
  guests.emit('changed', spec.id);
}

/** With a private directory for the sockets of one handoff. */
export async function withDirectory<Result>(
  files: GuestFiles,
  spec: GuestSpec,
  action: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = join(files.directory(spec), 'out');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    return await action(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Keeps looking for a session until the signal says that it is not needed any more. */
async function untilConnected(places: Places, peer: string, signal: AbortSignal) {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_LIMIT_MS)]);
  return places.connected(peer, limit);
}
