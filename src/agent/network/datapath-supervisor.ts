/**
 * Keeps one datapath process alive and in the state that the agent wants. The datapath outlives the agent and restores
 * itself; what is pushed here after each connection settles the differences.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { errorText, SojournError } from '../../common/index.ts';
import {
  adoptDatapath,
  type Configuration,
  type DatapathClient,
  type DatapathEvent,
  type DatapathHandle,
  type GuestSettings,
  type Status,
  startDatapath,
} from '../../datapath/index.ts';

/** Pauses between attempts to start it, ms; the last one repeats. All are short: every guest's network waits. */
const RESTART_DELAYS_MS = [0, 200, 500, 1_000, 2_000];
/** A datapath that lived this long starts again without a pause, ms. */
const STABLE_MS = 5_000;
/** How often it is asked whether it is alive, and how long it may take to answer, ms. */
const HEARTBEAT_MS = 2_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;

interface SupervisorEvents {
  datapath: [event: DatapathEvent];
  changed: [];
}

export interface SupervisorOptions {
  readonly directory: string;
  readonly qemu: () => Promise<string | undefined>;
  readonly configuration: () => Configuration;
  readonly log: Logger;
}

export class DatapathSupervisor extends EventEmitter<SupervisorEvents> {
  readonly #options: SupervisorOptions;
  readonly #guests = new Map<string, GuestSettings>();
  /** Guests whose packets it may hold, for a switchover that was ended while it did not answer. */
  readonly #held = new Set<string>();
  readonly #stop = new AbortController();
  #handle: DatapathHandle | undefined;
  #running: Promise<void> | undefined;
  #startedAt: Date | undefined;
  #adopted = false;
  /** Whether all guests of this place have been set. */
  #complete = false;
  #reason = 'it has not been started yet';

  constructor(options: SupervisorOptions) {
    super();
    this.#options = options;
  }

  /** Finds or starts the datapath; afterwards keeps it alive. @throws SojournError when the first start fails. */
  async start(): Promise<void> {
    await this.#connect();
    this.#running = this.#supervise();
  }

  /** All guests of this place have been set: what else the datapath knows, an earlier agent left there. */
  async removeOthers(): Promise<void> {
    this.#complete = true;
    await this.#sooner(async () => {
      // One that was removed may have had the address of one that was refused for it.
      if (await this.#removeUnknown()) await this.#pushGuests();
    });
  }

  /** Lets go of the datapath, which goes on; with `end` ends it and removes its TAP. */
  async close(end: boolean): Promise<void> {
    this.#stop.abort();
    const client = this.#handle?.client;
    if (end && client !== undefined && !client.isClosed)
      await client.call('shutdown', { tap: 'remove' });
    await client?.close();
    await this.#running;
  }

  /** It ran before this agent did. */
  get adopted(): boolean {
    return this.#adopted;
  }

  get process(): { pid: number; since: Date } | { reason: string } {
    if (this.#handle === undefined || this.#startedAt === undefined)
      return { reason: this.#reason };
    return { pid: this.#handle.record.process.pid, since: this.#startedAt };
  }

  /** @throws SojournError `datapath-unreachable` */
  get client(): DatapathClient {
    if (this.#handle !== undefined) return this.#handle.client;
    throw new SojournError({
      kind: 'unreachable',
      code: 'datapath-unreachable',
      message: `The datapath is not running: ${this.#reason}`,
      remedy: 'It is being started again; try again in a moment',
    });
  }

  async status(): Promise<Status | undefined> {
    try {
      return await this.client.call('status', {});
    } catch (error) {
      if (error instanceof SojournError && error.kind === 'unreachable') return undefined;
      throw error;
    }
  }

  /** What has to hold for a guest from now on, also in a datapath that is started later. */
  async setGuest(settings: GuestSettings): Promise<void> {
    for (const other of [...this.#guests.values()])
      if (isSucceeded(other, settings)) await this.removeGuest(other.guestId);
    this.#guests.set(settings.guestId, settings);
    await this.client.call('setGuest', settings);
  }

  /** As `setGuest`, where nothing can be done about a datapath that has just died: the next one is told. */
  async ensureGuest(settings: GuestSettings): Promise<void> {
    await this.#sooner(() => this.setGuest(settings));
  }

  /** The guest is not known from now on, also in a datapath that is started later. */
  async removeGuest(guestId: string): Promise<void> {
    if (!this.#guests.delete(guestId)) return;
    await this.#sooner(() => this.client.call('removeGuest', { guestId }));
  }

  /** The port's QEMU runs the guest now. A datapath that has just died is told when it is back. */
  async releasePort(guestId: string): Promise<void> {
    const settings = this.#guests.get(guestId);
    if (settings?.port !== undefined)
      this.#guests.set(guestId, { ...settings, port: { ...settings.port, held: false } });
    await this.#sooner(() => this.client.call('releasePort', { guestId }));
  }

  /**
   * The guest stays here, and gets what was held for it. One that does not answer may have begun to hold, or do so when it goes on:
   * it is told then.
   */
  async abortSwitchover(guestId: string): Promise<void> {
    this.#held.add(guestId);
    await this.#sooner(() => this.#releaseHeld(guestId));
  }

  /** Rejects while it does not answer; it may refuse, because it does not know the guest any more. */
  async #releaseHeld(guestId: string): Promise<void> {
    try {
      await this.client.call('abortSwitchover', { guestId });
    } catch (error) {
      if (!(error instanceof SojournError) || error.kind === 'unreachable') throw error;
      this.#options.log.debug({ guestId, reason: error.message }, 'nothing was held');
    }
    this.#held.delete(guestId);
  }

  /** Pushes the configuration again: peers have changed. */
  async configure(): Promise<void> {
    const { problems } = await this.client.call('configure', this.#options.configuration());
    for (const problem of problems) this.#options.log.warn(problem, 'datapath');
  }

  /** What could not be said now is said by `#connect` to the next datapath. */
  async #sooner(action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof SojournError) || error.kind !== 'unreachable') throw error;
      this.#options.log.warn({ reason: error.message }, 'the datapath will be told later');
    }
  }

  async #connect(): Promise<void> {
    const { directory, log } = this.#options;
    const onEvent = (event: DatapathEvent) => this.emit('datapath', event);
    const qemu = await this.#options.qemu();
    const start = { directory, onEvent, ...(qemu === undefined ? {} : { qemu }) };
    const adopted = await adoptDatapath(start);
    this.#adopted ||= adopted !== undefined;
    this.#handle = adopted ?? (await startDatapath(start));
    this.#startedAt = new Date();
    log.info({ pid: this.#handle.record.process.pid }, 'datapath connected');
    await this.configure();
    if (this.#complete) await this.#removeUnknown();
    await this.#pushGuests();
    for (const guestId of this.#held) await this.#releaseHeld(guestId);
    this.emit('changed');
  }

  /** @returns whether there were any. */
  async #removeUnknown(): Promise<boolean> {
    const { guests } = await this.client.call('status', {});
    const unknown = guests.filter(({ guestId }) => !this.#guests.has(guestId));
    for (const { guestId } of unknown)
      if (!this.#guests.has(guestId)) await this.client.call('removeGuest', { guestId });
    return unknown.length > 0;
  }

  async #pushGuests(): Promise<void> {
    for (const settings of this.#guests.values()) await this.#push(settings);
  }

  /** A newer epoch in the datapath than here means that a switchover ended while nobody listened; it is right. */
  async #push(settings: GuestSettings): Promise<void> {
    try {
      await this.client.call('setGuest', settings);
    } catch (error) {
      this.#options.log.warn({ guestId: settings.guestId, err: error }, 'mapping not taken');
    }
  }

  /** Never rejects. */
  async #supervise(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      const since = performance.now();
      await this.#untilGone();
      if (signal.aborted) return;
      this.#handle = undefined;
      this.#reason = 'it has just ended';
      this.emit('changed');
      failures = performance.now() - since >= STABLE_MS ? 0 : failures + 1;
      while (this.#handle === undefined && !signal.aborted) {
        const wait = RESTART_DELAYS_MS[Math.min(failures, RESTART_DELAYS_MS.length) - 1] ?? 0;
        log.warn({ wait }, 'datapath gone: starting it again');
        await delay(wait, undefined, { signal, ref: false }).catch(() => undefined);
        if (signal.aborted) return;
        try {
          await this.#connect();
        } catch (error) {
          failures += 1;
          this.#handle = undefined;
          this.#reason = errorText(error);
          log.error({ err: error }, 'datapath not started');
        }
      }
    }
  }

  /** Resolves when the connection has ended, or the datapath has not answered for too long. */
  async #untilGone(): Promise<void> {
    const client = this.#handle?.client;
    if (client === undefined) return;
    const gone = new AbortController();
    void client.closed.then(() => gone.abort());
    const stop = AbortSignal.any([gone.signal, this.#stop.signal]);
    while (!stop.aborted) {
      await delay(HEARTBEAT_MS, undefined, { signal: stop, ref: false }).catch(() => undefined);
      if (stop.aborted) return;
      try {
        await client.call('status', {}, { timeoutMs: HEARTBEAT_TIMEOUT_MS });
      } catch (error) {
        this.#options.log.error({ err: error }, 'datapath does not answer');
        await client.close();
        return;
      }
    }
  }
}

/**
 * Whether one guest has got the address of another: its home gives it to one guest at a time, so the other, which is
 * not here, has been deleted since. Of a guest with a port here that cannot be: the datapath refuses the newer one.
 */
function isSucceeded(other: GuestSettings, by: GuestSettings): boolean {
  if (other.guestId === by.guestId || other.port !== undefined) return false;
  return other.anchor === by.anchor && other.network.hoa4 === by.network.hoa4;
}
