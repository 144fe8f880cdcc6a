/**
 * The source's half of a handoff, as a pure function. Nothing here knows QEMU, a socket or a clock.
 *
 *                                            ┌─► armed ─► triggered ─┐
 *   preflight ─► preparing ─► disks ─► memory ─┴───────────────────────┴─► switching ─► sealing ═► sealed ─► releasing ─► handed-over
 *       │            │          │        │  (armed, triggered too)             │           │          │
 *       └────────────┴──────────┴────────┴─────────────────────────────────────┘           │          └─ refused ─► reclaiming ─► stayed
 *                  abandon, failure: aborting ─► stayed  ◄─────────────────────────────────┘ not durable, or abandoned meanwhile
 *
 * `armed` is a standby: all is at the destination but what the guest has changed lately, and stays so until it is triggered.
 * A handoff on demand goes from `memory` to `switching` as soon as the residue is small.
 *
 * The double line is the transfer of ownership: the record `handoff-sealed` is durable before the seal is sent,
 * and the seal is sent only from `sealed`. `sealing` is entered only when the guest's QEMU has completed the
 * migration (`postmigrate`): before that it would resume the guest by itself when its migration stream breaks, as it does
 * when this agent dies, and two guests would run.
 *
 * `abandon` is legal in every live state. From `sealed` on it changes nothing: the destination decides.
 */
import type { SourceRecordType } from './records.ts';

/** Why a handoff did not take place: a stable code and a sentence for a person. */
export interface Reason {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

export type SourceState =
  | { readonly kind: 'preflight' }
  | { readonly kind: 'preparing' }
  | { readonly kind: 'disks' }
  | { readonly kind: 'memory' }
  | { readonly kind: 'armed' }
  | { readonly kind: 'triggered' }
  | { readonly kind: 'switching'; readonly migrated: boolean; readonly loaded: boolean }
  | { readonly kind: 'sealing'; readonly abandoned: Reason | undefined }
  | { readonly kind: 'sealed'; readonly inDoubt: boolean }
  | { readonly kind: 'releasing' }
  | {
      readonly kind: 'reclaiming';
      readonly reason: Reason;
      /** The refusal is on record at the other place: the guest may go on before ours is. */
      readonly refused: boolean;
      readonly durable: boolean;
      /** What is known of the guest; undefined before it is told to go on. */
      readonly guest: 'resuming' | 'running' | 'gone' | undefined;
    }
  | { readonly kind: 'aborting'; readonly reason: Reason; readonly step: 'withdraw' | 'resume' }
  | { readonly kind: 'handed-over' }
  | {
      readonly kind: 'stayed';
      readonly reason: Reason;
      /** `gone`: the guest's QEMU ended; it is still ours, and can be started from its disks. */
      readonly guest: 'running' | 'gone';
      readonly reclaimed: boolean;
    };

export type SourceEvent =
  | { readonly type: 'suitable' }
  | { readonly type: 'prepared' }
  | { readonly type: 'disks-ready' }
  /** Everything has been sent once, and the handoff is to stand by. */
  | { readonly type: 'filled' }
  | { readonly type: 'triggered' }
  | { readonly type: 'converged' }
  /** The guest's QEMU here has completed: it cannot resume by itself any more. */
  | { readonly type: 'migrated' }
  /** The destination has all memory and all disks. */
  | { readonly type: 'loaded' }
  | { readonly type: 'durable'; readonly record: SourceRecordType }
  | { readonly type: 'not-durable'; readonly record: SourceRecordType; readonly reason: Reason }
  | { readonly type: 'claimed' }
  | { readonly type: 'refused'; readonly reason: Reason }
  | { readonly type: 'unanswered' }
  /** A person decided an in-doubt handoff; the guest may run twice, or be lost, if that is wrong. */
  | { readonly type: 'decided'; readonly decision: 'keep-here' | 'give-up-here' }
  | { readonly type: 'failed'; readonly reason: Reason }
  | { readonly type: 'abandon'; readonly reason: Reason }
  | { readonly type: 'resumed' }
  | { readonly type: 'guest-gone' };

export type SourceEffect =
  | { readonly type: 'preflight' }
  | { readonly type: 'prepare' }
  | { readonly type: 'start-disks' }
  | { readonly type: 'start-memory' }
  | { readonly type: 'keep-up' }
  | { readonly type: 'converge' }
  | { readonly type: 'switch-over' }
  | { readonly type: 'append'; readonly record: SourceRecordType }
  /** As `append`, after a pause. */
  | { readonly type: 'append-again'; readonly record: SourceRecordType }
  | { readonly type: 'seal' }
  | { readonly type: 'ask-again' }
  | { readonly type: 'take-back' }
  | { readonly type: 'notify-abort' }
  /**
   * End every attempt (below) that is under way, then see that the guest runs here: answers `resumed` or
   * `guest-gone`. An attempt that went on after it would stop the guest again.
   */
  | { readonly type: 'resume' }
  | { readonly type: 'destroy-copy' };

const attempts: ReadonlySet<SourceEffect['type']> = new Set([
  'preflight',
  'prepare',
  'start-disks',
  'start-memory',
  'keep-up',
  'converge',
  'switch-over',
]);

/** The effects that bring the handoff forward, and must have ended before `resume` touches the guest. */
export function isAttempt(effect: SourceEffect): boolean {
  return attempts.has(effect.type);
}

export interface SourceStep {
  readonly state: SourceState;
  readonly effects: readonly SourceEffect[];
}

export const initialSource: SourceStep = {
  state: { kind: 'preflight' },
  effects: [{ type: 'preflight' }],
};

const stay = (state: SourceState): SourceStep => ({ state, effects: [] });

export function stepSource(state: SourceState, event: SourceEvent): SourceStep {
  switch (state.kind) {
    case 'preflight':
      if (event.type === 'suitable') {
        return {
          state: { kind: 'preparing' },
          effects: [{ type: 'append', record: 'handoff-started' }],
        };
      }
      return beforeSeal(state, event);
    case 'preparing':
      // On record first: a restart would not look after a guest that it finds stopped, and no handoff.
      if (event.type === 'durable' && event.record === 'handoff-started') {
        return { state, effects: [{ type: 'prepare' }] };
      }
      if (event.type === 'prepared') {
        return { state: { kind: 'disks' }, effects: [{ type: 'start-disks' }] };
      }
      return beforeSeal(state, event);
    case 'disks':
      if (event.type === 'disks-ready') {
        return { state: { kind: 'memory' }, effects: [{ type: 'start-memory' }] };
      }
      return beforeSeal(state, event);
    case 'memory':
      if (event.type === 'filled') {
        return { state: { kind: 'armed' }, effects: [{ type: 'keep-up' }] };
      }
      return converging(state, event);
    case 'armed':
      if (event.type === 'triggered') {
        return { state: { kind: 'triggered' }, effects: [{ type: 'converge' }] };
      }
      return beforeSeal(state, event);
    case 'triggered':
      return converging(state, event);
    case 'switching': {
      const migrated = state.migrated || event.type === 'migrated';
      const loaded = state.loaded || event.type === 'loaded';
      if (migrated && loaded) {
        return {
          state: { kind: 'sealing', abandoned: undefined },
          effects: [{ type: 'append', record: 'handoff-sealed' }],
        };
      }
      if (event.type === 'migrated' || event.type === 'loaded') {
        return stay({ kind: 'switching', migrated, loaded });
      }
      return beforeSeal(state, event);
    }
    case 'sealing':
      return sealing(state, event);
    case 'sealed':
      return sealed(state, event);
    case 'releasing':
      if (event.type === 'durable' && event.record === 'handoff-released') {
        return { state: { kind: 'handed-over' }, effects: [{ type: 'destroy-copy' }] };
      }
      // The claim is known: a record that cannot be written costs one question after a restart, no more.
      if (event.type === 'not-durable' && event.record === 'handoff-released') {
        return { state: { kind: 'handed-over' }, effects: [{ type: 'destroy-copy' }] };
      }
      return stay(state);
    case 'reclaiming':
      return reclaiming(state, event);
    case 'aborting':
      return aborting(state, event);
    case 'handed-over':
    case 'stayed':
      return stay(state);
  }
}

function converging(state: SourceState, event: SourceEvent): SourceStep {
  if (event.type !== 'converged') return beforeSeal(state, event);
  return {
    state: { kind: 'switching', migrated: false, loaded: false },
    effects: [{ type: 'switch-over' }],
  };
}

/** What ends a handoff in any state before the seal. */
function beforeSeal(state: SourceState, event: SourceEvent): SourceStep {
  switch (event.type) {
    case 'failed':
    case 'abandon':
      return abort(event.reason);
    case 'not-durable':
      return abort(event.reason);
    case 'guest-gone':
      return abort({ code: 'guest-ended', message: 'The guest ended during the handoff' });
    default:
      return stay(state);
  }
}

function abort(reason: Reason): SourceStep {
  return {
    state: { kind: 'aborting', reason, step: 'resume' },
    effects: [{ type: 'resume' }, { type: 'notify-abort' }],
  };
}

/** The seal was or may have been written, but not sent: its record is withdrawn before the guest goes on. */
function withdraw(reason: Reason): SourceStep {
  return {
    state: { kind: 'aborting', reason, step: 'withdraw' },
    effects: [{ type: 'append', record: 'handoff-aborted' }],
  };
}

function sealing(state: SourceState & { kind: 'sealing' }, event: SourceEvent): SourceStep {
  switch (event.type) {
    case 'durable':
      if (event.record !== 'handoff-sealed') return stay(state);
      if (state.abandoned !== undefined) return withdraw(state.abandoned);
      return { state: { kind: 'sealed', inDoubt: false }, effects: [{ type: 'seal' }] };
    case 'not-durable':
      return event.record === 'handoff-sealed' ? withdraw(event.reason) : stay(state);
    case 'failed':
    case 'abandon':
      return stay({ kind: 'sealing', abandoned: state.abandoned ?? event.reason });
    default:
      return stay(state);
  }
}

function sealed(state: SourceState & { kind: 'sealed' }, event: SourceEvent): SourceStep {
  switch (event.type) {
    case 'claimed':
      return {
        state: { kind: 'releasing' },
        effects: [{ type: 'append', record: 'handoff-released' }],
      };
    case 'refused':
      return reclaim(event.reason, true);
    case 'unanswered':
      return { state: { kind: 'sealed', inDoubt: true }, effects: [{ type: 'ask-again' }] };
    case 'decided':
      if (!state.inDoubt) return stay(state);
      if (event.decision === 'give-up-here') return sealed(state, { type: 'claimed' });
      return reclaim({ code: 'kept-here', message: 'A person kept it here' }, false);
    default:
      return stay(state);
  }
}

function reclaim(reason: Reason, refused: boolean): SourceStep {
  return {
    state: { kind: 'reclaiming', reason, refused, durable: false, guest: undefined },
    effects: [{ type: 'append', record: 'handoff-reclaimed' }],
  };
}

/** Without the record a restart would find the handoff in doubt: it does not end before that is written. */
function reclaiming(state: SourceState & { kind: 'reclaiming' }, event: SourceEvent): SourceStep {
  const goOn = state.guest === undefined;
  const resume: SourceEffect[] = goOn ? [{ type: 'take-back' }, { type: 'resume' }] : [];
  switch (event.type) {
    case 'durable':
      if (event.record !== 'handoff-reclaimed' || state.durable) return stay(state);
      return {
        state: reclaimed({ ...state, durable: true, guest: state.guest ?? 'resuming' }),
        effects: resume,
      };
    case 'not-durable': {
      if (event.record !== 'handoff-reclaimed' || state.durable) return stay(state);
      const again = { type: 'append-again', record: 'handoff-reclaimed' } as const;
      // A person's word is on record nowhere else: until ours is, the other place may still be asked, and claim.
      if (!state.refused || !goOn) return { state, effects: [again] };
      return { state: { ...state, guest: 'resuming' }, effects: [...resume, again] };
    }
    case 'resumed':
      if (state.guest !== 'resuming') return stay(state);
      return stay(reclaimed({ ...state, guest: 'running' }));
    case 'guest-gone':
      if (state.guest === undefined) return stay(state);
      return stay(reclaimed({ ...state, guest: 'gone' }));
    default:
      return stay(state);
  }
}

function reclaimed(state: SourceState & { kind: 'reclaiming' }): SourceState {
  const { reason, durable, guest } = state;
  if (!durable || guest === undefined || guest === 'resuming') return state;
  return { kind: 'stayed', reason, guest, reclaimed: true };
}

function aborting(state: SourceState & { kind: 'aborting' }, event: SourceEvent): SourceStep {
  const { reason, step } = state;
  switch (event.type) {
    case 'durable':
    case 'not-durable':
      if (step !== 'withdraw' || event.record !== 'handoff-aborted') return stay(state);
      return abort(reason);
    case 'resumed':
    case 'guest-gone': {
      if (step !== 'resume') return stay(state);
      const guest = event.type === 'resumed' ? 'running' : 'gone';
      return {
        state: { kind: 'stayed', reason, guest, reclaimed: false },
        effects: [{ type: 'append', record: 'handoff-aborted' }],
      };
    }
    default:
      return stay(state);
  }
}
