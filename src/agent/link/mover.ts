/** Carries out handoffs that were decided: one at a time, with growing pauses after failures, each cause told once. */
import type { Logger } from 'pino';
import type { Notice } from '../../api/index.ts';
import { asClause, asSojournError, errorText } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';

const RETRY_MS = 3_000;
const RETRY_MAX_MS = 5 * 60_000;
/** A handoff that has not ended by then hinders more than it helps, ms. */
const PATIENCE_MS = 120_000;

export interface Move {
  readonly spec: GuestSpec;
  readonly action: 'fire' | 'return';
  readonly startedMs: number;
  /** Nobody waits for a short pause any more. */
  urgent: boolean;
}

interface Failures {
  readonly name: string;
  readonly count: number;
  readonly code: string;
  readonly reason: string;
  readonly remedy: string | undefined;
  readonly since: string;
  readonly notBeforeMs: number;
}

export class Mover {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #settled: (move: Move, error: unknown) => void;
  readonly #failures = new Map<string, Failures>();
  #move: Move | undefined;
  #cancel = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #closed = false;

  /** `settled`: the move has ended; with why, when it failed. */
  constructor(
    log: Logger,
    now: () => number,
    settled: (move: Move, error: unknown) => void = () => undefined,
  ) {
    this.#log = log;
    this.#now = now;
    this.#settled = settled;
  }

  /** What is under way by itself. */
  get move(): Move | undefined {
    return this.#move;
  }

  /** Guests whose last automatic handoff failed, and why. */
  notices(): Notice[] {
    return [...this.#failures.values()].map(({ name, reason, remedy, since }) => ({
      code: 'automatic-handoff-failed',
      severity: 'warning',
      text: `${name} could not be moved by itself: ${reason}`,
      ...(remedy === undefined ? {} : { remedy }),
      since,
      showAfterMs: 0,
    }));
  }

  /** The guest is gone. */
  forget(guestId: string): void {
    this.#failures.delete(guestId);
  }

  /** Whether a move may begin now. */
  isFree(guestId: string): boolean {
    const failures = this.#failures.get(guestId);
    const rested = failures === undefined || this.#now() >= failures.notBeforeMs;
    return this.#move === undefined && !this.#closed && rested;
  }

  begin(
    spec: GuestSpec,
    action: Move['action'],
    urgent: boolean,
    run: (signal: AbortSignal) => Promise<unknown>,
  ): void {
    const move: Move = { spec, action, startedMs: this.#now(), urgent };
    this.#move = move;
    this.#cancel = new AbortController();
    const signal = AbortSignal.any([this.#cancel.signal, AbortSignal.timeout(PATIENCE_MS)]);
    this.#done = this.#run(move, () => run(signal));
  }

  /** Ends the move under way, as far as that may still be. */
  cancel(): void {
    this.#cancel.abort();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.cancel();
    await this.#done;
  }

  /** Never rejects. */
  async #run(move: Move, run: () => Promise<unknown>): Promise<void> {
    const { spec, action } = move;
    let problem: unknown;
    try {
      await run();
      this.#failures.delete(spec.id);
      this.#log.info({ guest: spec.name, action }, 'done by itself');
    } catch (error) {
      problem = error;
      this.#failed(move, error);
    } finally {
      this.#move = undefined;
    }
    this.#settled(move, problem);
  }

  #failed({ spec, action }: Move, error: unknown): void {
    const { code, message, remedy } = asSojournError(error);
    const before = this.#failures.get(spec.id);
    const count = (before?.count ?? 0) + 1;
    const pauseMs = Math.min(RETRY_MS * 2 ** (count - 1), RETRY_MAX_MS);
    const since = before?.code === code ? before.since : new Date().toISOString();
    const told = { name: spec.name, code, reason: asClause(message), remedy, since };
    this.#failures.set(spec.id, { ...told, count, notBeforeMs: this.#now() + pauseMs });
    if (before?.code !== code)
      this.#log.warn(
        { guest: spec.name, action, code, reason: errorText(error) },
        'automatic handoff failed',
      );
  }
}
