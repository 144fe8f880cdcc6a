/** Where tools, and controllers that dial, come in. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { SojournError } from '../../common/index.ts';
import type { TlsFiles } from './dialer.ts';
import { formatTarget, type ListenTarget } from './target.ts';

/** Connections to a switch at once; one more is closed at once. */
const MAX_CONNECTIONS = 32;
/** Of the TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export class Listener {
  readonly target: ListenTarget;
  readonly #server: Server;

  private constructor(target: ListenTarget, server: Server) {
    this.target = target;
    this.#server = server;
  }

  /** A unix socket that is there already is replaced. @throws SojournError `openflow-listen`. */
  static async open(
    target: ListenTarget,
    tls: TlsFiles | undefined,
    connected: (socket: Socket) => void,
    maxConnections = MAX_CONNECTIONS,
  ): Promise<Listener> {
    const server =
      target.type === 'pssl'
        ? createTlsServer({
            ...tls,
            requestCert: true,
            rejectUnauthorized: true,
            handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          })
        : createServer({ noDelay: true });
    server.maxConnections = maxConnections;
    server.on(target.type === 'pssl' ? 'secureConnection' : 'connection', connected);
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    const at = target.type === 'punix' ? { path: target.path } : target;
    if (target.type === 'punix') await rm(target.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(target, error)));
      server.listen(at, resolve);
    });
    if (target.type === 'punix') await chmod(target.path, 0o600);
    return new Listener(target, server);
  }

  /** Takes no more; connections stay. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      // Connections are closed by who has them.
    });
  }
}

function listenError(target: ListenTarget, error: Error): SojournError {
  return new SojournError({
    kind: 'requirement',
    code: 'openflow-listen',
    message: `${formatTarget(target)} cannot be listened on: ${error.message}`,
    remedy: 'Choose another address, or end what listens there',
    cause: error,
  });
}
