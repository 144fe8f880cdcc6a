/** One handoff at the destination at work: carries out the effects of `destination-machine.ts`. */
import { setTimeout as delay } from 'node:timers/promises';
import { letRun } from './activation.ts';
import type { DestinationDeps } from './destination.ts';
import {
  type DestinationEffect,
  type DestinationEvent,
  type DestinationState,
  type DestinationStep,
  initialDestination,
  stepDestination,
} from './destination-machine.ts';
import { IncomingQemu } from './incoming-qemu.ts';
import type { Result } from './messages.ts';
import type { ChannelPort, IncomingGuest, IncomingRequest, SessionPort } from './ports.ts';
import { errorOf, reasonOf } from './reason.ts';
import type { DestinationRecordType } from './records.ts';
import { SealValidity } from './seal-validity.ts';
import type { Reason } from './source-machine.ts';

/** A complete guest without a seal is kept this long, ms; the source asks all the while, and learns then that it may go on. */
export const LOADED_WAIT_MS = 15 * 60_000;
/** A QEMU that cannot be ended is tried again after this, ms, doubling up to the maximum; it keeps its place meanwhile. */
const DISCARD_AGAIN_MS = 200;
const DISCARD_AGAIN_MAX_MS = 30_000;
/** A network that could not be moved is tried once more after this, ms. */
const ACTIVATE_AGAIN_MS = 1_000;
/** The next handoff of a guest waits this long for the last one to make way, ms. */
const MAKE_WAY_MS = 10_000;

type SealAnswer = Result<'handoff.seal'>;

export class DestinationHandoff {
  readonly request: IncomingRequest;
  /** Resolves when memory and disks are here; rejects when they will not be. */
  readonly loaded: Promise<void>;
  readonly #deps: DestinationDeps;
  readonly #session: SessionPort | undefined;
  readonly #validity: SealValidity;
  readonly #prepared = Promise.withResolvers<void>();
  readonly #loaded = Promise.withResolvers<void>();
  readonly #preparing = new AbortController();
  readonly #recovered = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  /** Resolves when it cannot end for now: the refusal is not written, or QEMU not ended. */
  readonly #stuck = Promise.withResolvers<void>();
  /** The seal that waits for its answer: a place that repeats it has given up on the one before. */
  #sealer: PromiseWithResolvers<SealAnswer> | undefined;
  #preparation: Promise<unknown> = Promise.resolve();
  /** Why QEMU could not be ended the last time. */
  #obstacle: Reason | undefined;
  #state: DestinationState = initialDestination.state;
  #guest: IncomingGuest | undefined;
  #incoming: IncomingQemu | undefined;
  #journaling: Promise<void> = Promise.resolve();
  #waiting: NodeJS.Timeout | undefined;
  #runningAt: number | null = null;
  /** This object has seen all that the guest's QEMU did since it was loaded. */
  #watched = true;

  constructor(deps: DestinationDeps, request: IncomingRequest, session: SessionPort | undefined) {
    this.#deps = deps;
    this.request = request;
    this.#session = session;
    this.#validity = new SealValidity(deps.now, deps.uptime);
    this.loaded = this.#loaded.promise;
    this.loaded.catch(() => undefined);
    this.#prepared.promise.catch(() => undefined);
  }

  get isLive(): boolean {
    return !['running', 'lost', 'refused'].includes(this.#state.kind);
  }

  /** Resolves when disks and memory may come. Rejects with the reason why not. */
  begin(): Promise<void> {
    this.#enter(initialDestination);
    return this.#prepared.promise;
  }

  async recover(
    step: DestinationStep,
    guest: IncomingGuest | undefined,
  ): Promise<'owner' | 'owner-without-guest' | 'waiting' | 'nothing'> {
    this.#watched = step.state.kind === 'loaded';
    this.#guest = guest;
    guest?.qmp.closed.then(() => this.#qemuEnded());
    this.#enter(step);
    await Promise.race([this.#recovered.promise, this.#stuck.promise]);
    const { kind } = this.#state;
    if (kind === 'running') return 'owner';
    if (kind === 'lost') return 'owner-without-guest';
    return kind === 'loaded' ? 'waiting' : 'nothing';
  }

  abandon(reason: Reason): void {
    this.#dispatch({ type: 'abandon', reason });
  }

  sessionClosed(session: SessionPort): void {
    // A complete guest may have been sealed: it waits for the seal to be repeated.
    if (session !== this.#session || this.#state.kind === 'loaded') return;
    this.abandon({ code: 'session-lost', message: 'The connection to the other place was lost' });
  }

  /** The next handoff of the guest has begun. False: this one has not made way, because the guest is or may be ours. */
  async supersede(): Promise<boolean> {
    const message = 'The other place began another handoff of the guest';
    this.abandon({ code: 'handoff-superseded', message });
    const patience = delay(MAKE_WAY_MS, undefined, { ref: false });
    await Promise.race([this.#ended.promise, this.#stuck.promise, patience]);
    return this.#state.kind === 'refused';
  }

  async seal(confirmation: string | null): Promise<SealAnswer> {
    if (this.#state.kind === 'loaded' && !this.#validity.counts(confirmation)) {
      const asked = this.#validity.confirm();
      return { outcome: 'late', confirmation: asked, reason: null, runningAt: null };
    }
    if (this.#state.kind === 'discarding' && this.#obstacle !== undefined) {
      throw errorOf(this.#obstacle);
    }
    this.#sealer?.reject(errorOf({ code: 'seal-repeated', message: 'The seal was repeated' }));
    const sealer = Promise.withResolvers<SealAnswer>();
    this.#sealer = sealer;
    this.#dispatch({ type: 'seal' });
    return sealer.promise;
  }

  memory(channel: ChannelPort): void {
    if (this.#incoming === undefined || this.#state.kind !== 'receiving') {
      channel.destroy(errorOf(this.#reason('memory came at the wrong time')));
    } else this.#incoming.memory(channel);
  }

  disk(channel: ChannelPort, disk: string): void {
    if (this.#incoming === undefined || this.#state.kind !== 'receiving') {
      channel.destroy(errorOf(this.#reason('a disk came at the wrong time')));
    } else this.#incoming.disk(channel, disk);
  }

  #reason(message: string): Reason {
    const state = this.#state;
    return 'reason' in state ? state.reason : { code: 'handoff-misuse', message };
  }

  #qemuEnded(): void {
    const message = 'The QEMU of the arriving guest ended';
    this.#dispatch({ type: 'failed', reason: { code: 'destination-qemu-ended', message } });
  }

  #dispatch(event: DestinationEvent): void {
    this.#enter(stepDestination(this.#state, event));
  }

  #enter({ state, effects }: DestinationStep): void {
    const before = this.#state;
    this.#state = state;
    const { log } = this.#deps;
    const { handoffId, spec, epoch } = this.request;
    if (before.kind !== state.kind) {
      log.info(
        { handoffId, guestId: spec.id, epoch, from: before.kind, to: state.kind },
        'handoff, destination',
      );
    }
    clearTimeout(this.#waiting);
    if (state.kind === 'loaded') {
      const message = 'the other place did not say that the guest is ours';
      this.#waiting = setTimeout(
        () => this.abandon({ code: 'seal-missing', message }),
        LOADED_WAIT_MS,
      ).unref();
    }
    if (state.kind === 'refusing' || state.kind === 'discarding') this.#end(state.reason);
    if (['loaded', 'running', 'lost', 'refused'].includes(state.kind)) this.#recovered.resolve();
    if (!this.isLive) this.#ended.resolve();
    for (const effect of effects) {
      this.#carryOut(effect).catch((error: unknown) => {
        log.warn({ err: error, handoffId }, `${effect.type} failed`);
        this.#dispatch({ type: 'failed', reason: reasonOf(error) });
      });
    }
  }

  /** Everybody who waits for this handoff, and every stream, gets the reason. */
  #end(reason: Reason): void {
    const error = errorOf(reason);
    this.#preparing.abort(error);
    this.#prepared.reject(error);
    this.#loaded.reject(error);
    this.#incoming?.stop(error);
  }

  async #carryOut(effect: DestinationEffect): Promise<void> {
    switch (effect.type) {
      case 'prepare':
        return this.#prepare();
      case 'append':
        return this.#append(effect.record);
      case 'answer-prepared':
        return this.#prepared.resolve();
      case 'answer-loaded':
        this.#validity.open();
        return this.#loaded.resolve();
      case 'activate':
        return this.#activate();
      case 'answer-claimed':
        return this.#answer({
          outcome: 'claimed',
          confirmation: null,
          reason: null,
          runningAt: this.#runningAt,
        });
      case 'answer-refused':
        return this.#answer({
          outcome: 'refused',
          confirmation: null,
          reason: effect.reason.message,
          runningAt: null,
        });
      case 'answer-unsettled':
        return this.#unsettled(effect.reason);
      case 'tell-lost':
        return this.#deps.host.lost(this.request, effect.reason);
      case 'discard':
        return this.#discard();
    }
  }

  #answer(answer: SealAnswer): void {
    this.#sealer?.resolve(answer);
    this.#sealer = undefined;
  }

  #unsettled(reason: Reason): void {
    this.#stuck.resolve();
    this.#sealer?.reject(errorOf(reason));
    this.#sealer = undefined;
  }

  #append(type: DestinationRecordType): Promise<void> {
    const { handoffId, epoch, from, spec } = this.request;
    const at = this.#deps.now();
    this.#journaling = this.#journaling.then(async () => {
      try {
        const record = { type, handoffId, guestId: spec.id, epoch, peer: from, at };
        await this.#deps.journal.append(record);
        this.#dispatch({ type: 'durable', record: type });
      } catch (error) {
        this.#deps.log.warn({ err: error, handoffId, type }, 'an ownership record is not written');
        this.#dispatch({ type: 'not-durable', record: type, reason: reasonOf(error) });
      }
    });
    return this.#journaling;
  }

  async #prepare(): Promise<void> {
    const prepared = this.#deps.host.prepareIncoming(this.request, this.#preparing.signal);
    this.#preparation = prepared.catch(() => undefined);
    const guest = await prepared;
    this.#guest = guest;
    guest.qmp.closed.then(() => this.#qemuEnded());
    if (this.#state.kind !== 'preparing') return;
    this.#incoming = new IncomingQemu(guest, this.request.spec.abi.disks, {
      onLoaded: () => this.#dispatch({ type: 'loaded' }),
      onFailed: (error) => this.#dispatch({ type: 'failed', reason: reasonOf(error) }),
    });
    await this.#incoming.prepare();
    this.#dispatch({ type: 'prepared' });
  }

  /** In the pause. What is not needed for the guest to run comes after `cont`. */
  async #activate(): Promise<void> {
    const guest = this.#guest;
    if (guest === undefined) {
      const reason = { code: 'guest-gone', message: 'The guest is gone' };
      this.#dispatch({ type: 'not-activated', ran: true, reason });
      return;
    }
    try {
      this.#deps.host.claimed(this.request, guest);
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the guest is ours, but could not be marked so');
    }
    const failure = await letRun(guest, this.#watched, this.#deps.log);
    if (failure !== undefined) {
      this.#dispatch({ type: 'not-activated', ...failure });
      return;
    }
    this.#runningAt = this.#deps.now();
    const moved = this.#moveNetwork(guest);
    this.#dispatch({ type: 'activated' });
    await moved;
  }

  async #moveNetwork(guest: IncomingGuest, again = false): Promise<void> {
    try {
      await this.#deps.host.activated(this.request, guest);
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the guest runs, but its network could not be moved');
      if (again) return;
      await delay(ACTIVATE_AGAIN_MS, undefined, { ref: false });
      await this.#moveNetwork(guest, true);
    }
  }

  async #discard(): Promise<void> {
    const { handoffId, spec } = this.request;
    // What is still being started cannot be ended.
    await this.#preparation;
    await this.#incoming?.close();
    for (let wait = DISCARD_AGAIN_MS; ; wait = Math.min(2 * wait, DISCARD_AGAIN_MAX_MS)) {
      try {
        await this.#deps.host.discard(handoffId, spec.id);
        break;
      } catch (error) {
        if (this.#obstacle === undefined) {
          const what = 'the QEMU of a refused guest could not be ended; trying again';
          this.#deps.log.warn({ err: error, handoffId }, what);
        }
        this.#obstacle = reasonOf(error);
        this.#unsettled(this.#obstacle);
        await delay(wait, undefined, { ref: false });
      }
    }
    this.#dispatch({ type: 'discarded' });
  }
}
