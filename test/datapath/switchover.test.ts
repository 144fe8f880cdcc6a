/** The switchover machine under named step tables. */
import { describe, expect, it } from 'vitest';
import { step } from '../../src/datapath/switchover.ts';
import {
  type Effect,
  type Event,
  forwardedTreatment,
  HOLD_MS,
  initial,
  MARKER_MS,
  type Place,
  type State,
  sourcePeers,
  treatment,
} from '../../src/datapath/switchover-state.ts';

const local: Place = { kind: 'local' };
const at = (peer: string): Place => ({ kind: 'peer', peer });

type Row = [
  event: Event | { wait: number },
  kind: State['kind'],
  effects: string[],
  refused?: string,
];

function show(effect: Effect): string {
  switch (effect.do) {
    case 'send':
      return `${effect.marker} ${effect.epoch} to ${effect.peer}`;
    case 'forward-held':
      return `forward-held ${effect.epoch} to ${effect.anchor}`;
    case 'report':
      return effect.event;
    default:
      return `${effect.do} ${effect.place.kind === 'peer' ? effect.place.peer : effect.place.kind}`;
  }
}

function run(start: State, rows: Row[]): State {
  let state = start;
  let now = 1_000;
  for (const [index, [event, kind, effects, refused]] of rows.entries()) {
    if ('wait' in event) now += event.wait;
    const input: Event = 'wait' in event ? { kind: 'tick' } : event;
    const result = step(state, input, now);
    state = result.state;
    const seen = [state.kind, result.effects.map(show), result.refused];
    expect(seen, `row ${index}: ${JSON.stringify(event)}`).toEqual([kind, effects, refused]);
  }
  return state;
}

const begin = (anchor?: string): Event => ({ kind: 'begin', epoch: 3, anchor });
const commit = (peer: string, epoch = 4): Event => ({ kind: 'commit', epoch, place: at(peer) });
const set = (place: Place, epoch: number): Event => ({ kind: 'set', epoch, place });
const mark = (kind: 'hold' | 'unhold' | 'end' | 'fwd-end', from: string, epoch = 3): Event => ({
  kind,
  from,
  epoch,
});

describe('the source', () => {
  it('is the anchor: what it held goes down the tunnel, then everything else', () => {
    const end = run(initial(3, local), [
      [begin(), 'source-hold', []],
      [begin(), 'source-hold', []],
      [commit('V'), 'live', ['deliver-held V']],
      [commit('V'), 'live', []],
    ]);
    expect(treatment(end)).toEqual({ kind: 'deliver', place: at('V') });
    expect(sourcePeers(end)).toEqual(['V']);
  });

  it('has an anchor elsewhere: sends back what it held, and late ones until END', () => {
    run(initial(3, local), [
      [begin('A'), 'source-hold', ['hold 3 to A']],
      [commit('A'), 'source-forward', ['forward-held 3 to A']],
      [mark('end', 'B'), 'source-forward', [], 'not-held'],
      [mark('end', 'A', 2), 'source-forward', [], 'not-held'],
      [mark('end', 'A'), 'live', ['fwd-end 3 to A']],
    ]);
  });

  it('has END already when it commits', () => {
    run(initial(3, local), [
      [begin('A'), 'source-hold', ['hold 3 to A']],
      [mark('end', 'A'), 'source-hold', []],
      [commit('A'), 'live', ['forward-held 3 to A', 'fwd-end 3 to A']],
    ]);
  });

  it('does not wait for END for ever', () => {
    run(initial(3, local), [
      [begin('A'), 'source-hold', ['hold 3 to A']],
      [commit('A'), 'source-forward', ['forward-held 3 to A']],
      [{ wait: MARKER_MS - 1 }, 'source-forward', []],
      [{ wait: 1 }, 'live', ['fwd-end 3 to A', 'markerTimeout']],
    ]);
  });

  it('aborts: the guest gets what was held, the anchor stops holding', () => {
    const end = run(initial(3, local), [
      [begin('A'), 'source-hold', ['hold 3 to A']],
      [{ kind: 'abort' }, 'live', ['deliver-held local', 'unhold 3 to A']],
      [{ kind: 'abort' }, 'live', []],
    ]);
    expect(treatment(end)).toEqual({ kind: 'deliver', place: local });
  });

  it('falls back after the longest hold, and still believes a later commit', () => {
    run(initial(3, local), [
      [begin(), 'source-hold', []],
      [{ wait: HOLD_MS - 1 }, 'source-hold', []],
      [{ wait: 1 }, 'live', ['deliver-held local', 'holdTimeout']],
      [commit('V'), 'live', []],
    ]);
  });

  it('refuses what does not fit', () => {
    run(initial(3, local), [
      [{ kind: 'begin', epoch: 2, anchor: undefined }, 'live', [], 'epoch-stale'],
      [commit('V', 3), 'live', [], 'not-held'],
      [set(local, 2), 'live', [], 'epoch-stale'],
      [begin(), 'source-hold', []],
      [set(local, 3), 'source-hold', []],
      [set(at('V'), 3), 'source-hold', [], 'switchover-under-way'],
      [commit('V', 3), 'source-hold', [], 'epoch-stale'],
    ]);
    run(initial(3, at('V')), [[begin(), 'live', [], 'guest-not-here']]);
  });

  it('takes the guest back after a refusal', () => {
    run(initial(3, local), [
      [begin(), 'source-hold', []],
      [commit('V'), 'live', ['deliver-held V']],
      [set(local, 5), 'live', []],
    ]);
  });
});

describe('the anchor', () => {
  it('delivers what comes back before what it held', () => {
    const end = run(initial(3, at('V')), [
      [mark('hold', 'V'), 'anchor-hold', ['end 3 to V']],
      [set(at('V'), 3), 'anchor-hold', []],
      [set(local, 4), 'anchor-drain', ['deliver-forwarded local']],
      [mark('fwd-end', 'V'), 'live', ['deliver-held local']],
    ]);
    expect(sourcePeers(end)).toEqual(['V']);
  });

  it('has FWD_END already when it learns the new place', () => {
    run(initial(3, at('V')), [
      [mark('hold', 'V'), 'anchor-hold', ['end 3 to V']],
      [mark('fwd-end', 'V'), 'anchor-hold', []],
      [set(at('W'), 4), 'live', ['deliver-forwarded W', 'deliver-held W']],
    ]);
  });

  it('does not wait for FWD_END for ever', () => {
    run(initial(3, at('V')), [
      [mark('hold', 'V'), 'anchor-hold', ['end 3 to V']],
      [set(local, 4), 'anchor-drain', ['deliver-forwarded local']],
      [{ wait: MARKER_MS }, 'live', ['deliver-held local', 'markerTimeout']],
      [mark('fwd-end', 'V'), 'live', [], 'not-held'],
    ]);
  });

  it('stops holding on UNHOLD and on time-out', () => {
    run(initial(3, at('V')), [
      [mark('hold', 'V'), 'anchor-hold', ['end 3 to V']],
      [mark('unhold', 'W'), 'anchor-hold', [], 'not-held'],
      [mark('unhold', 'V'), 'live', ['deliver-forwarded V', 'deliver-held V']],
      [mark('hold', 'V'), 'anchor-hold', ['end 3 to V']],
      [{ wait: HOLD_MS }, 'live', ['deliver-forwarded V', 'deliver-held V', 'holdTimeout']],
    ]);
  });

  it('believes HOLD only from where the guest is, under its epoch', () => {
    run(initial(3, at('V')), [
      [mark('hold', 'W'), 'live', [], 'guest-not-here'],
      [mark('hold', 'V', 2), 'live', [], 'epoch-stale'],
      [mark('hold', 'V', 4), 'live', [], 'epoch-stale'],
    ]);
    run(initial(3, local), [[mark('hold', 'V'), 'live', [], 'guest-not-here']]);
  });

  it('answers a HOLD that the mapping has overtaken, and waits for what comes back', () => {
    run(initial(3, at('V')), [
      [set(at('W'), 4), 'live', []],
      [mark('hold', 'V'), 'anchor-drain', ['end 3 to V']],
      [mark('fwd-end', 'V'), 'live', ['deliver-held W']],
    ]);
  });

  it('believes FWD only from whom it holds for', () => {
    const holding = run(initial(3, at('V')), [[mark('hold', 'V'), 'anchor-hold', ['end 3 to V']]]);
    expect(forwardedTreatment(holding, 'V', 3)).toBe('keep');
    expect(forwardedTreatment(holding, 'W', 3)).toBe('drop');
    expect(forwardedTreatment(holding, 'V', 4)).toBe('drop');
    const draining = step(holding, set(local, 4), 1_000).state;
    expect(forwardedTreatment(draining, 'V', 3)).toBe('deliver');
    expect(forwardedTreatment(initial(3, local), 'V', 3)).toBe('drop');
  });

  it('believes the place that a guest has left for a while', () => {
    const moved = step(initial(3, at('V')), set(local, 4), 1_000).state;
    expect(sourcePeers(moved)).toEqual(['V']);
    expect(forwardedTreatment(moved, 'V', 3)).toBe('deliver');
    const later = step(moved, { kind: 'tick' }, 3_000).state;
    expect(sourcePeers(later)).toEqual([]);
  });
});
