/** States, events and effects of a switchover (see switchover.ts), and what a state means for a packet. */
export type Place =
  | { readonly kind: 'local' }
  | { readonly kind: 'peer'; readonly peer: string }
  | { readonly kind: 'none' };

/** Longest hold, milliseconds; then packets go to where the guest was. */
export const HOLD_MS = 10_000;
/** Longest wait for END or FWD_END, milliseconds. */
export const MARKER_MS = 2_000;
/** How long packets from the place a guest has left are still believed to be its, milliseconds. */
export const GRACE_MS = 2_000;

export type State =
  | {
      readonly kind: 'live';
      readonly epoch: number;
      readonly place: Place;
      /** Where it was until lately. */
      readonly previous?: { readonly peer: string; readonly until: number };
    }
  | {
      readonly kind: 'source-hold';
      readonly epoch: number;
      /** Undefined when this datapath is the anchor. */
      readonly anchor: string | undefined;
      readonly ended: boolean;
      readonly deadline: number;
    }
  | {
      readonly kind: 'source-forward';
      readonly epoch: number;
      /** The epoch under which it was held, which its FWD packets carry. */
      readonly heldEpoch: number;
      readonly place: Place;
      readonly anchor: string;
      readonly deadline: number;
    }
  | {
      readonly kind: 'anchor-hold';
      readonly epoch: number;
      readonly from: string;
      readonly ended: boolean;
      readonly deadline: number;
    }
  | {
      readonly kind: 'anchor-drain';
      readonly epoch: number;
      readonly heldEpoch: number;
      readonly from: string;
      readonly place: Place;
      readonly deadline: number;
    };

export type Event =
  | { readonly kind: 'begin'; readonly epoch: number; readonly anchor: string | undefined }
  | { readonly kind: 'commit'; readonly epoch: number; readonly place: Place }
  | { readonly kind: 'abort' }
  | { readonly kind: 'set'; readonly epoch: number; readonly place: Place }
  | { readonly kind: 'hold'; readonly from: string; readonly epoch: number }
  | { readonly kind: 'unhold'; readonly from: string; readonly epoch: number }
  | { readonly kind: 'end'; readonly from: string; readonly epoch: number }
  | { readonly kind: 'fwd-end'; readonly from: string; readonly epoch: number }
  | { readonly kind: 'tick' };

export type Marker = 'hold' | 'end' | 'unhold' | 'fwd-end';

/** Executed in order, before any other packet. */
export type Effect =
  | { readonly do: 'send'; readonly peer: string; readonly marker: Marker; readonly epoch: number }
  /** Packets this datapath held itself. */
  | { readonly do: 'deliver-held'; readonly place: Place }
  /** Packets that came as FWD. */
  | { readonly do: 'deliver-forwarded'; readonly place: Place }
  /** What this datapath held goes to the anchor as FWD. */
  | { readonly do: 'forward-held'; readonly anchor: string; readonly epoch: number }
  | { readonly do: 'report'; readonly event: 'holdTimeout' | 'markerTimeout' };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
  /** Set when the event is refused: why. */
  readonly refused?: 'epoch-stale' | 'guest-not-here' | 'switchover-under-way' | 'not-held';
}

export function initial(epoch: number, place: Place): State {
  return { kind: 'live', epoch, place };
}

/** When `tick` is due, undefined when nothing is. */
export function deadlineOf(state: State): number | undefined {
  return state.kind === 'live' ? state.previous?.until : state.deadline;
}

/** Where the guest is, as far as is known: what survives a restart of the datapath. */
export function settled(state: State): { epoch: number; place: Place } {
  const { epoch } = state;
  if (state.kind === 'source-hold') return { epoch, place: { kind: 'local' } };
  if (state.kind === 'anchor-hold') return { epoch, place: { kind: 'peer', peer: state.from } };
  return { epoch, place: state.place };
}

/** What becomes of a packet to the guest that arrives now. */
export type Treatment =
  | { readonly kind: 'deliver'; readonly place: Place }
  | { readonly kind: 'hold' }
  | { readonly kind: 'forward'; readonly anchor: string; readonly epoch: number };

export function treatment(state: State): Treatment {
  if (state.kind === 'live') return { kind: 'deliver', place: state.place };
  if (state.kind === 'source-forward')
    return { kind: 'forward', anchor: state.anchor, epoch: state.heldEpoch };
  return { kind: 'hold' };
}

/** What becomes of a FWD packet: kept apart, delivered at once, or not believed. */
export function forwardedTreatment(
  state: State,
  from: string,
  epoch: number,
): 'keep' | 'deliver' | 'drop' {
  if (state.kind === 'anchor-hold')
    return state.from === from && state.epoch === epoch ? 'keep' : 'drop';
  if (state.kind === 'anchor-drain')
    return state.from === from && state.heldEpoch === epoch ? 'deliver' : 'drop';
  // HOLD was lost with the tunnel, or FWD_END was not waited for any longer.
  const late = state.kind === 'live' && state.previous?.peer === from && epoch < state.epoch;
  return late ? 'deliver' : 'drop';
}

/** The peers from which packets with the guest's source address are believed. */
export function sourcePeers(state: State): string[] {
  const peers = new Set<string>();
  if ('place' in state && state.place.kind === 'peer') peers.add(state.place.peer);
  if ('from' in state) peers.add(state.from);
  if (state.kind === 'live' && state.previous !== undefined) peers.add(state.previous.peer);
  return [...peers];
}

export function samePlace(a: Place, b: Place): boolean {
  return a.kind === b.kind && (a.kind !== 'peer' || a.peer === (b as { peer: string }).peer);
}
