/**
 * Finding the agent and staying with it, as a pure state machine.
 *
 *            found                        gone
 *   looking --------> connected --------------------------> looking
 *    |  ^ \ another protocol
 *    |  |  `--------> foreign --- replace ---> replacing --- gone ---> looking
 *    |  | wait
 *    | nobody answers, not started yet
 *    v  |
 *   starting --- it answers ---> connected
 *      `------ it ended or stays silent ---> failed --- retry, or after a while ---> looking
 *
 * An agent is started at most once per search, and one that keeps ending is tried again ever more rarely.
 */
import type { Greeting } from '../../src/api/schema.ts';
import type { WireError } from '../../src/common/index.ts';

export type LinkState =
  | { readonly kind: 'looking'; readonly failures: number }
  | { readonly kind: 'starting'; readonly failures: number; readonly attempt: number }
  | { readonly kind: 'connected'; readonly greeting: Greeting }
  /** An agent with which only the calls of every version can be made. */
  | { readonly kind: 'foreign'; readonly greeting: Greeting }
  | { readonly kind: 'replacing'; readonly greeting: Greeting }
  | { readonly kind: 'failed'; readonly failures: number; readonly error: WireError };

export type LinkEvent =
  | { readonly kind: 'found'; readonly greeting: Greeting }
  /** `absent`: nobody listens there. Otherwise somebody does, but it went wrong. */
  | { readonly kind: 'not-found'; readonly absent: boolean; readonly error: WireError }
  /** The connection ended. */
  | { readonly kind: 'gone' }
  /** The agent that was started ended before it answered, or could not be started. */
  | { readonly kind: 'start-failed'; readonly error: WireError }
  | { readonly kind: 'waited' }
  /** A person wants it tried again now. */
  | { readonly kind: 'retry' }
  /** A person wants the agent that runs to be replaced by this version's. */
  | { readonly kind: 'replace' };

export type LinkEffect =
  | { readonly kind: 'connect' }
  | { readonly kind: 'start-agent' }
  /** Tells the agent that is connected to end; its guests go on. */
  | { readonly kind: 'end-agent' }
  | { readonly kind: 'wait'; readonly ms: number };

export interface LinkStep {
  readonly state: LinkState;
  readonly effects: readonly LinkEffect[];
}

/** An agent that was started answers within this many tries, some 30 s in all. */
const START_ATTEMPTS = 12;
const FIRST_WAIT_MS = 100;
const LONGEST_START_WAIT_MS = 5_000;
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 5 * 60_000;

export const initialLink: LinkStep = {
  state: { kind: 'looking', failures: 0 },
  effects: [{ kind: 'connect' }],
};

const look = (failures: number): LinkStep => ({
  state: { kind: 'looking', failures },
  effects: [{ kind: 'connect' }],
});

/** @param protocol what this app speaks */
export function stepLink(state: LinkState, event: LinkEvent, protocol: number): LinkStep {
  const stay: LinkStep = { state, effects: [] };
  switch (event.kind) {
    case 'found':
      if (event.greeting.protocol !== protocol)
        return { state: { kind: 'foreign', greeting: event.greeting }, effects: [] };
      return { state: { kind: 'connected', greeting: event.greeting }, effects: [] };
    case 'gone':
      return isJoined(state) ? look(0) : stay;
    case 'replace':
      if (state.kind !== 'connected' && state.kind !== 'foreign') return stay;
      return {
        state: { kind: 'replacing', greeting: state.greeting },
        effects: [{ kind: 'end-agent' }],
      };
    case 'retry':
      return state.kind === 'failed' ? look(state.failures) : stay;
    case 'waited':
      if (state.kind === 'starting') return { state, effects: [{ kind: 'connect' }] };
      return state.kind === 'failed' ? look(state.failures) : stay;
    case 'start-failed':
      return state.kind === 'starting' ? fail(state.failures, event.error) : stay;
    case 'not-found':
      return notFound(state, event);
  }
}

function notFound(state: LinkState, event: Extract<LinkEvent, { kind: 'not-found' }>): LinkStep {
  if (state.kind === 'looking') {
    if (!event.absent) return fail(state.failures, event.error);
    return {
      state: { kind: 'starting', failures: state.failures, attempt: 0 },
      effects: [{ kind: 'start-agent' }, { kind: 'wait', ms: FIRST_WAIT_MS }],
    };
  }
  if (state.kind !== 'starting') return { state, effects: [] };
  const attempt = state.attempt + 1;
  if (attempt >= START_ATTEMPTS) return fail(state.failures, event.error);
  const ms = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_START_WAIT_MS);
  return { state: { ...state, attempt }, effects: [{ kind: 'wait', ms }] };
}

function fail(failures: number, error: WireError): LinkStep {
  const ms = Math.min(FIRST_RETRY_MS * 2 ** failures, LONGEST_RETRY_MS);
  return {
    state: { kind: 'failed', failures: failures + 1, error },
    effects: [{ kind: 'wait', ms }],
  };
}

function isJoined(state: LinkState): boolean {
  return state.kind === 'connected' || state.kind === 'foreign' || state.kind === 'replacing';
}
