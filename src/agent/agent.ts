/** The daemon's composition root: opens the state, starts all parts in order, and ends them in reverse. */
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type AgentInfo, ApiServer, programVersion } from '../api/index.ts';
import { errorText, SojournError } from '../common/index.ts';
import type { GuestSpec } from '../guest/spec.ts';
import { ImageStore } from '../images/index.ts';
import { parseHomePrefixes, Registry } from '../mobility/index.ts';
import { loadOrCreateIdentity, type Session } from '../transport/index.ts';
import { qmpEvidence } from './guests/evidence.ts';
import { GuestFiles, guestKey } from './guests/guest-files.ts';
import { GuestLife } from './guests/guest-life.ts';
import { Guests } from './guests/guests.ts';
import { Machine } from './guests/machine.ts';
import { createHandlers, findGuest } from './handlers.ts';
import { Arrivals } from './handoffs/arrivals.ts';
import { Departures } from './handoffs/departures.ts';
import { LinkWatch, linkSensor, watchPorts } from './link/index.ts';
import { MulticastDiscovery, Nearby } from './nearby/index.ts';
import { datapathConfiguration } from './network/datapath-configuration.ts';
import { onDatapathEvent } from './network/datapath-events.ts';
import { DatapathSupervisor } from './network/datapath-supervisor.ts';
import { anchoredSettings } from './network/mapping.ts';
import { RegistryService } from './network/registry-service.ts';
import type { AgentOptions } from './options.ts';
import { Journal } from './ownership/journal.ts';
import { registerPeerQuestions } from './places/peer-questions.ts';
import { Places } from './places/places.ts';
import { Presence } from './places/presence.ts';
import { Whereabouts } from './places/whereabouts.ts';
import { comesBack, Receiving } from './receiving/index.ts';
import { recover } from './recovery.ts';
import { ScreenListener, Screens } from './screen/index.ts';
import { Standbys } from './standby/standbys.ts';
import { openDatabase } from './state/database.ts';
import { openStateDirectory } from './state/directory.ts';
import { GuestStore } from './state/guest-store.ts';
import { StoredInvites } from './state/invite-store.ts';
import { PeerStore } from './state/peer-store.ts';
import { PolicyStore } from './state/policy-store.ts';
import { RightsStore } from './state/rights-store.ts';
import { StandbyStore } from './state/standby-store.ts';
import { WebServer } from './web/index.ts';

export interface Agent {
  /** Ends the agent; what is in memory is on disk when it resolves. Guests and datapath go on unless `guests` is stop. */
  stop(guests: 'keep' | 'stop'): Promise<void>;
  /** Resolves when the agent has ended, asked by whomever. */
  readonly ended: Promise<void>;
}

/** @throws SojournError `state-*`, `journal-damaged`, `listen-failed`, `datapath-start`, ... Nothing is left running then. */
export async function startAgent(options: AgentOptions, log: Logger): Promise<Agent> {
  const stack = new AsyncDisposableStack();
  try {
    return await compose(options, log, stack);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function compose(
  options: AgentOptions,
  log: Logger,
  stack: AsyncDisposableStack,
): Promise<Agent> {
  const startedAt = new Date().toISOString();
  const state = await openStateDirectory(options.stateDirectory);
  stack.defer(() => state.release());
  const database = openDatabase(state.database);
  stack.defer(() => database.close());
  const journal = await Journal.open(state.journal);
  stack.defer(() => journal.close());
  const identity = await loadOrCreateIdentity(state.identity);
  const images = new ImageStore(state.images);
  const store = new GuestStore(database);
  const peers = new PeerStore(database);
  const files = new GuestFiles(state.path, state.guests, images);
  const machine = new Machine({
    imagesDirectory: state.images,
    stateDirectory: state.path,
    accelerator: options.accelerator,
  });
  const netSocket = (spec: GuestSpec) => join(state.datapath, `${guestKey(spec.id)}.sock`);
  const changes = new EventEmitter<{ change: [] }>();
  changes.setMaxListeners(0);
  const changed = () => changes.emit('change');

  const guests = new Guests({
    store,
    files,
    images,
    machine,
    log,
    netSocket,
    departing: (guestId) => departures.departing(guestId),
    qmpLog: qmpEvidence(state.path, process.env),
  });
  guests.on('changed', changed);
  stack.defer(() => guests.release());

  const registry = new RegistryService({
    registry: openRegistry(options, database),
    places: () => places,
    log,
    moved: (record) => {
      changed();
      if (guests.live(record.guestId) !== undefined) return;
      datapath
        .setGuest(anchoredSettings(record, places.self.id))
        .catch((error: unknown) => log.warn({ reason: errorText(error) }, 'mapping not pushed'));
    },
    freed: (guestId) => {
      datapath
        .removeGuest(guestId)
        .catch((error: unknown) => log.warn({ reason: errorText(error) }, 'mapping not removed'));
    },
  });

  const datapath = new DatapathSupervisor({
    directory: state.datapath,
    qemu: async () => machine.known.qemu?.binary,
    configuration: () => datapathConfiguration(options, state.identity, peers),
    log,
  });
  datapath.on('changed', changed);
  datapath.on('datapath', (event) => onDatapathEvent(event, guests, departures, log));

  const rights = new RightsStore(database);
  const receiving: Receiving = new Receiving({
    store: rights,
    profile: options.profile,
    self: () => places.self,
    place: (id) => places.ref(id),
    paired: () => peers.list().map(({ id }) => id),
    limits: options.perPeer,
    answerMs: options.answerMs,
    records: (guestId) => journal.of(guestId),
    changed,
    closed: (place, all) => arrivals.endFrom(place, all),
  });
  stack.defer(() => receiving.close());

  const wishes = new StandbyStore(database);
  const arrivals: Arrivals = new Arrivals({
    wishes,
    guests,
    store,
    images,
    machine,
    journal,
    places: () => places,
    registry,
    datapath,
    log,
    netSocket,
    directory: (spec) => files.directory(spec),
    receiving,
    departed: (guestId) => departures.settled(guestId),
    armBack: (spec, place) => {
      standbys
        .arm(spec, places.ref(place), { whenUnmetered: false, bothWays: true })
        .catch((error: unknown) =>
          log.warn({ guest: spec.name, reason: errorText(error) }, 'way back not armed'),
        );
    },
    changed,
  });

  const register = (session: Session) => {
    arrivals.register(session);
    registry.register(session);
    screens.serve(session);
    registerPeerQuestions(session, {
      tunnelPort: options.tunnelPort ?? null,
      registry,
      store,
      guests,
      journal,
      places,
      departures,
      receiving,
      presence,
    });
  };
  const presence = new Presence({
    ...{ store, journal, log },
    places: () => places,
    now: () => performance.now(),
  });
  const places: Places = new Places({
    identity,
    name: options.name,
    profile: options.profile,
    listen: options.listen,
    tunnelPort: options.tunnelPort,
    advertise: options.advertise,
    ownPort: {
      get: () => rights.listenPort,
      put: (port) => {
        rights.listenPort = port;
      },
    },
    listensFor: (devices) =>
      nearby.isOpen ||
      devices.some((id) => receiving.mode(id) !== 'off' || hasGuestOfOurs(journal, id)),
    rights: (place) => receiving.rights(place),
    peers,
    invites: new StoredInvites(database, peers),
    log,
    register,
  });
  const screens: Screens = new Screens({
    ...{ store, journal, guests, files, places, changes },
    isArriving: (guestId) => arrivals.find(guestId) !== undefined,
  });
  stack.defer(() => screens.close());
  const nearby: Nearby = new Nearby({
    identity,
    place: { name: options.name, profile: options.profile },
    listens: () => places.listens,
    isPaired: (id) => peers.find(id) !== undefined,
    pin: (device, listens) => places.pin(device, listens),
    opened: () => places.receivingChanged(),
    discover: (own) => new MulticastDiscovery(own, log),
    log,
  });
  stack.defer(() => nearby.close());
  const departures: Departures = new Departures({
    screens,
    guests,
    files,
    machine,
    journal,
    places,
    registry,
    datapath,
    log,
    netSocket,
    changed,
  });
  const standbys: Standbys = new Standbys({
    ...{ wishes, store, guests, journal, departures, places, log, changes },
  });
  places.on('connected', (peer) => {
    void registry.tell(peer);
    void departures.tell(peer);
    void life.forgetLeftOvers(peer);
  });
  places.on('changed', () => {
    changed();
    // Names of places are in what it tells.
    registry.changes.emit('change');
    datapath
      .configure()
      .catch((error: unknown) => log.warn({ reason: errorText(error) }, 'datapath not configured'));
  });

  const life = new GuestLife({
    ...{ store, journal, guests, files, images, machine, places, registry, datapath },
    ...{ departures, standbys, arrivals, netSocket, log },
  });
  await machine.qemu().catch((error: unknown) => log.warn({ reason: errorText(error) }, 'no QEMU'));
  /** An agent that does not come to be ready leaves nothing behind that was not there before, and needed by guests. */
  let endDatapath = () => !datapath.adopted && guests.allLive().length === 0;
  stack.defer(() => datapath.close(endDatapath()));
  await datapath.start();
  await recover({
    self: places.self.id,
    ...{ store, journal, guests, departures, arrivals, registry, datapath, netSocket, log },
    forget: (stored) => life.forget(stored),
  });
  await datapath.removeOthers();
  await places.start();
  stack.defer(() => places.close());
  standbys.start();
  stack.defer(() => standbys.close());
  const whereabouts = new Whereabouts(places, registry);
  screens.whereabouts = whereabouts;
  presence.start();
  stack.defer(() => presence.close());
  const policy = new PolicyStore(database);
  const watched = {
    store,
    journal,
    guests,
    departures,
    standbys,
    arrivals,
    places,
    whereabouts,
    receiving,
    presence,
  };
  const link =
    options.profile === 'site'
      ? undefined
      : new LinkWatch({
          ...(await linkSensor(options.linkTrace)),
          ...{ store: policy, ports: watchPorts({ ...watched, changes }), log },
        });
  await link?.start();
  stack.defer(() => link?.close());
  // The proof of KVM takes seconds where KVM does not work; nobody has to wait for it yet.
  machine
    .verdict()
    .then(changed, (error: unknown) => log.warn({ reason: errorText(error) }, 'no accelerator'));

  const ended = Promise.withResolvers<void>();
  let stopping: Promise<void> | undefined;
  const stop = (what: 'keep' | 'stop') => {
    stopping ??= endAll(what);
    return stopping;
  };
  const endAll = async (what: 'keep' | 'stop') => {
    log.info({ guests: what }, 'stopping');
    await link?.close();
    const calm = departures.cancelAll();
    await standbys.close();
    await calm;
    try {
      if (what === 'stop')
        await Promise.all(guests.allLive().map(({ spec }) => guests.stop(spec.id, false)));
      else await guests.persistAll();
    } catch (error) {
      log.error({ err: error }, 'not everything in memory could be brought to disk');
    }
    endDatapath = () => what === 'stop';
    await stack.disposeAsync();
    ended.resolve();
  };

  const find = (reference: string) => findGuest({ store, journal, arrivals }, reference).spec;
  const screenListener = await ScreenListener.listen({ path: state.screenSocket, screens, find });
  stack.defer(() => screenListener.close());
  const screen = async (guest: string) => screens.open(find(guest));
  const web = new WebServer({ socketPath: state.socket, screen, log });
  stack.defer(() => web.close());
  const info = (): AgentInfo => agentInfo(options, places, machine, startedAt);
  const server = await ApiServer.listen({
    path: state.socket,
    version: programVersion(),
    log: (event, { call, error }) => log.warn({ call, reason: errorText(error) }, event),
    handlers: createHandlers({
      info,
      ...{ store, journal, guests, files, images, machine, places, registry, datapath },
      ...{ departures, standbys, arrivals, life, web, changes },
      ...{ whereabouts, presence, policy, link, receiving, nearby },
      stop: async (what) => {
        const left = what === 'keep' ? guests.allLive().map(({ spec }) => spec.name) : [];
        // After the answer has gone out.
        setImmediate(() => void stop(what));
        return left;
      },
    }),
  });
  stack.defer(() => server.close());
  log.info({ place: places.self, profile: options.profile, state: state.path }, 'agent ready');
  return { stop, ended: ended.promise };
}

function openRegistry(
  options: AgentOptions,
  database: ReturnType<typeof openDatabase>,
): Registry | undefined {
  const { hoa4, hoa6, dns } = options;
  if (hoa4 === undefined && hoa6 === undefined) return undefined;
  if (hoa4 === undefined || hoa6 === undefined)
    throw new SojournError({
      kind: 'usage',
      code: 'prefix-missing',
      message: 'A site that anchors home addresses needs a prefix of both families',
      remedy: 'Give --hoa4 and --hoa6',
    });
  return new Registry(database, parseHomePrefixes({ prefix4: hoa4, prefix6: hoa6, dns }));
}

/** A guest of this place is at that one, and has to find the way back. */
function hasGuestOfOurs(journal: Journal, place: string): boolean {
  return journal.guests.some((id) => {
    const ownership = journal.ownership(id);
    const there = ownership.kind === 'elsewhere' && ownership.place === place;
    return there && comesBack(journal.of(id), place);
  });
}

function agentInfo(
  options: AgentOptions,
  places: Places,
  machine: Machine,
  startedAt: string,
): AgentInfo {
  const { qemu, verdict } = machine.known;
  const { listen, tunnelPort } = options;
  return {
    version: programVersion(),
    pid: process.pid,
    profile: options.profile,
    place: places.self,
    stateDirectory: options.stateDirectory,
    startedAt,
    nodeVersion: process.versions.node,
    qemu: qemu === undefined ? null : { binary: qemu.binary, version: qemu.version.join('.') },
    accelerator:
      verdict === undefined
        ? null
        : { accelerator: verdict.accelerator, kvm: verdict.kvm, checkedAt: verdict.checkedAt },
    listen: listen === undefined || tunnelPort === undefined ? null : { ...listen, tunnelPort },
  };
}
