/**
 * After a start of the agent: finds again what an earlier one left running, checks that it is what was
 * recorded, and goes on with every handoff that was interrupted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { errorText } from '../common/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import { leftByHandoff } from '../handoff/index.ts';
import type { Guests, LiveGuest } from './guests/guests.ts';
import type { Arrivals } from './handoffs/arrivals.ts';
import type { Departures } from './handoffs/departures.ts';
import type { DatapathSupervisor } from './network/datapath-supervisor.ts';
import {
  anchoredSettings,
  arrivingSettings,
  departedSettings,
  localSettings,
} from './network/mapping.ts';
import type { RegistryService } from './network/registry-service.ts';
import { unmapGuest } from './network/unmap.ts';
import type { Journal } from './ownership/journal.ts';
import type { JournalRecord, Ownership } from './ownership/ownership.ts';
import type { GuestStore, StoredGuest } from './state/guest-store.ts';

export interface RecoveryOptions {
  readonly self: string;
  readonly store: GuestStore;
  readonly journal: Journal;
  readonly guests: Guests;
  readonly departures: Departures;
  readonly arrivals: Arrivals;
  readonly registry: RegistryService;
  readonly datapath: DatapathSupervisor;
  readonly netSocket: (stored: StoredGuest['spec']) => string;
  /** Removes what is left of a guest that this place has nothing to do with. */
  readonly forget: (stored: StoredGuest) => Promise<void>;
  readonly log: Logger;
}

/** One guest that does not answer must not keep the agent from its work: its recovery goes on in the background, ms. */
const PATIENCE_MS = 10_000;

/** The record with which the last handoff of a guest began. */
type Beginning = Extract<JournalRecord, { type: 'handoff-started' | 'incoming-started' }>;

/** Adopts all QEMUs and pushes all mappings; resolves when traffic is right again. Handoffs go on afterwards. */
export async function recover(options: RecoveryOptions): Promise<void> {
  const { store, registry, datapath, self, log } = options;
  // A guest with a QEMU here keeps its switch port; it comes below.
  for (const record of registry.list())
    if ((store.find(record.guestId)?.process ?? null) === null)
      await quietly(log, record.guestName, () => datapath.setGuest(anchoredSettings(record, self)));
  const patience = delay(PATIENCE_MS, undefined, { ref: false });
  const all = store
    .list()
    .map((stored) => quietly(log, stored.spec.name, () => recoverGuest(options, stored)));
  await Promise.race([Promise.all(all), patience]);
}

async function recoverGuest(options: RecoveryOptions, stored: StoredGuest): Promise<void> {
  const { journal, guests, registry, arrivals, log } = options;
  const { spec } = stored;
  const ownership = journal.ownership(spec.id);
  const last = lastHandoff(journal.of(spec.id));
  const arriving = last?.type === 'incoming-started' && ownership.kind !== 'here';
  // Before its QEMU answers: its packets do not wait for that.
  if (stored.process !== null) await mapPresent(options, spec, ownership, last);
  const live = await guests.adopt(stored, { kind: arriving ? 'incoming' : 'running' });
  // Its start was not on record.
  if (live !== undefined && stored.process === null)
    await mapPresent(options, spec, ownership, last);
  // First: an agent that died right after a handoff has not told, and the mapping would be refused as out of date.
  if (ownership.kind === 'here') registry.locate(spec.home, spec.id, options.self, ownership.epoch);
  if (ownership.kind === 'elsewhere')
    registry.locate(spec.home, spec.id, ownership.place, ownership.epoch);
  if (live === undefined && stored.process !== null) await unmapGuest(spec.id, options);
  const nothingHere = live === undefined && stored.disks.length === 0;
  // What an arrival had begun is on no other record yet.
  if (ownership.kind === 'elsewhere' && nothingHere && !arriving) return;
  if (last?.type === 'incoming-started')
    await arrivals.recover(stored, last.handoffId, last.peer, last.epoch);
  // A handoff in doubt waits for the other place, for which the agent does not wait.
  void quietly(log, spec.name, () => goOn(options, stored, last));
}

async function goOn(
  { journal, guests, departures, arrivals, forget }: RecoveryOptions,
  stored: StoredGuest,
  last: Beginning | undefined,
): Promise<void> {
  const { spec } = stored;
  if (last?.type === 'handoff-started')
    await departures.recover(spec, last.handoffId, last.peer, last.epoch);
  const now = journal.ownership(spec.id);
  if (now.kind === 'here') await resume(guests.live(spec.id));
  // One that has arrived waits for its seal; the other place may have sent it.
  if (arrivals.find(spec.id) !== undefined) return;
  if (now.kind === 'elsewhere') await guests.discard(spec);
  if (now.kind === 'unknown') await forget(stored);
}

/** The datapath is told what it should know already, so that no packet is lost, also when it is a new one. */
async function mapPresent(
  options: RecoveryOptions,
  spec: GuestSpec,
  ownership: Ownership,
  last: Beginning | undefined,
): Promise<void> {
  const { datapath, self } = options;
  const at = { self, socket: options.netSocket(spec) };
  if (ownership.kind === 'here') {
    const { epoch } = ownership;
    await datapath.setGuest(localSettings(spec, { ...at, epoch, held: false }));
  } else if (ownership.kind === 'in-doubt') {
    const { epoch, peer } = ownership;
    const departed = departedSettings(spec, { self, epoch, place: peer });
    await datapath.setGuest({ ...departed, port: { socket: at.socket, held: false } });
  } else if (last?.type === 'incoming-started') {
    const { epoch, peer } = last;
    await datapath.setGuest(arrivingSettings(spec, { ...at, epoch: epoch - 1, from: peer }));
  }
}

/** A guest of ours that a handoff, or the waking of its network, left stopped goes on. */
async function resume(live: LiveGuest | undefined): Promise<void> {
  if (live === undefined || live.phase.kind !== 'running') return;
  const query = z.object({ status: z.string() });
  const { status } = await live.process.qmp.query(query, 'query-status');
  if (leftByHandoff.has(status)) await live.process.qmp.execute('cont');
}

function lastHandoff(records: readonly JournalRecord[]): Beginning | undefined {
  return records.findLast(
    (record): record is Beginning =>
      record.type === 'handoff-started' || record.type === 'incoming-started',
  );
}

/** One guest that cannot be recovered must not keep the others from it. */
async function quietly(log: Logger, guest: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    log.error({ guest, err: error, reason: errorText(error) }, 'guest not recovered');
  }
}
