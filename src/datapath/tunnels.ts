/** The tunnels of a datapath: dials the peers it has an address of, accepts the others, pins all of them. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { errorText, SojournError } from '../common/index.ts';
import type { Switch } from '../switch/index.ts';
import {
  ADMISSION,
  Admission,
  ALPN_TUNNEL,
  type Identity,
  keyOf,
  peerIdOf,
  requirePeer,
  tlsClientOptions,
  tlsServerOptions,
} from '../transport/index.ts';
import { type TunnelEvents, TunnelPort } from './tunnel-port.ts';

const DIAL_TIMEOUT_MS = 4_000;
/** Waits before dialing again, milliseconds; the last one repeats. Half a second is the most a network outage adds. */
const REDIAL_MS = [0, 50, 100, 200, 500];

export interface PeerConfiguration {
  readonly id: string;
  readonly dial?: { readonly hosts: readonly string[]; readonly port: number };
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type PeerEvents = (peer: string) => TunnelEvents;

interface Peer {
  configuration: PeerConfiguration;
  readonly port: TunnelPort;
  timer: NodeJS.Timeout | undefined;
  dialing: TLSSocket | undefined;
  attempts: number;
  lastError: string | undefined;
}

export class Tunnels {
  readonly #owner: Switch;
  readonly #events: PeerEvents;
  readonly #nextPort: () => number;
  readonly #peers = new Map<string, Peer>();
  readonly #admission = new Admission(ADMISSION);
  #identity: Identity | undefined;
  #server: Server | undefined;
  #listening: ListenAddress | undefined;

  constructor(owner: Switch, nextPort: () => number, events: PeerEvents) {
    this.#owner = owner;
    this.#nextPort = nextPort;
    this.#events = events;
  }

  port(peer: string): TunnelPort | undefined {
    return this.#peers.get(peer)?.port;
  }

  get all(): { port: TunnelPort; lastError: string | undefined }[] {
    return [...this.#peers.values()].map(({ port, lastError }) => ({ port, lastError }));
  }

  /** Where the listener is, with the port the system chose for port 0. */
  get address(): ListenAddress | undefined {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null
      ? { host: address.address, port: address.port }
      : undefined;
  }

  /** @throws SojournError `tunnel-listen` when the address cannot be listened on; peers are set up all the same. */
  async configure(
    identity: Identity,
    listen: ListenAddress | undefined,
    peers: readonly PeerConfiguration[],
  ): Promise<void> {
    const sameIdentity = this.#identity?.id === identity.id;
    this.#identity = identity;
    for (const [id, peer] of this.#peers) {
      if (!peers.some((wanted) => wanted.id === id)) this.#forget(peer, id);
    }
    for (const wanted of peers) this.#setPeer(wanted);
    if (!sameIdentity || JSON.stringify(this.#listening) !== JSON.stringify(listen))
      await this.#listen(identity, listen);
  }

  async close(): Promise<void> {
    for (const [id, peer] of this.#peers) this.#forget(peer, id);
    await this.#stopListening();
  }

  #setPeer(wanted: PeerConfiguration): void {
    const known = this.#peers.get(wanted.id);
    if (known !== undefined) {
      const moved = JSON.stringify(known.configuration.dial) !== JSON.stringify(wanted.dial);
      known.configuration = wanted;
      if (moved && !known.port.connected) this.#redial(known, 0);
      return;
    }
    const events = this.#events(wanted.id);
    const port = new TunnelPort(this.#nextPort(), wanted.id, this.#owner, {
      ...events,
      onUp: () => {
        peer.attempts = 0;
        peer.lastError = undefined;
        events.onUp();
      },
      onDown: (reason) => {
        peer.lastError = reason;
        events.onDown(reason);
        this.#redial(peer, peer.attempts++);
      },
    });
    const peer: Peer = {
      configuration: wanted,
      port,
      timer: undefined,
      dialing: undefined,
      attempts: 0,
      lastError: undefined,
    };
    this.#peers.set(wanted.id, peer);
    this.#owner.attach(port);
    this.#redial(peer, 0);
  }

  #forget(peer: Peer, id: string): void {
    this.#peers.delete(id);
    clearTimeout(peer.timer);
    peer.dialing?.destroy();
    peer.port.drop('the peer was removed');
    this.#owner.detach(peer.port.number);
  }

  #redial(peer: Peer, attempt: number): void {
    if (this.#peers.get(peer.configuration.id) !== peer) return;
    if (peer.configuration.dial === undefined) return;
    clearTimeout(peer.timer);
    const wait = REDIAL_MS[Math.min(attempt, REDIAL_MS.length - 1)] as number;
    peer.timer = setTimeout(() => this.#dial(peer), wait);
  }

  #dial(peer: Peer): void {
    const { dial, id } = peer.configuration;
    const identity = this.#identity;
    if (dial === undefined || identity === undefined || peer.port.connected) return;
    const host = dial.hosts[peer.attempts % dial.hosts.length] as string;
    peer.dialing?.destroy();
    const socket = connect({ ...tlsClientOptions(identity, ALPN_TUNNEL), host, port: dial.port });
    peer.dialing = socket;
    const timer = setTimeout(
      () => socket.destroy(new Error(`${host} port ${dial.port} did not answer`)),
      DIAL_TIMEOUT_MS,
    );
    const failed = (error: Error) => {
      peer.lastError = errorText(error);
    };
    socket.on('error', failed);
    socket.once('close', () => {
      clearTimeout(timer);
      if (peer.dialing !== socket) return;
      peer.dialing = undefined;
      peer.attempts++;
      this.#redial(peer, peer.attempts);
    });
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      try {
        requirePeer(socket, id);
      } catch (error) {
        failed(error as Error);
        socket.destroy();
        return;
      }
      peer.dialing = undefined;
      peer.port.adopt(socket);
    });
  }

  async #listen(identity: Identity, listen: ListenAddress | undefined): Promise<void> {
    await this.#stopListening();
    if (listen === undefined) return;
    const server = createServer(tlsServerOptions(identity, ALPN_TUNNEL), (socket) =>
      this.#accept(socket),
    );
    server.on('connection', (socket: Socket) => {
      // A client that resets during the handshake is no event for the server.
      socket.on('error', () => socket.destroy());
      this.#admission.arrived(socket);
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.listen(listen.port, listen.host);
    try {
      await once(server, 'listening');
    } catch (error) {
      throw new SojournError({
        kind: 'requirement',
        code: 'tunnel-listen',
        message: `The tunnel cannot listen on ${listen.host} port ${listen.port}: ${errorText(error)}`,
        remedy: 'Choose another address or port, or end the program that uses it',
        cause: error,
      });
    }
    // accept(2) can fail later (no file descriptors left); the next one may succeed.
    server.on('error', () => undefined);
    this.#server = server;
    this.#listening = listen;
  }

  #accept(socket: TLSSocket): void {
    // A TLS error later on shows as `close`.
    socket.on('error', () => socket.destroy());
    let peer: Peer | undefined;
    try {
      peer = this.#peers.get(peerIdOf(socket));
    } catch {
      // Without a certificate it is nobody we know.
    }
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    this.#admission.known(keyOf(socket));
    peer.port.adopt(socket);
  }

  async #stopListening(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#listening = undefined;
    if (server === undefined) return;
    this.#admission.close();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  }
}
