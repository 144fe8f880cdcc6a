/**
 * QMP: QEMU's monitor protocol over a unix socket (docs/interop/qmp-spec.rst of QEMU).
 *
 *   server -> {"QMP": {"version": ..., "capabilities": ["oob"]}}            greeting
 *   client -> {"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}, "id": 1}
 *   client -> {"execute": C, "arguments": A, "id": N}         in band, answered in order
 *   client -> {"exec-oob": C, "arguments": A, "id": N}        overtakes the commands in band
 *   server -> {"return": V, "id": N} | {"error": {"class", "desc"}, "id": N}
 *   server -> {"event": E, "data": D, "timestamp": {"seconds", "microseconds"}}
 *
 * QEMU serves one client per socket; this class is that one owner. It drains always, because a client
 * that lags delays QEMU's answers, and drops MIGRATION_PASS unparsed: there are thousands a second.
 */
import { createConnection, type Socket } from 'node:net';
import type { z } from 'zod';
import { QmpClosedError, QmpError, QmpProtocolError, QmpTimeoutError } from './errors.ts';
import { EventHub, type EventListener } from './events.ts';
import { LineStream } from './lines.ts';
import { greetingSchema, isMigrationPass, messageSchema, type QmpEvent } from './messages.ts';
import {
  DEFAULT_TIMEOUT_MS,
  type QmpCallOptions,
  type QmpWaitOptions,
  startTimer,
} from './waiting.ts';

/** Largest line taken from QEMU, bytes; its longest answer (query-qmp-schema) has about 300 KiB. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
/**
 * Commands in band under way at once. QEMU stops reading its socket, and with it the out-of-band commands, when 8
 * are queued (QMP_REQ_QUEUE_LEN_MAX in monitor/qmp.c), so the rest waits here.
 */
const MAX_IN_FLIGHT = 6;
/** Commands waiting here for their turn; more is a defect of the caller. */
const MAX_WAITING = 256;

export type QmpArguments = Readonly<Record<string, unknown>>;

/** One line on the wire, for evidence. `timeMs`: milliseconds since 1970, with fractions. */
export interface QmpLogEntry {
  readonly timeMs: number;
  readonly direction: 'sent' | 'received';
  readonly line: string;
}

export interface QmpConnectOptions {
  /** For connecting, greeting and negotiation together, milliseconds. */
  readonly timeoutMs?: number;
  readonly log?: (entry: QmpLogEntry) => void;
}

interface Pending {
  readonly command: string;
  readonly outOfBand: boolean;
  readonly settle: (outcome: { value: unknown } | { error: Error }) => void;
}

export class QmpClient {
  /** Resolves, never rejects, when the connection is gone; an Error unless it was closed in good order. */
  readonly closed: Promise<Error | undefined>;
  readonly path: string;
  readonly #lines: LineStream;
  readonly #log: ((entry: QmpLogEntry) => void) | undefined;
  readonly #pending = new Map<number, Pending>();
  readonly #events = new EventHub();
  #waiting: { id: number; line: string }[] = [];
  #inFlight = 0;
  #nextId = 1;
  #passes = 0;
  #closedError: QmpClosedError | undefined;
  #resolveClosed: (error: Error | undefined) => void;
  #greeting: PromiseWithResolvers<void> | undefined = Promise.withResolvers();

  private constructor(socket: Socket, path: string, options: QmpConnectOptions) {
    this.path = path;
    this.#log = options.log;
    const closed = Promise.withResolvers<Error | undefined>();
    this.closed = closed.promise;
    this.#resolveClosed = closed.resolve;
    this.#lines = new LineStream(socket, MAX_LINE_BYTES, {
      line: (line) => this.#received(line),
      closed: (error) => this.#ended(error),
    });
  }

  /**
   * Connects, greets and enables out-of-band commands.
   * Throws QmpClosedError (nobody listens, QEMU ended), QmpTimeoutError (another client holds the
   * socket, or QEMU hangs), QmpProtocolError (not QMP).
   */
  static async connect(path: string, options: QmpConnectOptions = {}): Promise<QmpClient> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const client = new QmpClient(createConnection({ path }), path, options);
    const timer = setTimeout(
      () => client.#lines.destroy(new QmpTimeoutError(`greeting on ${path}`, timeoutMs)),
      timeoutMs,
    );
    try {
      await client.#greeting?.promise;
      await client.execute('qmp_capabilities', { enable: ['oob'] }, { timeoutMs });
      return client;
    } catch (error) {
      client.close();
      const cause = error instanceof QmpClosedError ? error.cause : undefined;
      const informative = cause instanceof QmpTimeoutError || cause instanceof QmpProtocolError;
      throw informative ? cause : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Migration passes seen since the connection was made; their events are counted and dropped. */
  get migrationPasses(): number {
    return this.#passes;
  }

  get isClosed(): boolean {
    return this.#closedError !== undefined;
  }

  /** Runs a command in band. Throws QmpError, QmpTimeoutError, QmpClosedError. */
  execute(command: string, args?: QmpArguments, options?: QmpCallOptions): Promise<unknown> {
    return this.#call(command, args, options, false);
  }

  /** Runs a command ahead of those in band, also when one of them hangs (`yank`, `migrate-pause`, ...). */
  executeOob(command: string, args?: QmpArguments, options?: QmpCallOptions): Promise<unknown> {
    return this.#call(command, args, options, true);
  }

  /** Runs a command in band and checks its answer. Throws as `execute`, and ZodError. */
  async query<Schema extends z.ZodType>(
    schema: Schema,
    command: string,
    args?: QmpArguments,
    options?: QmpCallOptions,
  ): Promise<z.infer<Schema>> {
    return schema.parse(await this.execute(command, args, options));
  }

  /** Calls `listener` for each event of that name, or every event for `*`. Returns how to stop it. */
  on(event: string, listener: EventListener): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * The first event of that name, from now on, that satisfies the predicate. Ask before sending the command
   * that causes it. Throws QmpTimeoutError, QmpClosedError or the signal's reason.
   */
  waitFor(
    event: string,
    predicate?: (event: QmpEvent) => boolean,
    options?: QmpWaitOptions,
  ): Promise<QmpEvent> {
    return this.#events.waitFor(event, predicate, options);
  }

  /** Lets go of the socket; QEMU goes on and takes another client. Pending calls fail. */
  close(): void {
    this.#lines.destroy();
    this.#fail(new QmpClosedError('closed here'));
  }

  #call(
    command: string,
    args: QmpArguments | undefined,
    options: QmpCallOptions | undefined,
    outOfBand: boolean,
  ): Promise<unknown> {
    if (this.#closedError !== undefined) return Promise.reject(this.#closedError);
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new QmpProtocolError(`more than ${MAX_WAITING} commands are waiting`));
    }
    const timeoutMs = options?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const id = this.#nextId++;
    const line = JSON.stringify({
      [outOfBand ? 'exec-oob' : 'execute']: command,
      ...(args === undefined ? {} : { arguments: args }),
      id,
    });
    return new Promise((resolve, reject) => {
      // Once sent, a command stays registered after its deadline: QEMU still works on it.
      const timer = startTimer(timeoutMs, () => {
        const place = this.#waiting.findIndex((entry) => entry.id === id);
        if (place !== -1) {
          this.#waiting.splice(place, 1);
          this.#pending.delete(id);
        }
        reject(new QmpTimeoutError(command, timeoutMs));
      });
      const settle: Pending['settle'] = (outcome) => {
        clearTimeout(timer);
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value);
      };
      this.#pending.set(id, { command, outOfBand, settle });
      if (outOfBand) this.#send(line);
      else {
        this.#waiting.push({ id, line });
        this.#sendWaiting();
      }
    });
  }

  #sendWaiting(): void {
    while (this.#inFlight < MAX_IN_FLIGHT) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#inFlight += 1;
      this.#send(next.line);
    }
  }

  #send(line: string): void {
    this.#log?.({ timeMs: now(), direction: 'sent', line });
    this.#lines.send(line);
  }

  #received(line: Buffer): void {
    if (isMigrationPass(line)) {
      this.#passes += 1;
      return;
    }
    const text = line.toString('utf8');
    this.#log?.({ timeMs: now(), direction: 'received', line: text });
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      this.#lines.destroy(new QmpProtocolError('received a line that is not JSON'));
      return;
    }
    if (this.#greeting !== undefined) this.#greeted(this.#greeting, json);
    else this.#message(json);
  }

  #greeted(greeting: PromiseWithResolvers<void>, json: unknown): void {
    if (!greetingSchema.safeParse(json).success) {
      this.#lines.destroy(new QmpProtocolError(`${this.path} does not greet as QMP does`));
      return;
    }
    this.#greeting = undefined;
    greeting.resolve();
  }

  #message(json: unknown): void {
    const parsed = messageSchema.safeParse(json);
    if (!parsed.success) {
      this.#lines.destroy(new QmpProtocolError('received a message that QMP does not have'));
      return;
    }
    const message = parsed.data;
    if ('event' in message) {
      const { seconds, microseconds } = message.timestamp;
      const timeMs = seconds * 1000 + microseconds / 1000;
      this.#events.emit({ event: message.event, data: message.data ?? {}, timeMs });
      return;
    }
    const pending = message.id === undefined ? undefined : this.#pending.get(message.id);
    if (message.id === undefined || pending === undefined) {
      const text = 'error' in message ? message.error.desc : 'an answer to no question';
      this.#lines.destroy(new QmpProtocolError(`QEMU did not understand a message: ${text}`));
      return;
    }
    this.#pending.delete(message.id);
    if (!pending.outOfBand) {
      this.#inFlight -= 1;
      this.#sendWaiting();
    }
    if ('error' in message) {
      const { class: errorClass, desc } = message.error;
      pending.settle({ error: new QmpError(pending.command, errorClass, desc) });
    } else {
      pending.settle({ value: message.return });
    }
  }

  #ended(error: Error | undefined): void {
    const reason = error === undefined ? 'QEMU ended the connection' : error.message;
    this.#fail(new QmpClosedError(reason, error));
    this.#resolveClosed(error);
  }

  #fail(error: QmpClosedError): void {
    if (this.#closedError !== undefined) return;
    this.#closedError = error;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#waiting = [];
    for (const { settle } of pending) settle({ error });
    this.#greeting?.reject(error);
    this.#events.close(error);
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
