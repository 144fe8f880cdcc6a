import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { MAX_LINE_BYTES } from '../../api/index.ts';
import { errorText, SojournError } from '../../common/index.ts';
import { Access } from './access.ts';
import { bridge } from './bridge.ts';
import { BUILT_UI, type BuiltFile, builtFiles } from './built-files.ts';
import { answer, credentials, isForUs, PROTOCOL, type Site } from './http.ts';
import { bridgeScreen } from './screen-bridge.ts';

const LOOPBACK = '127.0.0.1';
/** HTTP connections, WebSockets among them. */
const MAX_CONNECTIONS = 64;
/** Windows open at the same time; screens in them. */
const MAX_WINDOWS = 16;
const MAX_SCREENS = 16;
/** `/screen/<guest>`, by id. */
const SCREEN = /^\/screen\/([0-9a-f-]{36})$/;
const REQUEST_TIMEOUT_MS = 10_000;

export interface WebServerOptions {
  /** The agent's own socket, which every window gets a connection to. */
  readonly socketPath: string;
  /** A stream of the guest's screen (`api/screen.ts`). */
  readonly screen: (guest: string) => Promise<Duplex>;
  readonly log: Logger;
  /** Of the built window. */
  readonly directory?: string;
  readonly now?: () => number;
}

/** Serves the window to browsers of this host, from the first time that somebody asks for it. */
export class WebServer {
  readonly #options: WebServerOptions;
  readonly #access = new Access();
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_LINE_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });
  readonly #screens = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_LINE_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });
  #files: ReadonlyMap<string, BuiltFile> = new Map();
  #serving: Promise<{ server: Server; port: number }> | undefined;

  constructor(options: WebServerOptions) {
    this.#options = options;
  }

  /**
   * A link that lets one browser in. Without a port any free one is taken the first time, and the same after that.
   * @throws SojournError `ui-not-built`, `ui-port-in-use`, `ui-port-other`
   */
  async open(wanted?: number, screenOf?: string): Promise<{ url: string; expiresAt: string }> {
    // Anew, because the window may have been built again since.
    this.#files = await builtFiles(this.#options.directory ?? BUILT_UI);
    this.#serving ??= this.#listen(wanted ?? 0);
    const { port } = await this.#serving.catch((error: unknown) => {
      this.#serving = undefined;
      throw error;
    });
    if (wanted !== undefined && wanted !== port) throw otherPort(port);
    const { token, expiresAtMs } = this.#access.issue(this.#now());
    return {
      // Behind a number sign, so that it is in no log and no Referer.
      url: `http://${LOOPBACK}:${port}/#token=${token}${screenOf === undefined ? '' : `&screen=${screenOf}`}`,
      expiresAt: new Date(expiresAtMs).toISOString(),
    };
  }

  async close(): Promise<void> {
    const serving = await this.#serving?.catch(() => undefined);
    for (const { clients } of [this.#sockets, this.#screens])
      for (const socket of clients) socket.terminate();
    if (serving === undefined) return;
    const closed = new Promise<void>((resolve) => serving.server.close(() => resolve()));
    serving.server.closeAllConnections();
    await closed;
  }

  async #listen(wanted: number): Promise<{ server: Server; port: number }> {
    const server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
    });
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(portInUse(wanted, error)));
      server.listen(wanted, LOOPBACK, resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    const { port } = address;
    const site: Site = {
      host: `${LOOPBACK}:${port}`,
      port,
      access: this.#access,
      files: () => this.#files,
      now: () => this.#now(),
    };
    const { log } = this.#options;
    server.on('error', (error) => log.warn({ reason: errorText(error) }, 'window not served'));
    server.on('request', (request, response) => void answer(request, response, site));
    server.on('upgrade', (request, socket, head) => {
      const isOurs = isForUs(request, site) && request.headers.origin !== undefined;
      if (!isOurs) return refuse(socket, '403 Forbidden');
      if (!this.#access.allows(credentials(request, site), this.#now()))
        return refuse(socket, '401 Unauthorized');
      const guest = SCREEN.exec(request.url ?? '')?.[1];
      const server = guest === undefined ? this.#sockets : this.#screens;
      if (server.clients.size >= (guest === undefined ? MAX_WINDOWS : MAX_SCREENS))
        return refuse(socket, '503 Service Unavailable');
      server.handleUpgrade(request, socket, head, (web) => this.#join(web, guest));
    });
    log.info({ port }, 'window served');
    return { server, port };
  }

  #join(web: WebSocket, guest: string | undefined): void {
    const { socketPath, screen, log } = this.#options;
    const tell = (problem: string) => log.warn({ reason: problem }, 'window');
    if (guest === undefined) bridge(web, socketPath, tell);
    else bridgeScreen(web, () => screen(guest), tell);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function portInUse(port: number, cause: NodeJS.ErrnoException): Error {
  if (cause.code !== 'EADDRINUSE' && cause.code !== 'EACCES') return cause;
  return new SojournError({
    kind: 'conflict',
    code: 'ui-port-in-use',
    message: `Port ${port} of this host is not free`,
    remedy: 'Choose another with "sojourn ui --port", or leave it out',
    cause,
  });
}

function otherPort(port: number): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'ui-port-other',
    message: `The window is served on port ${port} already`,
    remedy: 'Leave --port out, or stop the agent first with "sojourn stop"',
  });
}
