/** One guest in the eyes of the policy: what was decided, and what a person did. */
import type { DecisionView } from '../../api/index.ts';
import type { GuestSpec } from '../../guest/spec.ts';
import {
  type Decision,
  decide,
  initialState,
  type PolicyInput,
  type PolicyState,
  type Rules,
  systemClocks,
} from '../../link/index.ts';
import type { KeptHold } from '../state/policy-store.ts';
import { type Circumstances, goOn, type Hold, judgedFrom } from './hold.ts';
import type { WatchedGuest } from './watch.ts';

/** What a person did that stands. */
export type ByHand = KeptHold['because'];

export class Watched {
  tightUntilMs = Number.NEGATIVE_INFINITY;
  readonly #guest: DecisionView['guest'];
  #state: PolicyState = initialState;
  #view: DecisionView | undefined;
  #hold: (Hold & { readonly because: ByHand }) | undefined;
  #at: 'here' | 'away' | undefined;
  #armed = false;

  /** `kept`: by an agent that ran before. */
  constructor({ id, name }: GuestSpec, kept: KeptHold | undefined, atMs: number) {
    this.#guest = { id, name };
    if (kept !== undefined)
      this.#hold = { ...kept, otherSinceMs: undefined, judgedFromMs: judgedFrom(atMs) };
  }

  /** To be kept for the next agent. Of the same hold, `begun` is the same object. */
  get hold(): KeptHold | undefined {
    const hold = this.#hold;
    return hold && { begun: hold.begun, because: hold.because };
  }

  /** What was decided last. */
  get view(): DecisionView {
    const nothing = { action: 'none', code: 'new', why: 'Nothing was decided yet' } as const;
    return this.#view ?? { at: new Date().toISOString(), guest: this.#guest, ...nothing };
  }

  /** It has moved, and that was no person's doing. */
  movedByUs(at: 'here' | 'away'): void {
    this.#at = at;
  }

  /** What changed about the guest and is not our `own` doing was a person's. Returns what that was. */
  notice(guest: WatchedGuest, now: Circumstances, atMs: number, own: boolean): ByHand | undefined {
    const hold = this.#hold;
    const left = hold && goOn(hold, now, atMs);
    this.#hold = left && { ...left, because: hold.because };
    const armed = guest.standby !== null;
    const wasArmed = this.#armed;
    this.#armed = armed;
    if (guest.at === 'moving') return undefined;
    const before = this.#at;
    this.#at = guest.at;
    if (armed && this.#hold?.because === 'disarmed') this.#hold = undefined;
    if (own || before === undefined) return undefined;
    const disarmed = guest.at === 'here' && wasArmed && !armed;
    const because = before !== guest.at ? 'moved' : disarmed ? 'disarmed' : undefined;
    if (because !== undefined) this.#hold = { begun: now, otherSinceMs: undefined, because };
    return because;
  }

  /** `isNew`: another decision than the last. */
  decide(
    input: Omit<PolicyInput, 'wallMs' | 'minuteOfWeek' | 'wish'>,
    rules: Rules,
  ): { readonly decision: Decision; readonly isNew: boolean } {
    const { wallMs, minuteOfWeek } = systemClocks();
    const wish = this.#hold === undefined ? undefined : ('stay' as const);
    const { state, decision } = decide(
      this.#state,
      { ...input, wish, wallMs, minuteOfWeek },
      rules,
    );
    this.#state = state;
    const { action, code, why } = decision;
    const isNew = this.#view?.action !== action || this.#view.code !== code;
    this.#view = { at: new Date().toISOString(), guest: this.#guest, action, code, why };
    return { decision, isNew };
  }
}
