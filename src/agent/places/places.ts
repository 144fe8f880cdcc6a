/** The places this one is paired with: one standing session to each, pairing, invites, revocation. */
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import {
  type Notice,
  type PlaceRef,
  type PlaceView,
  type RightsView,
  resolveReference,
} from '../../api/index.ts';
import { asSojournError, errorText, SojournError } from '../../common/index.ts';
import {
  type Identity,
  type InviteStore,
  type Listens,
  type PairedPlace,
  PeerListener,
  type Session,
} from '../../transport/index.ts';
import type { Peer, PeerStore } from '../state/peer-store.ts';
import { DeviceListening } from './device-listening.ts';
import { PeerDialers } from './peer-dialers.ts';
import { peerCalls, QUESTION_MS } from './peer-messages.ts';
import { PeerSessions } from './peer-sessions.ts';
import { endpointsOf, ownAddresses } from './place-addresses.ts';
import { namingPlace, notPaired, pairedNoMore } from './place-errors.ts';
import { makeInvite, pairByInvite } from './place-invites.ts';
import { pairingEndedNotice, peerView, selfView } from './place-views.ts';

/** How long a call waits for a place that is just being dialled, ms. */
const CONNECT_PATIENCE_MS = 10_000;

export interface PlacesOptions {
  readonly identity: Identity;
  readonly name: string;
  readonly profile: 'device' | 'site';
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  readonly tunnelPort: number | undefined;
  readonly advertise: readonly string[];
  /** The port under which a device has listened for other devices before; kept, so that they find it again. */
  readonly ownPort: { get(): number | undefined; put(port: number): void };
  /** Whether this device shall listen, for one of the paired devices or for one that is about to be. */
  readonly listensFor: (devices: readonly string[]) => boolean;
  /** What a paired place may do here. */
  readonly rights: (place: string) => RightsView;
  readonly peers: PeerStore;
  readonly invites: InviteStore;
  readonly log: Logger;
  /** Adds all handlers to a new session, before anything on it is dispatched. */
  readonly register: (session: Session) => void;
}

interface PlacesEvents {
  changed: [];
  /** A session with the place is up, for the first time or again. */
  connected: [peer: string];
}

export class Places extends EventEmitter<PlacesEvents> {
  readonly #options: PlacesOptions;
  readonly #dialers: PeerDialers;
  readonly #sessions = new PeerSessions();
  /** Places that have ended the pairing, as they have told; of those that nobody heard of since nothing is known. */
  readonly #endedThere = new Map<string, Date>();
  readonly #listening: DeviceListening;
  #listener: PeerListener | undefined;

  constructor(options: PlacesOptions) {
    super();
    this.#options = options;
    const { identity, name, profile, ownPort, log, listensFor } = options;
    this.#dialers = new PeerDialers({
      identity,
      place: { name, profile },
      onSession: (session) => this.#opened(session),
    });
    this.#listening = new DeviceListening({
      ...{ ownPort, log },
      wanted: () => listensFor(this.#devices.map(({ id }) => id)),
      // Nobody can pair here by an invite: only who is paired already gets in.
      listener: () => this.#newListener(undefined),
      changed: () => {
        for (const { id } of this.#devices) this.#tellListens(id);
        this.emit('changed');
      },
    });
  }

  get self(): PlaceRef {
    return { id: this.#options.identity.id, name: this.#options.name };
  }

  /**
   * Listens, if this is a site or a device that other devices bring guests to, and dials all places that can be dialled.
   *
   * @throws SojournError `listen-failed`
   */
  async start(): Promise<void> {
    const { listen, invites, peers } = this.#options;
    if (listen !== undefined) {
      this.#listener = this.#newListener(invites);
      await this.#listener.listen(listen);
    }
    for (const peer of peers.list()) this.#dialers.dial(peer);
    await this.receivingChanged();
  }

  async close(): Promise<void> {
    await this.#dialers.close();
    await Promise.all([this.#listener?.close(), this.#listening.close()]);
  }

  /** Where other devices reach this place just now. */
  get listens(): Listens {
    const port = this.#options.listen?.port ?? this.#listening.port;
    const hosts = ownAddresses();
    return port === undefined || hosts.length === 0 ? null : { hosts, port };
  }

  /** The same as `host:port`, of a device: a site is found by its invites. */
  get listensAt(): string[] {
    const { listens } = this;
    if (listens === null || this.#options.listen !== undefined) return [];
    return listens.hosts.map((host) => `${host}:${listens.port}`);
  }

  /** Devices that this one receives from may be more or fewer: it begins to listen, or ends to. Never fails. */
  async receivingChanged(): Promise<void> {
    if (this.#options.listen === undefined) await this.#listening.settle();
  }

  /** Two devices have just met, and people at both have compared codes: this one trusts that key from now on. */
  pin(device: PairedPlace, listens: Listens): PlaceRef {
    const { peers, log } = this.#options;
    const known = peers.find(device.id);
    const dialled = this.#dials(device.profile) ? listens : null;
    const peer = peers.put({
      id: device.id,
      name: known?.name ?? device.name,
      profile: device.profile,
      endpoints: dialled === null ? (known?.endpoints ?? []) : endpointsOf(dialled),
      tunnelPort: known?.tunnelPort ?? null,
      pairedAt: new Date().toISOString(),
      lastSeenAt: known?.lastSeenAt ?? null,
    });
    log.info({ peer: peer.id, name: peer.name }, 'paired');
    this.#dialers.dial(peer);
    void this.receivingChanged();
    this.emit('changed');
    return this.ref(peer.id);
  }

  /** A paired device has told where it can be dialled; a site's addresses are those of its invite. */
  reachableAt(id: string, listens: Listens): void {
    const { peers } = this.#options;
    const peer = peers.find(id);
    if (peer?.profile !== 'device' || !this.#dials('device')) return;
    const endpoints = listens === null ? [] : endpointsOf(listens);
    if (isDeepStrictEqual(endpoints, peer.endpoints)) return;
    const changed = peers.put({ ...peer, endpoints });
    // The session that it has opened itself, if any, goes on.
    if (listens === null) void this.#dialers.end(id);
    else this.#dialers.dial(changed);
    this.emit('changed');
  }

  /** Any place, this one included. @throws SojournError `place-unknown`, `place-ambiguous` */
  resolve(reference: string): PlaceRef {
    return resolveReference('place', reference, [this.self, ...this.#options.peers.list()]);
  }

  ref(id: string): PlaceRef {
    if (id === this.self.id) return this.self;
    const peer = this.#options.peers.find(id);
    return { id, name: peer?.name ?? id.slice(0, 12) };
  }

  find(id: string): Peer | undefined {
    return this.#options.peers.find(id);
  }

  all(): Peer[] {
    return this.#options.peers.list();
  }

  /** A device finds its sites; no site looks for devices. */
  #dials(profile: 'device' | 'site'): boolean {
    return profile === 'site' || this.#options.profile === 'device';
  }

  get #devices(): Peer[] {
    return this.#options.peers.list().filter(({ profile }) => profile === 'device');
  }

  session(id: string): Session | undefined {
    return this.#sessions.of(id);
  }

  /** @throws SojournError `not-paired`, `peer-unreachable` */
  async connected(id: string, signal?: AbortSignal): Promise<Session> {
    const peer = this.#options.peers.find(id);
    if (peer === undefined) throw notPaired(this.ref(id).name);
    const session = this.session(id);
    if (session?.state === 'connected') return session;
    const dialer = this.#dialers.of(id);
    if (dialer === undefined)
      throw new SojournError({
        kind: 'unreachable',
        code: 'peer-unreachable',
        message: `${peer.name} is not connected, and only it can dial this place`,
        remedy: `Start Sojourn on ${peer.name} and check its network`,
      });
    try {
      return await dialer.connected({ timeoutMs: CONNECT_PATIENCE_MS, signal });
    } catch (error) {
      throw namingPlace(asSojournError(error), peer.name);
    }
  }

  /** @throws SojournError `not-a-site` */
  invite(request: { hosts?: readonly string[]; ttlSeconds?: number }) {
    return makeInvite(this.#options, request);
  }

  /** @throws SojournError `invite-*`, `peer-not-pinned`, `peer-unreachable` */
  async pair(text: string, name: string | undefined): Promise<PlaceView> {
    const { identity, name: own, profile, peers } = this.#options;
    const place = { name: own, profile };
    const peer = peers.put(await pairByInvite({ identity, place }, text, name));
    this.#dialers.dial(peer);
    await this.connected(peer.id);
    return this.#view(peer);
  }

  /** Ends trust in a place at once, here; the other side keeps its own list. */
  async forget(id: string): Promise<void> {
    const { identity, name, peers } = this.#options;
    peers.remove(id);
    this.#endedThere.delete(id);
    this.#listener?.revoke(id);
    this.#listening.revoke(id);
    await this.#dialers.end(id, pairedNoMore({ name, id: identity.id }));
    await this.receivingChanged();
    this.emit('changed');
  }

  /** What a person should know of pairings. */
  notices(): Notice[] {
    return this.all().flatMap(({ id, name }): Notice[] => {
      const since = this.#endedThere.get(id);
      return since === undefined ? [] : [pairingEndedNotice(name, since)];
    });
  }

  views(): PlaceView[] {
    const { listen, tunnelPort, profile, peers } = this.#options;
    const endpoints =
      listen === undefined || tunnelPort === undefined ? [] : [`${listen.host}:${listen.port}`];
    const others = peers.list().map((peer) => this.#view(peer));
    return [selfView(this.self, profile, endpoints), ...others];
  }

  #view(peer: Peer): PlaceView {
    return peerView(peer, this.session(peer.id), this.#options.rights(peer.id));
  }

  #opened(session: Session): void {
    const { peers, log, register } = this.#options;
    const { peer } = session;
    this.#sessions.add(session);
    register(session);
    session.on('state', (state) => {
      log.info({ peer, state }, 'session');
      peers.seen(peer, new Date());
      if (state === 'connected') this.#greeted(session);
      this.emit('changed');
    });
    this.#endedThere.delete(peer);
    session.once('closed', ({ code }) => {
      if (code === 'not-paired') this.#endedThere.set(peer, new Date());
      this.#sessions.remove(session);
      this.emit('changed');
    });
  }

  #newListener(invites: InviteStore | undefined): PeerListener {
    const { identity, name, profile, peers, log } = this.#options;
    return new PeerListener({
      identity,
      place: { name, profile },
      isPinned: (id) => peers.find(id) !== undefined,
      ...(invites === undefined ? {} : { invites }),
      onSession: (session) => this.#opened(session),
      onPaired: ({ id, name: peer }) => {
        log.info({ peer: id, name: peer }, 'paired');
        this.emit('changed');
      },
      onRefused: (address, reason) => log.warn({ address, reason }, 'connection refused'),
    });
  }

  #tellListens(device: string): void {
    const session = this.session(device);
    if (session?.state !== 'connected') return;
    peerCalls
      .call(session, 'place.listens', { listens: this.listens }, { timeoutMs: QUESTION_MS })
      .catch((error: unknown) =>
        this.#options.log.warn({ peer: device, reason: errorText(error) }, 'address not told'),
      );
  }

  #greeted(session: Session): void {
    this.emit('connected', session.peer);
    peerCalls
      .call(session, 'place.describe', {}, { timeoutMs: QUESTION_MS })
      .then(({ tunnelPort, listens }) => {
        this.reachableAt(session.peer, listens);
        const peer = this.#options.peers.find(session.peer);
        if (peer === undefined || peer.tunnelPort === tunnelPort) return;
        this.#options.peers.put({ ...peer, tunnelPort });
        this.emit('changed');
      })
      .catch((error: unknown) =>
        this.#options.log.warn({ peer: session.peer, reason: errorText(error) }, 'not described'),
      );
  }
}
