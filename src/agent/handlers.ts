/** The API's calls, each carried out by the part of the agent that it is about. */
import { type EventEmitter, once } from 'node:events';
import {
  type AgentInfo,
  type GuestView,
  type Handlers,
  type ImageView,
  resolveReference,
  type Status,
} from '../api/index.ts';
import { SojournError } from '../common/index.ts';
import { guestPaths } from '../guest/index.ts';
import { blobsOf, type ImageManifest, type ImageStore } from '../images/index.ts';
import { examine } from './doctor/index.ts';
import type { GuestFiles } from './guests/guest-files.ts';
import type { GuestLife } from './guests/guest-life.ts';
import type { Guests } from './guests/guests.ts';
import type { Machine } from './guests/machine.ts';
import type { Arrivals } from './handoffs/arrivals.ts';
import type { Departures } from './handoffs/departures.ts';
import { handOff } from './handoffs/handoff-call.ts';
import type { LinkWatch } from './link/index.ts';
import type { Nearby } from './nearby/index.ts';
import type { DatapathSupervisor } from './network/datapath-supervisor.ts';
import { mappingsHandlers } from './network/mappings-view.ts';
import type { RegistryService } from './network/registry-service.ts';
import { auditView } from './ownership/audit-view.ts';
import type { Journal } from './ownership/journal.ts';
import { peerCalls, REQUEST_MS } from './places/peer-messages.ts';
import type { Places } from './places/places.ts';
import type { Presence } from './places/presence.ts';
import type { Whereabouts } from './places/whereabouts.ts';
import { policyHandlers } from './policy-handlers.ts';
import type { Receiving } from './receiving/index.ts';
import { receivingHandlers } from './receiving-handlers.ts';
import { requireDisplay } from './screen/index.ts';
import { armAndWait } from './standby/standby-wait.ts';
import type { Standbys } from './standby/standbys.ts';
import type { GuestStore, StoredGuest } from './state/guest-store.ts';
import type { PolicyStore } from './state/policy-store.ts';
import { datapathView, guestView } from './views.ts';
import type { WebServer } from './web/index.ts';

/** Changes that come together are told together, ms. */
const WATCH_SETTLE_MS = 100;
/** Figures such as rates move without an event; a watcher sees them this often, ms. */
const WATCH_INTERVAL_MS = 1_000;

export interface HandlerParts {
  readonly info: () => AgentInfo;
  readonly store: GuestStore;
  readonly journal: Journal;
  readonly guests: Guests;
  readonly files: GuestFiles;
  readonly images: ImageStore;
  readonly machine: Machine;
  readonly places: Places;
  readonly registry: RegistryService;
  readonly datapath: DatapathSupervisor;
  readonly departures: Departures;
  readonly standbys: Standbys;
  readonly arrivals: Arrivals;
  readonly life: GuestLife;
  readonly receiving: Receiving;
  readonly nearby: Nearby;
  readonly whereabouts: Whereabouts;
  readonly presence: Presence;
  readonly web: WebServer;
  readonly policy: PolicyStore;
  /** Undefined at a site, whose network nobody walks out of. */
  readonly link: LinkWatch | undefined;
  /** Emits `change` whenever a view may have changed. */
  readonly changes: EventEmitter<{ change: [] }>;
  /** Begins to end the agent; resolves at once. */
  readonly stop: (guests: 'keep' | 'stop') => Promise<string[]>;
}

export function createHandlers(parts: HandlerParts): Handlers {
  const { store, guests, images, places, life, departures, files } = parts;
  const find = (reference: string) => findGuest(parts, reference);
  const view = (stored: StoredGuest) => viewOf(parts, stored);
  const viewAgain = async (id: string) => {
    const stored = store.find(id);
    if (stored === undefined) throw new Error(`guest ${id} is gone`);
    return view(stored);
  };

  return {
    'agent.info': async () => parts.info(),
    'agent.stop': async ({ guests: what }) => ({ guestsLeftRunning: await parts.stop(what) }),

    'guest.create': async (request) => viewAgain((await life.create(request)).id),
    'guest.start': async ({ guest, fromCopy }) => {
      const stored = find(guest);
      await life.start(stored, fromCopy);
      return viewAgain(stored.spec.id);
    },
    'guest.stop': async ({ guest, force }) => {
      const stored = find(guest);
      await life.stop(stored, force);
      return viewAgain(stored.spec.id);
    },
    'guest.list': async () => Promise.all(knownGuests(parts).map(view)),
    'guest.show': async ({ guest }) => view(find(guest)),
    'guest.console': async ({ guest }) => {
      const { spec } = find(guest);
      if (guests.live(spec.id) === undefined) throw notRunningHere(await view(find(guest)));
      return {
        guest: spec.name,
        socketPath: guestPaths(files.directory(spec)).consoleSocket,
      };
    },
    'guest.limit': async ({ guest, overlayLimitBytes }) => {
      const stored = find(guest);
      await life.limit(stored, overlayLimitBytes);
      return viewAgain(stored.spec.id);
    },
    'guest.delete': async ({ guest, force }) => {
      const stored = find(guest);
      await life.delete(stored, force);
      return { guest: stored.spec.name };
    },
    'guest.recover': async ({ guest, action }) => {
      const stored = find(guest);
      const { explanation, choices } = life.explain(stored);
      if (action !== undefined) await life.decide(stored, action);
      return {
        guest: await viewAgain(stored.spec.id),
        explanation,
        choices,
        done: action ?? null,
      };
    },

    'image.import': async ({ path }, context) => {
      const manifest = await images.import(path, {
        signal: context.signal,
        onProgress: (progress) => context.emit(progress),
      });
      return imageView(manifest);
    },
    'image.list': async () => (await images.list()).map(imageView),

    'handoff.start': async ({ guest, to, ...manner }, context) => {
      const stored = find(guest);
      return handOff(parts, stored, { to: places.resolve(to), manner }, context);
    },
    'handoff.cancel': async ({ guest }) => {
      const { spec } = find(guest);
      const arrival = parts.arrivals.find(spec.id);
      if (departures.find(spec.id) === undefined && arrival !== undefined) {
        const session = await places.connected(arrival.from.id);
        const options = { timeoutMs: REQUEST_MS };
        await peerCalls.call(session, 'guest.cancel-request', { guestId: spec.id }, options);
      } else departures.cancel(spec);
      return { guest: await viewAgain(spec.id) };
    },

    'standby.arm': async ({ guest, at, ...how }, context) => {
      const { spec } = find(guest);
      await armAndWait(parts, spec, places.resolve(at), how, context);
      return viewAgain(spec.id);
    },
    'standby.disarm': async ({ guest }) => {
      const { spec } = find(guest);
      await parts.standbys.disarm(spec);
      return viewAgain(spec.id);
    },
    'agent.doctor': async ({ again }) => {
      const checks = await examine({
        stateDirectory: parts.info().stateDirectory,
        env: process.env,
        nowMs: Date.now(),
        mayBoot: again,
        again,
      });
      return { ok: checks.every(({ status }) => status !== 'fail'), checks };
    },
    'ui.open': async ({ port, screenOf }) => {
      const spec = screenOf === undefined ? undefined : find(screenOf).spec;
      if (spec !== undefined) requireDisplay(spec);
      return parts.web.open(port, spec?.id);
    },
    'agent.conditions': async (told) => {
      const { standbys } = parts;
      const { metered, onBattery, usedMsAgo } = told;
      const before = standbys.conditions;
      standbys.conditions = {
        metered: metered ?? before.metered,
        onBattery: onBattery ?? before.onBattery,
      };
      if (usedMsAgo !== undefined) parts.presence.used(usedMsAgo);
      parts.link?.tell(told);
      return standbys.conditions;
    },
    ...policyHandlers(parts),
    'guest.audit': async ({ guest }) => auditView(parts, guest),

    'place.list': async () => places.views(),
    'place.invite': async (request) => places.invite(request),
    'place.pair': async ({ invite, name }) => places.pair(invite, name),
    ...receivingHandlers(parts),
    ...mappingsHandlers(parts),

    status: async () => statusOf(parts),
    'status.watch': async (_input, { emit, signal }) => {
      while (!signal.aborted) {
        emit(await statusOf(parts));
        await nextChange(parts.changes, signal);
      }
      return {};
    },
  };
}

/** @throws SojournError `guest-unknown`, `guest-ambiguous` */
export function findGuest(
  parts: Pick<HandlerParts, 'store' | 'journal' | 'arrivals'>,
  reference: string,
): StoredGuest {
  const known = knownGuests(parts);
  const { id } = resolveReference(
    'guest',
    reference,
    known.map(({ spec }) => spec),
  );
  return known.find(({ spec }) => spec.id === id) as StoredGuest;
}

/** Without deleted ones whose address is not given back yet. */
export function knownGuests({
  store,
  journal,
  arrivals,
}: Pick<HandlerParts, 'store' | 'journal' | 'arrivals'>): StoredGuest[] {
  return store
    .list()
    .filter(
      ({ spec: { id } }) =>
        journal.ownership(id).kind !== 'unknown' || arrivals.find(id) !== undefined,
    );
}

async function viewOf(parts: HandlerParts, stored: StoredGuest): Promise<GuestView> {
  const { journal, guests, departures, arrivals, places, files, whereabouts } = parts;
  const { spec } = stored;
  const ownership = journal.ownership(spec.id);
  const live = guests.live(spec.id);
  return guestView({
    stored,
    ownership,
    live,
    busy: guests.isBusy(spec.id),
    unresponsive: guests.unresponsive(spec.id),
    departure: departures.find(spec.id),
    arrival: arrivals.find(spec.id),
    standby: parts.standbys.view(spec.id),
    here: places.self.name,
    home: places.ref(spec.home),
    overlayBytes: await files.usage(stored.disks),
    place: (id) => places.ref(id),
    elsewhere:
      ownership.kind === 'elsewhere' ? await whereabouts.of(spec, ownership.place) : undefined,
  });
}

async function statusOf(parts: HandlerParts): Promise<Status> {
  const { places, datapath, info, receiving } = parts;
  const [guests, path] = await Promise.all([
    Promise.all(knownGuests(parts).map((stored) => viewOf(parts, stored))),
    datapath.status(),
  ]);
  const agent = info();
  const warnings: Status['warnings'] = (path?.problems ?? []).map((problem) => ({
    code: problem.code,
    severity: 'warning',
    text: problem.message,
    ...(problem.remedy === undefined ? {} : { remedy: problem.remedy }),
    since: agent.startedAt,
    showAfterMs: 0,
  }));
  return {
    at: new Date().toISOString(),
    agent,
    guests,
    places: places.views(),
    datapath: datapathView(datapath.process, path, (id) => places.ref(id)),
    warnings: [...warnings, ...places.notices(), ...(parts.link?.notices() ?? [])],
    ...(parts.link === undefined ? {} : { link: parts.link.view() }),
    receiving: { receive: receiving.defaultMode, listens: places.listensAt },
    incoming: receiving.incoming(),
  };
}

async function nextChange(
  changes: EventEmitter<{ change: [] }>,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(WATCH_INTERVAL_MS)]);
  await once(changes, 'change', { signal: limit }).catch(() => undefined);
  if (signal.aborted) return;
  await new Promise((resolve) => setTimeout(resolve, WATCH_SETTLE_MS));
}

function imageView(manifest: ImageManifest): ImageView {
  return {
    name: manifest.name,
    architecture: manifest.architecture,
    boot: manifest.boot.kind,
    disks: manifest.disks.map(({ name, base, virtualBytes }) => ({
      name,
      digest: base.digest,
      virtualBytes,
    })),
    bytes: blobsOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0),
    defaults: manifest.defaults,
  };
}

function notRunningHere({ name, state }: GuestView): SojournError {
  const where = state.kind === 'elsewhere' ? `runs at ${state.place.name}` : 'is not running';
  return new SojournError({
    kind: 'conflict',
    code: state.kind === 'elsewhere' ? 'guest-elsewhere' : 'not-running',
    message: `${name} ${where}, and its console is where it runs`,
    remedy:
      state.kind === 'elsewhere'
        ? `Run "sojourn guest console ${name}" at ${state.place.name}`
        : `Start it with "sojourn guest start ${name}"`,
  });
}
