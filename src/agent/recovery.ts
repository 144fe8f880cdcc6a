/**
 * After a start of the agent: finds again what an earlier one left running, checks that it is what was
 * recorded, and goes on with every handoff that was interrupted.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { errorText } from '../common/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import type { Arrivals } from './arrivals.ts';
import type { DatapathSupervisor } from './datapath-supervisor.ts';
import type { Departures } from './departures.ts';
import type { Guests, LivePhase } from './guests.ts';
import type { Journal } from './journal.ts';
import { anchoredSettings, arrivingSettings, departedSettings, localSettings } from './mapping.ts';
import type { JournalRecord, Ownership } from './ownership.ts';
import type { RegistryService } from './registry-service.ts';
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
  readonly log: Logger;
}

/** Status of a QEMU that is neither running nor waiting for a person: a handoff left it so. */
const LEFT_BY_HANDOFF = new Set([
  'inmigrate',
  'paused',
  'prelaunch',
  'postmigrate',
  'finish-migrate',
]);

/** A handoff that has not come to its end. */
type Unsettled =
  | { readonly side: 'source' | 'destination'; readonly record: HandoffRecord }
  | undefined;
type HandoffRecord = Extract<JournalRecord, { handoffId: string; peer: string; epoch: number }>;

/** Adopts all QEMUs and pushes all mappings; resolves when traffic is right again. Handoffs go on afterwards. */
export async function recover(options: RecoveryOptions): Promise<void> {
  const { store, registry, datapath, self, log } = options;
  // A guest with a QEMU here keeps its switch port; it comes below.
  for (const record of registry.list())
    if ((store.find(record.guestId)?.process ?? null) === null)
      await quietly(log, record.guestName, () => datapath.setGuest(anchoredSettings(record, self)));
  for (const stored of store.list())
    await quietly(log, stored.spec.name, () => recoverGuest(options, stored));
}

async function recoverGuest(options: RecoveryOptions, stored: StoredGuest): Promise<void> {
  const { journal, guests, departures, arrivals, datapath, registry, log } = options;
  const { spec } = stored;
  const ownership = journal.ownership(spec.id);
  const unsettled = unsettledHandoff(journal.of(spec.id));
  const phase: LivePhase =
    unsettled?.side === 'destination' ? { kind: 'incoming' } : { kind: 'running' };
  const live = await guests.adopt(stored, phase);
  if (live !== undefined) await mapLive(options, spec, ownership, unsettled);
  else if (stored.process !== null) {
    const record = registry.list().find(({ guestId }) => guestId === spec.id);
    if (record !== undefined) await datapath.setGuest(anchoredSettings(record, options.self));
  }
  if (unsettled?.side === 'source') {
    const { handoffId, peer, epoch, type } = unsettled.record;
    const base = type === 'handoff-started' ? epoch : epoch - 1;
    void departures
      .recover(spec, handoffId, peer, base)
      .catch((error: unknown) => log.error({ err: error, guest: spec.name }, 'not recovered'));
    return;
  }
  if (unsettled?.side === 'destination') {
    const { handoffId, peer, epoch } = unsettled.record;
    await arrivals.recover(stored, handoffId, peer, epoch);
    return;
  }
  const claimed = lastClaim(journal.of(spec.id));
  if (ownership.kind === 'here' && live !== undefined && claimed !== undefined) {
    const query = z.object({ status: z.string() });
    const { status } = await live.process.qmp.query(query, 'query-status');
    if (LEFT_BY_HANDOFF.has(status))
      await arrivals.recover(stored, claimed.handoffId, claimed.peer, claimed.epoch);
  }
  if (ownership.kind === 'elsewhere' && live !== undefined) await guests.discard(spec);
}

/** The datapath is told what it should know already, so that no packet is lost, also when it is a new one. */
async function mapLive(
  options: RecoveryOptions,
  spec: GuestSpec,
  ownership: Ownership,
  unsettled: Unsettled,
): Promise<void> {
  const { datapath, registry, self } = options;
  const at = { self, socket: options.netSocket(spec) };
  if (ownership.kind === 'here') {
    const { epoch } = ownership;
    await datapath.setGuest(localSettings(spec, { ...at, epoch, held: false }));
    registry.locate(spec.home, spec.id, self, epoch);
  } else if (ownership.kind === 'in-doubt') {
    const { epoch, peer } = ownership;
    const departed = departedSettings(spec, { self, epoch, place: peer });
    await datapath.setGuest({ ...departed, port: { socket: at.socket, held: false } });
  } else if (unsettled?.side === 'destination') {
    const { epoch, peer } = unsettled.record;
    await datapath.setGuest(arrivingSettings(spec, { ...at, epoch: epoch - 1, from: peer }));
  }
}

function unsettledHandoff(records: readonly JournalRecord[]): Unsettled {
  const open = new Map<string, NonNullable<Unsettled>>();
  for (const record of records) {
    switch (record.type) {
      case 'handoff-started':
      case 'handoff-sealed':
        open.set(record.handoffId, { side: 'source', record });
        break;
      case 'incoming-started':
        open.set(record.handoffId, { side: 'destination', record });
        break;
      case 'handoff-aborted':
      case 'handoff-released':
      case 'handoff-reclaimed':
      case 'incoming-claimed':
      case 'incoming-refused':
        open.delete(record.handoffId);
        break;
      case 'guest-created':
      case 'guest-deleted':
      case 'guest-forced':
        break;
    }
  }
  return [...open.values()].at(-1);
}

/** The record by which the guest came here, if it has not left or been decided on since. */
function lastClaim(records: readonly JournalRecord[]): HandoffRecord | undefined {
  const last = records.findLast(
    ({ type }) => type === 'incoming-claimed' || type === 'handoff-started',
  );
  return last?.type === 'incoming-claimed' ? last : undefined;
}

/** One guest that cannot be recovered must not keep the others from it. */
async function quietly(log: Logger, guest: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    log.error({ guest, err: error, reason: errorText(error) }, 'guest not recovered');
  }
}
