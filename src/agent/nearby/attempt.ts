/** One attempt to pair with a device nearby, from the choice or the knock until people have seen how it ended. */
import { randomUUID } from 'node:crypto';
import type { NearbyView, PlaceRef } from '../../api/index.ts';
import type { SojournError } from '../../common/index.ts';
import type { ComparisonState, Encounter } from '../../transport/index.ts';
import { failureOf } from './failures.ts';

type AttemptView = NonNullable<NearbyView['attempt']>;

export class Attempt {
  readonly id = randomUUID();
  readonly direction: 'here' | 'there';
  /** Place id: announced, and proven before anything is compared. */
  readonly peer: string;
  /** Ends the dialling. */
  readonly stop = new AbortController();
  #name: string;
  #encounter: Encounter | undefined;
  #paired: PlaceRef | undefined;
  #error: SojournError | undefined;

  constructor(direction: 'here' | 'there', peer: string, name: string) {
    this.direction = direction;
    this.peer = peer;
    this.#name = name;
  }

  get name(): string {
    return this.#name;
  }

  get encounter(): Encounter | undefined {
    return this.#encounter;
  }

  set encounter(encounter: Encounter) {
    this.#encounter = encounter;
  }

  /** Codes are on the screens, or were. */
  get isShown(): boolean {
    const kind = this.#encounter?.state.kind;
    return kind === 'comparing' || kind === 'concluding';
  }

  get isOver(): boolean {
    if (this.#error !== undefined || this.#paired !== undefined) return true;
    return this.#encounter?.state.kind === 'failed';
  }

  /** What the other device calls itself, which it has said by now. */
  met(state: ComparisonState): void {
    if ('place' in state) this.#name = state.place.name;
  }

  pairedAs(place: PlaceRef): void {
    this.#paired = place;
  }

  failed(error: SojournError): void {
    this.#error = error;
  }

  cancel(): void {
    this.stop.abort();
    this.#encounter?.cancel();
  }

  view(): AttemptView {
    const { id, direction, peer } = this;
    const state = this.#stateView();
    const counts = state.kind === 'comparing' || state.kind === 'concluding';
    const msLeft = counts ? (this.#encounter?.msLeft ?? null) : null;
    return { id, direction, peer: { id: peer, name: this.#name }, msLeft, state };
  }

  #stateView(): AttemptView['state'] {
    if (this.#error !== undefined) {
      const { code, message, remedy = '' } = this.#error;
      return { kind: 'failed', code, text: message, remedy };
    }
    if (this.#paired !== undefined) return { kind: 'paired', place: this.#paired };
    const state = this.#encounter?.state;
    switch (state?.kind) {
      case 'comparing': {
        const { code, here, there } = state;
        return { kind: 'comparing', code, here, there };
      }
      case 'concluding':
      case 'paired':
        return { kind: 'concluding' };
      case 'failed':
        return { kind: 'failed', ...failureOf(state.reason, this.#name) };
      default:
        return { kind: 'connecting' };
    }
  }
}
