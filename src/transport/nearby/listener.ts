/** Where devices nearby knock, while somebody here wants to pair: every connection is a stranger's and stays one. */
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { ADMISSION, Admission } from '../admission.ts';
import type { Identity } from '../identity.ts';
import { ALPN_NEARBY, peerIdOf, tlsServerOptions } from '../tls.ts';

/** An attempt lasts for a minute of comparing at most. */
const LIMITS = { ...ADMISSION, total: 8, perAddress: 3, deadlineMs: 90_000 };

export class NearbyListener {
  readonly #server: Server;
  readonly #admission = new Admission(LIMITS);

  /** @param knock gets each connection and the place id that it has proved. */
  constructor(identity: Identity, knock: (socket: TLSSocket, peer: string) => void) {
    this.#server = createServer(tlsServerOptions(identity, ALPN_NEARBY));
    this.#server.on('connection', (socket: Socket) => this.#admission.arrived(socket));
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server.on('secureConnection', (socket) => {
      socket.on('error', () => undefined);
      let peer: string;
      try {
        peer = peerIdOf(socket);
      } catch {
        socket.destroy();
        return;
      }
      knock(socket, peer);
    });
  }

  /** On a port that the system chooses. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port: 0 }, () => {
        this.#server.removeAllListeners('error');
        // accept(2) may fail for want of descriptors; the next one may succeed.
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#admission.close();
    await closed;
  }
}
