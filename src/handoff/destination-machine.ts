/**
 * The destination's half of a handoff, as a pure function.
 *
 *   preparing ─► receiving ─► loaded ──seal──► claiming ═► activating ─► running
 *       │            │           │                 │            │ provably never ran
 *       └────────────┴───────────┴──── refusing ◄──┴────────────┘
 *                                         └─► discarding ─► refused
 *
 * The double line is the claim: `incoming-claimed` is durable before `cont`. A refusal is durable before it is
 * told, and for ever: a seal of this handoff that comes later is refused too. Up to the claim this side may refuse at any time,
 * because the source's copy is whole. After it only what is known never to have run may still be refused, and it is kept
 * until the refusal is on record: with a claim alone on record, a restart would tell the source to end its copy.
 *
 * `abandon` is legal in every live state; from `claiming` on it changes nothing.
 */
import type { DestinationRecordType } from './records.ts';
import type { Reason } from './source-machine.ts';

export type DestinationState =
  | { readonly kind: 'preparing' }
  | { readonly kind: 'receiving' }
  | { readonly kind: 'loaded' }
  | { readonly kind: 'claiming' }
  | { readonly kind: 'activating' }
  | {
      readonly kind: 'refusing';
      readonly reason: Reason;
      /** A claim is on record, or may be: a journal that could not write it may not know. */
      readonly claimed: boolean;
      readonly discarded: boolean;
    }
  | { readonly kind: 'discarding'; readonly reason: Reason }
  | { readonly kind: 'running' }
  /** The claim stands and the guest's QEMU is gone: it is ours, to be started from its disks. */
  | { readonly kind: 'lost'; readonly reason: Reason }
  | { readonly kind: 'refused'; readonly reason: Reason };

export type DestinationEvent =
  | { readonly type: 'prepared' }
  | { readonly type: 'loaded' }
  | { readonly type: 'seal' }
  | { readonly type: 'durable'; readonly record: DestinationRecordType }
  | {
      readonly type: 'not-durable';
      readonly record: DestinationRecordType;
      readonly reason: Reason;
    }
  | { readonly type: 'activated' }
  /** `ran`: the guest executed at least one instruction here, or nobody knows that it did not. */
  | { readonly type: 'not-activated'; readonly ran: boolean; readonly reason: Reason }
  | { readonly type: 'failed'; readonly reason: Reason }
  | { readonly type: 'abandon'; readonly reason: Reason }
  | { readonly type: 'discarded' };

export type DestinationEffect =
  | { readonly type: 'prepare' }
  | { readonly type: 'append'; readonly record: DestinationRecordType }
  | { readonly type: 'answer-prepared' }
  | { readonly type: 'answer-loaded' }
  | { readonly type: 'activate' }
  | { readonly type: 'answer-claimed' }
  | { readonly type: 'tell-lost'; readonly reason: Reason }
  | { readonly type: 'answer-refused'; readonly reason: Reason }
  /** An error: the source stays in doubt and asks again. */
  | { readonly type: 'answer-unsettled'; readonly reason: Reason }
  | { readonly type: 'discard' };

export interface DestinationStep {
  readonly state: DestinationState;
  readonly effects: readonly DestinationEffect[];
}

export const initialDestination: DestinationStep = {
  state: { kind: 'preparing' },
  effects: [{ type: 'append', record: 'incoming-started' }],
};

const stay = (state: DestinationState): DestinationStep => ({ state, effects: [] });

export function stepDestination(state: DestinationState, event: DestinationEvent): DestinationStep {
  switch (state.kind) {
    case 'preparing':
      // On record first: a refusal without it means that nothing was ever started here.
      if (event.type === 'durable' && event.record === 'incoming-started') {
        return { state, effects: [{ type: 'prepare' }] };
      }
      if (event.type === 'prepared') {
        return { state: { kind: 'receiving' }, effects: [{ type: 'answer-prepared' }] };
      }
      return beforeClaim(state, event);
    case 'receiving':
      if (event.type === 'loaded') {
        return { state: { kind: 'loaded' }, effects: [{ type: 'answer-loaded' }] };
      }
      return beforeClaim(state, event);
    case 'loaded':
      if (event.type === 'seal') {
        return {
          state: { kind: 'claiming' },
          effects: [{ type: 'append', record: 'incoming-claimed' }],
        };
      }
      return beforeClaim(state, event);
    case 'claiming':
      return claiming(state, event);
    case 'activating':
      return activating(state, event);
    case 'refusing':
      return refusing(state, event);
    case 'discarding':
      if (event.type === 'discarded') {
        return {
          state: { kind: 'refused', reason: state.reason },
          effects: [{ type: 'answer-refused', reason: state.reason }],
        };
      }
      return stay(state);
    case 'running':
    case 'lost':
      return event.type === 'seal' ? { state, effects: [{ type: 'answer-claimed' }] } : stay(state);
    case 'refused':
      return event.type === 'seal'
        ? { state, effects: [{ type: 'answer-refused', reason: state.reason }] }
        : stay(state);
  }
}

function beforeClaim(state: DestinationState, event: DestinationEvent): DestinationStep {
  switch (event.type) {
    case 'failed':
    case 'abandon':
    case 'not-durable':
      return refuse(event.reason, false);
    case 'seal': {
      const message = 'The seal came before the guest was complete';
      return refuse({ code: 'not-loaded', message }, false);
    }
    default:
      return stay(state);
  }
}

function refuse(reason: Reason, claimed: boolean): DestinationStep {
  return {
    state: { kind: 'refusing', reason, claimed, discarded: false },
    effects: [{ type: 'append', record: 'incoming-refused' }],
  };
}

function claiming(state: DestinationState, event: DestinationEvent): DestinationStep {
  if (event.type === 'durable' && event.record === 'incoming-claimed') {
    return { state: { kind: 'activating' }, effects: [{ type: 'activate' }] };
  }
  if (event.type === 'not-durable' && event.record === 'incoming-claimed') {
    return refuse(event.reason, true);
  }
  return stay(state);
}

function activating(state: DestinationState, event: DestinationEvent): DestinationStep {
  if (event.type === 'activated') {
    return { state: { kind: 'running' }, effects: [{ type: 'answer-claimed' }] };
  }
  if (event.type === 'not-activated') {
    const { ran, reason } = event;
    if (!ran) return refuse(reason, true);
    return {
      state: { kind: 'lost', reason },
      effects: [{ type: 'answer-claimed' }, { type: 'tell-lost', reason }],
    };
  }
  return stay(state);
}

function refusing(
  state: DestinationState & { kind: 'refusing' },
  event: DestinationEvent,
): DestinationStep {
  const { reason, claimed, discarded } = state;
  const append = { type: 'append', record: 'incoming-refused' } as const;
  switch (event.type) {
    case 'discarded':
      return { state: { ...state, discarded: true }, effects: [append] };
    case 'durable':
      if (event.record !== 'incoming-refused') return stay(state);
      return { state: { kind: 'discarding', reason }, effects: [{ type: 'discard' }] };
    case 'not-durable': {
      if (event.record !== 'incoming-refused') return stay(state);
      // Not on record, not told: the source stays in doubt and asks again, which tries to write it again.
      const unsettled = { type: 'answer-unsettled', reason: event.reason } as const;
      const keep = claimed || discarded;
      return { state, effects: keep ? [unsettled] : [unsettled, { type: 'discard' }] };
    }
    case 'seal':
    case 'abandon':
    case 'failed':
      return claimed || discarded ? { state, effects: [append] } : stay(state);
    default:
      return stay(state);
  }
}
