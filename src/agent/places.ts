/** The places this one is paired with: one standing session to each, pairing, invites, revocation. */
import { EventEmitter } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { type PlaceRef, type PlaceView, resolveReference } from '../api/index.ts';
import { asClause, asSojournError, errorText, SojournError } from '../common/index.ts';
import {
  createInvite,
  type Identity,
  type InviteStore,
  PeerDialer,
  PeerListener,
  pairWithSite,
  parseInvite,
  type Session,
} from '../transport/index.ts';
import { peerCalls, QUESTION_MS } from './peer-messages.ts';
import type { Peer, PeerStore } from './state/peer-store.ts';

const DEFAULT_INVITE_SECONDS = 3600;
/** How long a call waits for a place that is just being dialled, ms. */
const CONNECT_PATIENCE_MS = 10_000;

export interface PlacesOptions {
  readonly identity: Identity;
  readonly name: string;
  readonly profile: 'device' | 'site';
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  readonly tunnelPort: number | undefined;
  readonly advertise: readonly string[];
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
  readonly #dialers = new Map<string, PeerDialer>();
  readonly #sessions = new Map<string, Session>();
  #listener: PeerListener | undefined;

  constructor(options: PlacesOptions) {
    super();
    this.#options = options;
  }

  get self(): PlaceRef {
    return { id: this.#options.identity.id, name: this.#options.name };
  }

  /** Listens, if this is a site, and dials all places that can be dialled. @throws SojournError `listen-failed` */
  async start(): Promise<void> {
    const { identity, name, profile, listen, peers, invites, log } = this.#options;
    if (listen !== undefined) {
      this.#listener = new PeerListener({
        identity,
        place: { name, profile },
        isPinned: (id) => peers.find(id) !== undefined,
        invites,
        onSession: (session) => this.#opened(session),
        onPaired: ({ id, name: peer }) => {
          log.info({ peer: id, name: peer }, 'paired');
          this.emit('changed');
        },
        onRefused: (address, reason) => log.warn({ address, reason }, 'connection refused'),
      });
      await this.#listener.listen(listen);
    }
    for (const peer of peers.list()) this.#dial(peer);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dialers.values()].map((dialer) => dialer.close()));
    await this.#listener?.close();
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

  session(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** @throws SojournError `not-paired`, `peer-unreachable` */
  async connected(id: string, signal?: AbortSignal): Promise<Session> {
    const peer = this.#options.peers.find(id);
    if (peer === undefined) throw notPaired(this.ref(id).name);
    const session = this.#sessions.get(id);
    if (session?.state === 'connected') return session;
    const dialer = this.#dialers.get(id);
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

  async invite(request: { hosts?: readonly string[]; ttlSeconds?: number }): Promise<{
    invite: string;
    expiresAt: string;
    hosts: string[];
    port: number;
  }> {
    const { identity, name, listen, advertise, invites } = this.#options;
    if (listen === undefined)
      throw new SojournError({
        kind: 'conflict',
        code: 'not-a-site',
        message: 'A device listens nowhere, so nobody could use an invite of it',
        remedy: 'Run "sojourn invite" at a site, an agent started with --profile site',
      });
    const hosts = [...(request.hosts ?? (advertise.length > 0 ? advertise : ownAddresses()))];
    const { text, invite } = await createInvite({
      identity,
      name,
      hosts,
      port: listen.port,
      ttlMs: (request.ttlSeconds ?? DEFAULT_INVITE_SECONDS) * 1000,
      now: Date.now(),
      store: invites,
    });
    return { invite: text, expiresAt: invite.expires, hosts, port: listen.port };
  }

  /** @throws SojournError `invite-*`, `peer-not-pinned`, `peer-unreachable` */
  async pair(text: string, name: string | undefined): Promise<PlaceView> {
    const { identity, peers } = this.#options;
    const invite = parseInvite(text);
    if (invite.id === identity.id)
      throw new SojournError({
        kind: 'usage',
        code: 'invite-own',
        message: 'This invite is of this very place',
        remedy: 'Use it on the device that shall hand its guests over to this place',
      });
    const site = await pairWithSite({
      identity,
      place: { name: this.#options.name, profile: this.#options.profile },
      invite,
    }).catch((error: unknown) => {
      throw notPairing(asSojournError(error), invite.name);
    });
    const peer = peers.put({
      id: site.id,
      name: name ?? site.name,
      profile: site.profile,
      endpoints: site.hosts.map((host) => ({ host, port: site.port })),
      tunnelPort: null,
      pairedAt: new Date().toISOString(),
      lastSeenAt: null,
    });
    this.#dial(peer);
    await this.connected(peer.id);
    return this.#view(peer);
  }

  /** Ends trust in a place at once, here; the other side keeps its own list. */
  async forget(id: string): Promise<void> {
    this.#options.peers.remove(id);
    this.#listener?.revoke(id);
    const dialer = this.#dialers.get(id);
    this.#dialers.delete(id);
    await dialer?.close();
    this.emit('changed');
  }

  views(): PlaceView[] {
    const { listen, tunnelPort, profile } = this.#options;
    const self: PlaceView = {
      ...this.self,
      profile,
      self: true,
      connected: true,
      rttMs: null,
      lastSeenAt: null,
      endpoints:
        listen === undefined || tunnelPort === undefined ? [] : [`${listen.host}:${listen.port}`],
      pairedAt: null,
    };
    return [self, ...this.#options.peers.list().map((peer) => this.#view(peer))];
  }

  #view(peer: Peer): PlaceView {
    const session = this.#sessions.get(peer.id);
    const connected = session?.state === 'connected';
    return {
      id: peer.id,
      name: peer.name,
      profile: peer.profile,
      self: false,
      connected,
      rttMs: connected ? (session?.rttMs ?? null) : null,
      lastSeenAt: connected ? new Date().toISOString() : peer.lastSeenAt,
      endpoints: peer.endpoints.map(({ host, port }) => `${host}:${port}`),
      pairedAt: peer.pairedAt,
    };
  }

  #dial(peer: Peer): void {
    const [first] = peer.endpoints;
    if (first === undefined) return;
    const hosts = peer.endpoints.map(({ host }) => host);
    const known = this.#dialers.get(peer.id);
    if (known !== undefined) {
      known.setAddresses(hosts, first.port);
      return;
    }
    const { identity, name, profile } = this.#options;
    const dialer = new PeerDialer({
      identity,
      place: { name, profile },
      peer: peer.id,
      hosts,
      port: first.port,
      onSession: (session) => this.#opened(session),
    });
    this.#dialers.set(peer.id, dialer);
    dialer.start();
  }

  #opened(session: Session): void {
    const { peers, log, register } = this.#options;
    const { peer } = session;
    this.#sessions.set(peer, session);
    register(session);
    session.on('state', (state) => {
      log.info({ peer, state }, 'session');
      peers.seen(peer, new Date());
      if (state === 'connected') this.#greeted(session);
      this.emit('changed');
    });
    session.once('closed', () => {
      if (this.#sessions.get(peer) === session) this.#sessions.delete(peer);
      this.emit('changed');
    });
  }

  #greeted(session: Session): void {
    this.emit('connected', session.peer);
    peerCalls
      .call(session, 'place.describe', {}, { timeoutMs: QUESTION_MS })
      .then(({ tunnelPort }) => {
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

/** What other parts know only as "the other place" has a name here. */
export function namingOther(message: string, name: string): string {
  return message.replace(/\bthe other place\b/gi, name);
}

/** Whoever answers in the place of a site that is not trusted yet cannot be told apart from an old invite. */
function notPairing(error: SojournError, name: string): SojournError {
  if (error.code !== 'peer-not-pinned') return namingPlace(error, name);
  const { kind, code, message } = error;
  return new SojournError({
    kind,
    code,
    message: `What answers there is not the ${name} that made the invite: ${asClause(message)}`,
    remedy: `Run "sojourn invite" at ${name} for a new one, and check the address in it`,
    cause: error,
  });
}

function namingPlace(error: SojournError, name: string): SojournError {
  const { kind, code, message, cause } = error;
  const named = namingOther(message, name);
  if (code === 'peer-not-pinned')
    return new SojournError({
      kind,
      code,
      message: `Something else answers in the place of ${name}: ${asClause(named)}`,
      remedy: `Do not go on unless ${name} was set up anew; if it was, run "sojourn places forget ${name}" and pair with it again`,
      cause,
    });
  const remedy =
    kind === 'unreachable'
      ? `Check the network here, and that the agent on ${name} is running`
      : error.remedy;
  return new SojournError({ kind, code, message: named, remedy, cause });
}

function notPaired(name: string): SojournError {
  return new SojournError({
    kind: 'refused',
    code: 'not-paired',
    message: `This place is not paired with ${name}`,
    remedy: 'Run "sojourn invite" at the site and "sojourn pair" here',
  });
}

/** Addresses of this host that others may reach it by. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address)
    .slice(0, 8);
}
