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
 * because the source's copy is whole. After it only what is known never to have run may still be refused.
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
  | { readonly kind: 'refusing'; readonly reason: Reason; readonly discarded: boolean }
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
  | { readonly type: 'answer-refused'; readonly reason: Reason }
  | { readonly type: 'discard' };

export interface DestinationStep {
  readonly state: DestinationState;
  readonly effects: readonly DestinationEffect[];
}

export const initialDestination: DestinationStep = {
  state: { kind: 'preparing' },
  effects: [{ type: 'append', record: 'incoming-started' }, { type: 'prepare' }],
};

const stay = (state: DestinationState): DestinationStep => ({ state, effects: [] });

export function stepDestination(state: DestinationState, event: DestinationEvent): DestinationStep {
  switch (state.kind) {
    case 'preparing':
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
      return refuse(event.reason);
    case 'seal':
      return refuse({ code: 'not-loaded', message: 'The seal came before the guest was complete' });
    default:
      return stay(state);
  }
}

function refuse(reason: Reason): DestinationStep {
  return {
    state: { kind: 'refusing', reason, discarded: false },
    effects: [{ type: 'append', record: 'incoming-refused' }],
  };
}

function claiming(state: DestinationState, event: DestinationEvent): DestinationStep {
  if (event.type === 'durable' && event.record === 'incoming-claimed') {
    return { state: { kind: 'activating' }, effects: [{ type: 'activate' }] };
  }
  if (event.type === 'not-durable' && event.record === 'incoming-claimed') {
    return refuse(event.reason);
  }
  return stay(state);
}

function activating(state: DestinationState, event: DestinationEvent): DestinationStep {
  if (event.type === 'activated') {
    return { state: { kind: 'running' }, effects: [{ type: 'answer-claimed' }] };
  }
  if (event.type === 'not-activated') {
    if (!event.ran) {
      // Its QEMU has to be gone before the refusal is on record: a refused guest can never run.
      return {
        state: { kind: 'refusing', reason: event.reason, discarded: false },
        effects: [{ type: 'discard' }],
      };
    }
    return {
      state: { kind: 'lost', reason: event.reason },
      effects: [{ type: 'answer-claimed' }],
    };
  }
  return stay(state);
}

function refusing(
  state: DestinationState & { kind: 'refusing' },
  event: DestinationEvent,
): DestinationStep {
  const { reason, discarded } = state;
  const append = { type: 'append', record: 'incoming-refused' } as const;
  switch (event.type) {
    case 'discarded':
      return { state: { kind: 'refusing', reason, discarded: true }, effects: [append] };
    case 'durable':
      if (event.record !== 'incoming-refused') return stay(state);
      return { state: { kind: 'discarding', reason }, effects: [{ type: 'discard' }] };
    case 'not-durable':
      // Not on record, not told: the source stays in doubt and asks again, which tries to write it again.
      if (event.record !== 'incoming-refused' || discarded) return stay(state);
      return { state, effects: [{ type: 'discard' }] };
    case 'seal':
    case 'abandon':
    case 'failed':
      return discarded ? { state, effects: [append] } : stay(state);
    default:
      return stay(state);
  }
}
