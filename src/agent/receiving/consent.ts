/**
 * Asks the person at this place whether a guest of another may come. No answer in time is a no; each question is asked once, however
 * often the other place tries, and a place can have only a few open.
 */
import type { PlaceRef } from '../../api/index.ts';
import { SojournError } from '../../common/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import type { ReceiveMode } from './rights.ts';

/** Questions open at a time, and of one place. */
export const MAX_QUESTIONS = 8;
export const MAX_QUESTIONS_OF_ONE = 2;
/**
 * Who was refused need not ask again within this time, ms. A standby, which tries by itself, waits longer, and also after a
 * question that nobody answered.
 */
export const QUIET_MS = 15_000;
export const QUIET_STANDBY_MS = 10 * 60_000;
/** A guest that was let in may try again for so long without another question, ms: its network may have failed. */
export const WELCOME_MS = 15 * 60_000;
/** Answers remembered, of both kinds. */
const MAX_REMEMBERED = 256;

export interface IncomingRequest {
  readonly handoffId: string;
  readonly spec: GuestSpec;
  /** Place id. */
  readonly from: string;
  /** It may stand by for long before it comes, or never come. */
  readonly standby?: boolean;
}

export interface Question extends IncomingRequest {
  readonly since: Date;
  readonly expiresAt: Date;
}

export type Answer = 'once' | 'always' | 'refuse';

interface Pending extends Question {
  readonly settle: (why: Answer | 'timed-out' | 'withdrawn' | 'receiving-off') => void;
}

export interface ConsentOptions {
  readonly here: () => string;
  readonly place: (id: string) => PlaceRef;
  readonly mode: (place: string) => ReceiveMode;
  /** The person wants to be asked no more about this place. */
  readonly setAlways: (place: string) => void;
  readonly changed: () => void;
  /** Steady clock, ms. */
  readonly now?: () => number;
  /** A question is open for so long, ms. */
  readonly answerMs: number;
}

export class Consent {
  readonly #options: ConsentOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #welcome = new Map<string, number>();
  readonly #refused = new Map<string, { until: number; why: 'refused' | 'timed-out' }>();

  constructor(options: ConsentOptions) {
    this.#options = options;
  }

  /** Oldest first. */
  get questions(): readonly Question[] {
    return [...this.#pending.values()];
  }

  /** Why nobody is even asked; undefined if somebody is, or need not be. */
  problem(from: string): SojournError | undefined {
    return this.#options.mode(from) === 'off' ? this.#off(from) : undefined;
  }

  /**
   * Resolves when the guest may come. `signal`: the other place has lost interest.
   *
   * @throws SojournError `receiving-off`, `incoming-refused`, `incoming-timed-out`, `incoming-withdrawn`, `too-many-questions`
   */
  async obtain(request: IncomingRequest, signal: AbortSignal): Promise<void> {
    const { from, spec, standby = false } = request;
    const key = keyOf(request);
    const mode = this.#options.mode(from);
    if (mode === 'off') throw this.#off(from);
    if (mode === 'always') return;
    const now = this.#now();
    if ((this.#welcome.get(key) ?? 0) > now) {
      this.welcome(request);
      return;
    }
    const refusal = this.#refused.get(key);
    if (refusal !== undefined && refusal.until > now) throw this.#no(spec, refusal.why);
    const open = [...this.#pending.values()];
    const many = open.filter((question) => question.from === from).length >= MAX_QUESTIONS_OF_ONE;
    if (many || open.length >= MAX_QUESTIONS) throw tooMany(this.#options.here());
    const why = await this.#ask(request, signal);
    if (why === 'receiving-off') throw this.#off(from);
    if (why === 'withdrawn') throw withdrawn(spec);
    if (why === 'refuse' || why === 'timed-out') {
      const quietMs = standby ? QUIET_STANDBY_MS : why === 'refuse' ? QUIET_MS : 0;
      const until = this.#now() + quietMs;
      remember(this.#refused, key, { until, why: why === 'refuse' ? 'refused' : why });
      throw this.#no(spec, why === 'refuse' ? 'refused' : why);
    }
    this.#refused.delete(key);
    if (why === 'always') this.#options.setAlways(from);
    else this.welcome(request);
  }

  /** The person has let this guest in: it may try again for a while. */
  welcome(request: Pick<IncomingRequest, 'from' | 'spec'>): void {
    remember(this.#welcome, keyOf(request), this.#now() + WELCOME_MS);
  }

  /** It has come: the next time is another question. */
  arrived(request: Pick<IncomingRequest, 'from' | 'spec'>): void {
    this.#welcome.delete(keyOf(request));
  }

  isWelcome(request: Pick<IncomingRequest, 'from' | 'spec'>): boolean {
    return (this.#welcome.get(keyOf(request)) ?? 0) > this.#now();
  }

  /** @throws SojournError `incoming-unknown` */
  answer(handoffId: string, answer: Answer): Question {
    const question = this.#pending.get(handoffId);
    if (question === undefined) throw unknown();
    question.settle(answer);
    return question;
  }

  /** The mode of a place has changed, or the place is gone: questions that answers itself now are not open any more. */
  reconsider(): void {
    for (const question of [...this.#pending.values()]) {
      const mode = this.#options.mode(question.from);
      if (mode === 'off') question.settle('receiving-off');
      if (mode === 'always') question.settle('once');
    }
  }

  /** Nothing that was said about the place counts any more. */
  forget(place: string): void {
    for (const question of [...this.#pending.values()])
      if (question.from === place) question.settle('receiving-off');
    for (const answers of [this.#welcome, this.#refused])
      for (const key of answers.keys()) if (key.startsWith(`${place} `)) answers.delete(key);
  }

  close(): void {
    for (const question of [...this.#pending.values()]) question.settle('withdrawn');
  }

  async #ask(
    request: IncomingRequest,
    signal: AbortSignal,
  ): Promise<Answer | 'timed-out' | 'withdrawn' | 'receiving-off'> {
    const { changed, answerMs } = this.#options;
    const { handoffId, spec, from, standby } = request;
    const settled = Promise.withResolvers<Parameters<Pending['settle']>[0]>();
    const since = new Date();
    const question: Pending = {
      ...{ handoffId, spec, from, standby, since, settle: settled.resolve },
      expiresAt: new Date(since.getTime() + answerMs),
    };
    const timer = setTimeout(() => settled.resolve('timed-out'), answerMs);
    const gone = () => settled.resolve('withdrawn');
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) gone();
    this.#pending.set(handoffId, question);
    changed();
    try {
      return await settled.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
      this.#pending.delete(handoffId);
      changed();
    }
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }

  #off(from: string): SojournError {
    const here = this.#options.here();
    return new SojournError({
      kind: 'refused',
      code: 'receiving-off',
      message: `${here} does not receive guests of ${this.#options.place(from).name}`,
      remedy: `Run "sojourn receive ask" at ${here}, or turn receiving on there in the window`,
    });
  }

  #no({ name }: GuestSpec, why: 'refused' | 'timed-out'): SojournError {
    const here = this.#options.here();
    if (why === 'refused')
      return new SojournError({
        kind: 'refused',
        code: 'incoming-refused',
        message: `The person at ${here} did not let ${name} in`,
        remedy: `Ask the person at ${here}, and try again`,
      });
    return new SojournError({
      kind: 'refused',
      code: 'incoming-timed-out',
      message: `Nobody at ${here} answered in time whether ${name} may come`,
      remedy: `Try again when somebody is at ${here}, or run "sojourn receive always" there`,
    });
  }
}

function keyOf({ from, spec }: Pick<IncomingRequest, 'from' | 'spec'>): string {
  return `${from} ${spec.id}`;
}

/** The oldest gives way. */
function remember<Value>(answers: Map<string, Value>, key: string, value: Value): void {
  answers.delete(key);
  answers.set(key, value);
  const [oldest] = answers.keys();
  if (answers.size > MAX_REMEMBERED && oldest !== undefined) answers.delete(oldest);
}

function tooMany(here: string): SojournError {
  return new SojournError({
    kind: 'conflict',
    code: 'too-many-questions',
    message: `The person at ${here} is asked about too many guests already`,
    remedy: 'Try again when those are answered',
  });
}

function withdrawn({ name }: GuestSpec): SojournError {
  return new SojournError({
    kind: 'cancelled',
    code: 'incoming-withdrawn',
    message: `The other place has ended the handoff of ${name}`,
  });
}

function unknown(): SojournError {
  return new SojournError({
    kind: 'not-found',
    code: 'incoming-unknown',
    message: 'Nothing of that name asks to come in, or it does no more',
    remedy: 'See "sojourn incoming" for what does',
  });
}
