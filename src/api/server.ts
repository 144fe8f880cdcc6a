import { chmod, mkdir, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { checkSocketPath, SojournError, toWireError } from '../common/index.ts';
import { Connection, type Limits, type ServerLog } from './connection.ts';
import type { Handlers } from './contract.ts';
import {
  type Greeting,
  MAX_CALLS,
  MAX_CONNECTIONS,
  MAX_OUTPUT_BYTES,
  PARTIAL_LINE_TIMEOUT_MS,
  PROTOCOL_VERSION,
} from './protocol.ts';
import { isAnswering } from './socket-path.ts';

export interface ApiServerOptions {
  readonly path: string;
  readonly handlers: Handlers;
  /** Version of the program, told in the greeting. */
  readonly version: string;
  readonly log?: ServerLog;
  readonly limits?: Partial<Limits>;
}

const defaultLimits: Limits = {
  connections: MAX_CONNECTIONS,
  calls: MAX_CALLS,
  partialLineTimeoutMs: PARTIAL_LINE_TIMEOUT_MS,
  outputBytes: MAX_OUTPUT_BYTES,
};

export class ApiServer {
  readonly path: string;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  private constructor(options: ApiServerOptions) {
    this.path = options.path;
    const limits = { ...defaultLimits, ...options.limits };
    const log = options.log ?? (() => {});
    const greeting: Greeting = {
      sojourn: 'api',
      protocol: PROTOCOL_VERSION,
      version: options.version,
      pid: process.pid,
    };
    this.#server = createServer((socket) => {
      if (this.#connections.size >= limits.connections) {
        refuseConnection(socket, log);
        return;
      }
      const connection = new Connection(socket, {
        handlers: options.handlers,
        limits,
        greeting,
        log,
      });
      this.#connections.add(connection);
      socket.once('close', () => this.#connections.delete(connection));
    });
  }

  /**
   * Listens on a unix socket that only this user can reach (socket 0600 in a folder 0700, which is
   * made if need be). Takes over a socket that nobody serves any more. Errors: `agent-running` when
   * another agent answers there, `socket-path-too-long`.
   */
  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const { path } = options;
    checkSocketPath(path);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // The folder is what keeps others out between bind and chmod.
    await chmod(dirname(path), 0o700);
    if (await isAnswering(path)) throw agentRunning(path);
    await unlink(path).catch(ignoreMissing);
    const api = new ApiServer(options);
    await new Promise<void>((resolve, reject) => {
      api.#server.once('error', reject);
      api.#server.listen(path, () => {
        api.#server.off('error', reject);
        resolve();
      });
    });
    await chmod(path, 0o600);
    return api;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Stops listening, removes the socket and cancels every call. Answers already given still go out. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await closed;
  }
}

function refuseConnection(socket: Socket, log: ServerLog): void {
  const error = new SojournError({
    kind: 'conflict',
    code: 'too-many-connections',
    message: 'Too many programs are connected to the agent',
    remedy: 'Close some of them and try again',
  });
  socket.on('error', (cause) => log('client-error', { error: cause }));
  socket.end(`${JSON.stringify({ error: toWireError(error) })}\n`, () => socket.destroy());
}

function agentRunning(path: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'agent-running',
    message: `Another agent already serves ${path}`,
    remedy: 'Use that one, end it with "sojourn stop", or choose another --state directory',
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
