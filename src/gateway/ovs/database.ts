/**
 * A client of Open vSwitch's database on its unix socket (RFC 7047). `ovs-vsctl` would do for a change, but not for what a gateway
 * needs besides: being told at once that the server is gone or that somebody changed the bridge, and errors as data.
 */
import { createConnection, type Socket } from 'node:net';
import { errorText, SojournError } from '../../common/index.ts';
import { JsonStream } from './json-stream.ts';
import {
  incomingMessage,
  type Operation,
  type OperationResult,
  operationResult,
  type Row,
} from './messages.ts';

export const DATABASE = 'Open_vSwitch';
/** Characters of one message; the tables of a host with thousands of ports have fewer. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Requests without an answer. */
const MAX_PENDING = 64;
const ANSWER_MS = 10_000;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: SojournError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Calls for columns of tables: anything in them changed. */
export type Watched = Readonly<Record<string, readonly string[]>>;

export class OvsDatabase {
  /** Resolves, never rejects, when the connection is gone. */
  readonly closed: Promise<SojournError>;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #changed: () => void = () => {};
  #id = 0;
  #end!: (error: SojournError) => void;

  private constructor(path: string, socket: Socket) {
    this.#path = path;
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    const stream = new JsonStream(MAX_MESSAGE);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      try {
        for (const message of stream.push(text)) this.#take(message);
      } catch (error) {
        this.#close(lost(path, `it sent ${errorText(error)}`, error));
      }
    });
    socket.on('error', (error) => this.#close(lost(path, error.message, error)));
    socket.on('close', () => this.#close(lost(path, 'it closed the connection')));
  }

  /** @throws SojournError `ovs-not-running`, `ovs-permission`. */
  static async connect(path: string): Promise<OvsDatabase> {
    const socket = createConnection({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error: NodeJS.ErrnoException) => reject(refused(path, error)));
    });
    socket.removeAllListeners('error');
    return new OvsDatabase(path, socket);
  }

  /**
   * All operations or none (4.1.3). @returns the result of each.
   * @throws SojournError `ovs-refused` with the server's own words, or what the connection ended with.
   */
  async transact(operations: readonly Operation[]): Promise<OperationResult[]> {
    const answer = await this.#request('transact', [DATABASE, ...operations]);
    const results = operationResult.array().parse(answer);
    const failed = results.find((result) => result !== null && 'error' in result);
    if (failed !== undefined && failed !== null && 'error' in failed)
      throw new SojournError({
        kind: 'refused',
        code: 'ovs-refused',
        message: `Open vSwitch's database refused a change: ${failed.details ?? failed.error}`,
        remedy: 'Compare "ovs-vsctl show" with what is asked for',
      });
    return results;
  }

  async select(table: string, where: readonly unknown[] = []): Promise<Row[]> {
    const [result] = await this.transact([{ op: 'select', table, where }]);
    return result !== null && result !== undefined && 'rows' in result
      ? ((result.rows as Row[] | undefined) ?? [])
      : [];
  }

  /** Calls `changed` after each change of those columns from now on (4.1.5). One at a time; a later call replaces it. */
  async watch(watched: Watched, changed: () => void): Promise<void> {
    this.#changed = changed;
    const tables = Object.entries(watched).map(([table, columns]) => [table, { columns }]);
    await this.#request('monitor', [DATABASE, 'sojourn', Object.fromEntries(tables)]);
  }

  close(): void {
    this.#close(lost(this.#path, 'it was closed here'));
  }

  #request(method: string, params: readonly unknown[]): Promise<unknown> {
    if (this.#socket.destroyed) return Promise.reject(lost(this.#path, 'it is closed'));
    if (this.#pending.size >= MAX_PENDING)
      return Promise.reject(lost(this.#path, 'too many requests wait for an answer'));
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#close(lost(this.#path, `there was no answer to ${method}`)),
        ANSWER_MS,
      );
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.write(JSON.stringify({ method, params, id }));
    });
  }

  #take(json: unknown): void {
    const message = incomingMessage.parse(json);
    if ('method' in message) {
      const { method, id, params } = message;
      // 4.1.11: both ends may ask whether the other is there.
      if (method === 'echo')
        this.#socket.write(JSON.stringify({ id, result: params, error: null }));
      else if (method === 'update') this.#changed();
      return;
    }
    const pending = this.#pending.get(Number(message.id));
    if (pending === undefined) return;
    this.#pending.delete(Number(message.id));
    clearTimeout(pending.timer);
    const { error, result } = message;
    if (error === null || error === undefined) pending.resolve(result);
    else pending.reject(lost(this.#path, `it answered ${JSON.stringify(error)}`));
  }

  #close(error: SojournError): void {
    this.#socket.destroy();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
    this.#end(error);
  }
}

function lost(path: string, why: string, cause?: unknown): SojournError {
  return new SojournError({
    kind: 'unreachable',
    code: 'ovs-connection-lost',
    message: `The connection to Open vSwitch's database at ${path} ended: ${why}`,
    remedy: 'Look whether ovsdb-server runs',
    cause,
  });
}

function refused(path: string, error: NodeJS.ErrnoException): SojournError {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new SojournError({
      kind: 'requirement',
      code: 'ovs-permission',
      message: `This user may not speak to Open vSwitch's database at ${path}`,
      remedy: 'Run it as root, or as a member of the group that owns the socket',
      cause: error,
    });
  return new SojournError({
    kind: 'requirement',
    code: 'ovs-not-running',
    message: `Open vSwitch's database does not answer at ${path}: ${error.message}`,
    remedy:
      'Install Open vSwitch (Debian: openvswitch-switch) and start it, or give the path of its db.sock',
    cause: error,
  });
}
