/**
 * Where the packets to one guest go, at one datapath, while the guest changes place. Pure: `step(state, event)`.
 *
 * The *anchor* is the datapath through which the rest of the world reaches the guest. Each datapath has its own state:
 *
 *              begin                    commit, anchor remote              END or 2 s
 *   live ----------------> source-hold ----------------------> source-forward ----------> live(there)
 *    ^ ^                    |   |  commit, this is the anchor: held ones to the new place      ^
 *    | `--abort, 10 s-------'   `--------------------------------------------------------------'
 *    |
 *    |   HOLD (answer: END)              set, FWD_END not yet here         FWD_END or 2 s
 *   live ----------------> anchor-hold ------------------------> anchor-drain ----------> live(there)
 *    ^                      |   |  set, FWD_END here: forwarded, then held                     ^
 *    `-----UNHOLD, 10 s-----'   `--------------------------------------------------------------'
 *
 * Order is kept by a marker in band, as the End Marker of GTP-U does at a handover (3GPP TS 29.281, 5.1;
 * TS 23.401, 5.5.1): the anchor sends END behind the last packet it sent to the source. What the
 * source holds or still gets before END it sends back as FWD, then FWD_END; the anchor delivers those
 * ahead of all that it held itself. The hold ends only at `releasePort` where the new place has a gate of its own.
 *
 * Epochs: `epoch` in a state is the one the guest has at this datapath's knowledge; a switchover goes from n to
 * n + 1, and messages of any other epoch are ignored. HOLD is believed only from where the guest is.
 */
import {
  deadlineOf,
  type Effect,
  type Event,
  GRACE_MS,
  HOLD_MS,
  MARKER_MS,
  type Place,
  type State,
  type Step,
  samePlace,
} from './switchover-state.ts';

/** @param now milliseconds of a monotonic clock. */
export function step(state: State, event: Event, now: number): Step {
  switch (event.kind) {
    case 'begin':
      return begin(state, event, now);
    case 'commit':
      return commit(state, event, now);
    case 'set':
      return set(state, event, now);
    case 'abort':
      return abort(state);
    case 'tick':
      return tick(state, now);
    default:
      return marker(state, event, now);
  }
}

function begin(state: State, event: Extract<Event, { kind: 'begin' }>, now: number): Step {
  if (state.kind === 'source-hold' && state.epoch === event.epoch) return stay(state);
  if (state.kind !== 'live') return refuse(state, 'switchover-under-way');
  if (state.epoch !== event.epoch) return refuse(state, 'epoch-stale');
  if (state.place.kind !== 'local') return refuse(state, 'guest-not-here');
  const { epoch, anchor } = event;
  const next: State = {
    kind: 'source-hold',
    epoch,
    anchor,
    ended: false,
    deadline: now + HOLD_MS,
  };
  const effects: Effect[] =
    anchor === undefined ? [] : [{ do: 'send', peer: anchor, marker: 'hold', epoch }];
  return { state: next, effects };
}

function commit(state: State, event: Extract<Event, { kind: 'commit' }>, now: number): Step {
  const { epoch, place } = event;
  const done =
    (state.kind === 'live' || state.kind === 'source-forward') &&
    state.epoch === epoch &&
    samePlace(state.place, place);
  if (done) return stay(state);
  // The hold may have timed out by now; the guest has left all the same.
  if (state.kind === 'live' && epoch > state.epoch)
    return set(state, { ...event, kind: 'set' }, now);
  if (state.kind !== 'source-hold') return refuse(state, 'not-held');
  if (epoch <= state.epoch) return refuse(state, 'epoch-stale');
  const { anchor } = state;
  if (anchor === undefined)
    return { state: { kind: 'live', epoch, place }, effects: [{ do: 'deliver-held', place }] };
  const old = state.epoch;
  const forward: Effect = { do: 'forward-held', anchor, epoch: old };
  if (state.ended) {
    const finish: Effect = { do: 'send', peer: anchor, marker: 'fwd-end', epoch: old };
    return { state: { kind: 'live', epoch, place }, effects: [forward, finish] };
  }
  const deadline = now + MARKER_MS;
  return {
    state: { kind: 'source-forward', epoch, heldEpoch: old, place, anchor, deadline },
    effects: [forward],
  };
}

function abort(state: State): Step {
  if (state.kind !== 'source-hold') return stay(state);
  return backToLive(state);
}

function set(state: State, event: Extract<Event, { kind: 'set' }>, now: number): Step {
  const { epoch, place } = event;
  if (epoch < state.epoch) return refuse(state, 'epoch-stale');
  switch (state.kind) {
    case 'live': {
      if (samePlace(state.place, place)) return stay({ ...state, epoch });
      const previous =
        state.place.kind === 'peer' ? { peer: state.place.peer, until: now + GRACE_MS } : undefined;
      return stay({ kind: 'live', epoch, place, ...(previous && { previous }) });
    }
    case 'source-hold':
      if (place.kind === 'local')
        return epoch === state.epoch ? stay(state) : backToLive(state, epoch);
      return epoch === state.epoch
        ? refuse(state, 'switchover-under-way')
        : commit(state, { kind: 'commit', epoch, place }, now);
    case 'source-forward':
    case 'anchor-drain':
      if (samePlace(state.place, place)) return stay({ ...state, epoch });
      return finish({ ...state, place, epoch }, now);
    case 'anchor-hold':
      return setHeld(state, event, now);
  }
}

/** The anchor learns where the guest it holds for has gone, or that it has stayed. */
function setHeld(
  state: Extract<State, { kind: 'anchor-hold' }>,
  { epoch, place }: { epoch: number; place: Place },
  now: number,
): Step {
  const old: Place = { kind: 'peer', peer: state.from };
  if (samePlace(old, place)) {
    if (epoch === state.epoch) return stay(state);
    return { state: { kind: 'live', epoch, place }, effects: [{ do: 'deliver-held', place }] };
  }
  const forwarded: Effect = { do: 'deliver-forwarded', place };
  if (state.ended) {
    const previous = { peer: state.from, until: now + GRACE_MS };
    return {
      state: { kind: 'live', epoch, place, previous },
      effects: [forwarded, { do: 'deliver-held', place }],
    };
  }
  const { from } = state;
  const deadline = now + MARKER_MS;
  const heldEpoch = state.epoch;
  return {
    state: { kind: 'anchor-drain', epoch, heldEpoch, from, place, deadline },
    effects: [forwarded],
  };
}

type MarkerEvent = Extract<Event, { from: string }>;

function marker(state: State, event: MarkerEvent, now: number): Step {
  const { from, epoch } = event;
  switch (event.kind) {
    case 'hold':
      return hold(state, from, epoch, now);
    case 'unhold':
      if (state.kind !== 'anchor-hold' || state.from !== from || state.epoch !== epoch)
        return refuse(state, 'not-held');
      return backToLive(state);
    case 'end':
      if (state.kind === 'source-hold' && state.anchor === from && state.epoch === epoch)
        return stay({ ...state, ended: true });
      if (state.kind === 'source-forward' && state.anchor === from && state.heldEpoch === epoch)
        return finish(state, now);
      return refuse(state, 'not-held');
    case 'fwd-end':
      if (state.kind === 'anchor-hold' && state.from === from && state.epoch === epoch)
        return stay({ ...state, ended: true });
      if (state.kind === 'anchor-drain' && state.from === from && state.heldEpoch === epoch)
        return finish(state, now);
      return refuse(state, 'not-held');
  }
}

function hold(state: State, from: string, epoch: number, now: number): Step {
  if (state.kind !== 'live') return refuse(state, 'switchover-under-way');
  const effects: Effect[] = [{ do: 'send', peer: from, marker: 'end', epoch }];
  const { previous, place } = state;
  if (previous?.peer === from && epoch < state.epoch) {
    // The new mapping has overtaken it; what the source still has is older than all from now on.
    const deadline = now + MARKER_MS;
    return {
      state: { kind: 'anchor-drain', epoch: state.epoch, heldEpoch: epoch, from, place, deadline },
      effects,
    };
  }
  if (state.epoch !== epoch) return refuse(state, 'epoch-stale');
  if (place.kind !== 'peer' || place.peer !== from) return refuse(state, 'guest-not-here');
  const deadline = now + HOLD_MS;
  return { state: { kind: 'anchor-hold', epoch, from, ended: false, deadline }, effects };
}

function tick(state: State, now: number): Step {
  const deadline = deadlineOf(state);
  if (deadline === undefined || now < deadline) return stay(state);
  switch (state.kind) {
    case 'live':
      return stay({ kind: 'live', epoch: state.epoch, place: state.place });
    case 'source-hold':
    case 'anchor-hold': {
      const { state: next, effects } = backToLive(state);
      return { state: next, effects: [...effects, { do: 'report', event: 'holdTimeout' }] };
    }
    default: {
      const { state: next, effects } = finish(state, now);
      return { state: next, effects: [...effects, { do: 'report', event: 'markerTimeout' }] };
    }
  }
}

/** A switchover that did not happen: packets go to where they went before. */
function backToLive(
  state: Extract<State, { kind: 'source-hold' | 'anchor-hold' }>,
  epoch = state.epoch,
): Step {
  if (state.kind === 'anchor-hold') {
    const place: Place = { kind: 'peer', peer: state.from };
    return {
      state: { kind: 'live', epoch, place },
      // Forwarded packets are older than held ones, and had already reached the source once.
      effects: [
        { do: 'deliver-forwarded', place },
        { do: 'deliver-held', place },
      ],
    };
  }
  const place: Place = { kind: 'local' };
  const effects: Effect[] = [{ do: 'deliver-held', place }];
  if (state.anchor !== undefined)
    effects.push({ do: 'send', peer: state.anchor, marker: 'unhold', epoch: state.epoch });
  return { state: { kind: 'live', epoch, place }, effects };
}

/** The last marker is here, or is not waited for any longer. */
function finish(
  state: Extract<State, { kind: 'source-forward' | 'anchor-drain' }>,
  now: number,
): Step {
  const { epoch, place } = state;
  if (state.kind === 'anchor-drain') {
    const previous = { peer: state.from, until: now + GRACE_MS };
    return {
      state: { kind: 'live', epoch, place, previous },
      effects: [{ do: 'deliver-held', place }],
    };
  }
  return {
    state: { kind: 'live', epoch, place },
    effects: [{ do: 'send', peer: state.anchor, marker: 'fwd-end', epoch: state.heldEpoch }],
  };
}

function stay(state: State): Step {
  return { state, effects: [] };
}

function refuse(state: State, refused: NonNullable<Step['refused']>): Step {
  return { state, effects: [], refused };
}
