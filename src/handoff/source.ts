/**
 * The source's half of a handoff at work: carries out the effects of `source-machine.ts`. What happens in the
 * pause is in `SourceAttempt.switchOver`; README.md goes through it millisecond by millisecond.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { SojournError } from '../common/index.ts';
import { type HandoffKey, SEAL_VALID_MS } from './messages.ts';
import type { QmpPort, SessionPort } from './ports.ts';
import { type HandoffPhase, PhaseTimes } from './progress.ts';
import { errorOf, reasonOf } from './reason.ts';
import type { SourceRecord, SourceRecordType } from './records.ts';
import { recoverSource } from './recovery.ts';
import { ABORT_TIMEOUT_MS, call, tellAborted } from './rpc.ts';
import { SourceAttempt } from './source-attempt.ts';
import {
  initialSource,
  isAttempt,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
  type SourceStep,
  stepSource,
} from './source-machine.ts';
import type { HandoffResult, SourceOptions } from './source-options.ts';
import { findQemu, removeMirrors, runGuestHere } from './source-qemu.ts';

/** The seal is one message and one record; an answer that takes longer leaves us in doubt, ms. */
export const SEAL_TIMEOUT_MS = 3_000;
/** In doubt it is asked, and a record that has to be written is tried, again this often, ms, doubling up to the maximum. */
export const ASK_AGAIN_MS = 250;
export const ASK_AGAIN_MAX_MS = 5_000;
/** Clocks of two hosts run differently by much less than this over the time that a seal counts, ms. */
const CLOCK_TOLERANCE_MS = 50;

const NO_ANSWER = 'The guest’s QEMU does not answer. The guest goes on as soon as it does.';

const pauseBefore = (again: number) => Math.min(ASK_AGAIN_MS * 2 ** again, ASK_AGAIN_MAX_MS);

/** Hands the guest over. Resolves when it is settled where the guest is; rejects only for a defect. */
export function runSource(options: SourceOptions): Promise<HandoffResult> {
  return new SourceHandoff(options).run(initialSource);
}

/**
 * Goes on with a handoff that a restart interrupted, from its records and the state of the guest's QEMU. Only for the
 * last handoff of a guest, however long ago it ended: an older one would end the copy of a guest that has come back since.
 * undefined: nothing was left to do.
 */
export async function recoverSourceHandoff(
  options: SourceOptions,
): Promise<HandoffResult | undefined> {
  const records = await options.journal.recordsOf(options.handoffId);
  const found = await findQemu(options.guest?.qmp);
  const types = records.map(({ type }) => type) as SourceRecordType[];
  const step = recoverSource(types, found);
  return step === undefined ? undefined : new SourceHandoff(options).run(step);
}

const phaseOf: Partial<Record<SourceState['kind'], HandoffPhase>> = {
  preflight: 'preflight',
  preparing: 'prepare',
  disks: 'disk',
  memory: 'memory',
  armed: 'armed',
  triggered: 'memory',
  switching: 'switchover',
  sealing: 'seal',
  sealed: 'seal',
  releasing: 'release',
  aborting: 'abort',
  reclaiming: 'reclaim',
};

class SourceHandoff {
  readonly #options: SourceOptions;
  readonly #key: HandoffKey;
  readonly #phases = new PhaseTimes();
  readonly #attempt: SourceAttempt;
  readonly #result = Promise.withResolvers<HandoffResult>();
  /** Ends waiting in doubt, when the machine has moved on. */
  readonly #ended = new AbortController();
  #state: SourceState = initialSource.state;
  #attempting: Promise<unknown> = Promise.resolve();
  #journaling: Promise<void> = Promise.resolve();
  #asked = 0;
  #appendedAgain = 0;
  #decision: 'keep-here' | 'give-up-here' | undefined;
  /** On the steady clock: after it no seal of ours counts at the destination. */
  #sealOver = Number.POSITIVE_INFINITY;
  #deciding: NodeJS.Timeout | undefined;

  constructor(options: SourceOptions) {
    this.#options = options;
    const { handoffId, spec, epoch } = options;
    this.#key = { handoffId, guestId: spec.id, epoch: epoch + 1 };
    this.#attempt = new SourceAttempt(options, this.#key, (event) => this.#dispatch(event));
  }

  run(step: SourceStep): Promise<HandoffResult> {
    const { signal, guest } = this.#options;
    const cancel = () =>
      this.#dispatch({
        type: 'abandon',
        reason: { code: 'handoff-cancelled', message: 'The handoff was cancelled' },
      });
    signal?.addEventListener('abort', cancel, { once: true });
    guest?.qmp.closed.then(() => this.#dispatch({ type: 'guest-gone' }));
    void this.#options.decision?.then((decision) => {
      this.#decision = decision;
      this.#decide();
    });
    // A recovery: an agent before this one may have sealed just now.
    this.#sealsCount();
    this.#enter(step);
    if (signal?.aborted === true) cancel();
    return this.#result.promise.finally(() => signal?.removeEventListener('abort', cancel));
  }

  #dispatch(event: SourceEvent): void {
    this.#enter(stepSource(this.#state, event));
  }

  #enter({ state, effects }: SourceStep): void {
    const before = this.#state;
    this.#state = state;
    const { now, log } = this.#options;
    const inDoubt = state.kind === 'sealed' && state.inDoubt;
    const phase = inDoubt ? 'in-doubt' : phaseOf[state.kind];
    if (phase !== undefined) {
      this.#phases.enter(phase, now());
      this.#attempt.report({ phase });
    }
    if (before.kind !== state.kind) {
      log.info({ ...this.#key, from: before.kind, to: state.kind }, 'handoff, source');
    }
    const started = effects.map((effect) => this.#carryOut(effect));
    const isEnd = (kind: SourceState['kind']) => kind === 'handed-over' || kind === 'stayed';
    if (inDoubt) queueMicrotask(() => this.#decide());
    if (!isEnd(state.kind) || isEnd(before.kind)) return;
    this.#ended.abort();
    Promise.all(started).then(() => this.#finish(), this.#result.reject);
  }

  /**
   * A decision counts from when the handoff is in doubt on. To keep the guest also waits until no seal that is still under
   * way can count, and none is sent meanwhile.
   */
  #decide(): void {
    const decision = this.#decision;
    if (decision === undefined || this.#state.kind !== 'sealed' || !this.#state.inDoubt) return;
    const wait = decision === 'keep-here' ? this.#sealOver - performance.now() : 0;
    clearTimeout(this.#deciding);
    if (wait > 0) this.#deciding = setTimeout(() => this.#decide(), wait);
    else this.#dispatch({ type: 'decided', decision });
  }

  /** The destination counts from a moment that is past now. */
  #sealsCount(): void {
    this.#sealOver = performance.now() + SEAL_VALID_MS + CLOCK_TOLERANCE_MS;
  }

  async #finish(): Promise<void> {
    const state = this.#state;
    await this.#attempt.close();
    this.#phases.end(this.#options.now());
    const stayed = state.kind === 'stayed' ? state : undefined;
    const { epoch, handoffId } = this.#options;
    this.#result.resolve({
      handoffId,
      outcome: stayed === undefined ? 'handed-over' : 'stayed',
      reason: stayed?.reason,
      guest: stayed?.guest ?? 'elsewhere',
      epoch: stayed === undefined ? epoch + 1 : stayed.reclaimed ? epoch + 2 : epoch,
      phases: this.#phases.all,
      times: this.#attempt.times,
      bytesOnLink: this.#attempt.bytesOnLink,
      bytesAfterTrigger: this.#attempt.bytesAfterTrigger,
      bytesAfterRelease: this.#attempt.bytesAfterRelease,
    });
  }

  /** Never rejects: what goes wrong becomes an event of the machine. */
  async #carryOut(effect: SourceEffect): Promise<void> {
    if (isAttempt(effect)) {
      this.#attempting = this.#attempt.carryOut(effect).catch((error: unknown) => {
        this.#dispatch({ type: 'failed', reason: reasonOf(error) });
      });
      return this.#attempting as Promise<void>;
    }
    switch (effect.type) {
      case 'append':
        return this.#append(effect.record);
      case 'append-again':
        await delay(pauseBefore(this.#appendedAgain));
        this.#appendedAgain += 1;
        return this.#append(effect.record);
      case 'seal':
        return this.#seal();
      case 'ask-again':
        return this.#askAgain();
      case 'resume':
        return this.#resume();
      case 'notify-abort':
        return this.#notifyAbort();
      case 'take-back': {
        const { spec, datapath, epoch } = this.#options;
        return this.#bestEffort('taking back the mapping', () =>
          datapath.reclaim({ guestId: spec.id, epoch: epoch + 2 }),
        );
      }
      case 'destroy-copy':
        return this.#bestEffort('ending the copy', async () => this.#options.guest?.destroyCopy());
      default:
        throw new Error(`not an effect of the source: ${effect.type}`);
    }
  }

  /** Appends are made one after the other, in the order of the machine. */
  #append(type: SourceRecordType): Promise<void> {
    const { handoffId, spec, peer, now, epoch, journal } = this.#options;
    const epochs: Partial<Record<SourceRecordType, number>> = {
      'handoff-started': epoch,
      'handoff-aborted': epoch,
      'handoff-reclaimed': epoch + 2,
    };
    const record: SourceRecord = {
      type,
      handoffId,
      guestId: spec.id,
      epoch: epochs[type] ?? epoch + 1,
      peer,
      at: now(),
    };
    this.#journaling = this.#journaling.then(async () => {
      try {
        await journal.append(record);
        if (type === 'handoff-sealed') this.#attempt.times.sealedAt = now();
        this.#dispatch({ type: 'durable', record: type });
      } catch (error) {
        this.#options.log.warn({ err: error, record }, 'an ownership record could not be written');
        this.#dispatch({ type: 'not-durable', record: type, reason: reasonOf(error) });
      }
    });
    return this.#journaling;
  }

  async #seal(): Promise<void> {
    this.#sealsCount();
    const { datapath, spec, peer } = this.#options;
    const session = this.#attempt.session;
    if (session === undefined) return this.#askAgain();
    // The mapping follows the seal without waiting for its answer: packets are on their way meanwhile.
    const committed = this.#bestEffort('committing the mapping', () =>
      datapath.commitSwitchover({ guestId: spec.id, epoch: this.#key.epoch, to: peer }),
    );
    await Promise.all([this.#sendSeal(session), committed]);
  }

  async #sendSeal(session: SessionPort, confirmation: string | null = null): Promise<void> {
    // Kept here as soon as the seals that were sent are void.
    if (this.#decision === 'keep-here') return;
    try {
      const answer = await call(
        session,
        'handoff.seal',
        { ...this.#key, confirmation },
        { timeoutMs: SEAL_TIMEOUT_MS },
      );
      if (answer.outcome === 'late') {
        this.#sealsCount();
        return await this.#sendSeal(session, answer.confirmation);
      }
      this.#attempt.times.runningAt ??= answer.runningAt ?? undefined;
      this.#attempt.times.answeredAt = this.#options.now();
      if (answer.outcome === 'claimed') this.#dispatch({ type: 'claimed' });
      else {
        const message = answer.reason ?? 'the other place refused the guest';
        this.#dispatch({ type: 'refused', reason: { code: 'handoff-refused', message } });
      }
    } catch (error) {
      this.#options.log.warn({ ...this.#key, err: error }, 'the seal was not answered: in doubt');
      this.#dispatch({ type: 'unanswered' });
    }
  }

  async #askAgain(): Promise<void> {
    const wait = pauseBefore(this.#asked);
    this.#asked += 1;
    try {
      await delay(wait, undefined, { signal: this.#ended.signal });
      const session = await this.#options.connect(this.#ended.signal);
      await this.#sendSeal(session);
    } catch (error) {
      this.#options.log.warn({ ...this.#key, err: error }, 'in doubt, and the other place is away');
      this.#dispatch({ type: 'unanswered' });
    }
  }

  async #resume(): Promise<void> {
    const { guest, datapath, spec, log } = this.#options;
    const state = this.#state;
    const reason = state.kind === 'aborting' ? state.reason : undefined;
    await this.#attempt.stop(errorOf(reason ?? { code: 'handoff-ended', message: 'It ended' }));
    await this.#attempting;
    const running = guest !== undefined && (await this.#runHere(guest.qmp));
    // Of a guest that is gone, too: the datapath changes no mapping while it holds packets.
    await this.#bestEffort('delivering held packets', () =>
      datapath.abortSwitchover({ guestId: spec.id }),
    );
    if (!running) {
      this.#dispatch({ type: 'guest-gone' });
      return;
    }
    await this.#bestEffort('removing the mirrors', () => removeMirrors(guest.qmp, log));
    this.#dispatch({ type: 'resumed' });
  }

  /** Until it runs, or its QEMU is gone: one that does not answer may be stopped or starved, and goes on some time. */
  async #runHere(qmp: QmpPort): Promise<boolean> {
    for (let again = 0; !qmp.isClosed; again += 1) {
      try {
        await runGuestHere(qmp, this.#options.log);
        return true;
      } catch (error) {
        const { log } = this.#options;
        log.warn({ ...this.#key, err: error }, 'the guest could not be continued yet');
        this.#attempt.report({ notice: NO_ANSWER });
        await Promise.race([delay(pauseBefore(again)), qmp.closed]);
      }
    }
    return false;
  }

  async #notifyAbort(): Promise<void> {
    const { session } = this.#attempt;
    await this.#bestEffort('telling the other place', async () => {
      const reachable =
        session ?? (await this.#options.connect(AbortSignal.timeout(ABORT_TIMEOUT_MS)));
      await tellAborted(reachable, this.#key);
    });
  }

  /** For what must not change the outcome; the log keeps what went wrong. */
  async #bestEffort(what: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const text = error instanceof SojournError ? error.line : String(error);
      this.#options.log.warn({ ...this.#key, err: error }, `${what} failed: ${text}`);
    }
  }
}
