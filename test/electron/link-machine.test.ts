/** Finding the agent and staying with it: every way through the machine. */
import { describe, expect, test } from 'vitest';
import {
  initialLink,
  type LinkEvent,
  type LinkState,
  stepLink,
} from '../../electron/agent/machine.ts';

const PROTOCOL = 1;
const ours = { sojourn: 'api', protocol: 1, version: '0.1.0', pid: 9 } as const;
const theirs = { ...ours, protocol: 2 };
const error = { kind: 'unreachable', code: 'agent-not-running', message: 'nobody' } as const;
const absent: LinkEvent = { kind: 'not-found', absent: true, error };
const silent: LinkEvent = { kind: 'not-found', absent: false, error };

/** The states that events lead through, and the effects of the last one. */
function run(...events: LinkEvent[]): { states: string[]; effects: string[]; state: LinkState } {
  let { state, effects } = initialLink;
  const states: string[] = [state.kind];
  for (const event of events) {
    ({ state, effects } = stepLink(state, event, PROTOCOL));
    states.push(state.kind);
  }
  return { states, effects: effects.map(({ kind }) => kind), state };
}

describe('finding', () => {
  test('an agent that runs', () => {
    expect(run({ kind: 'found', greeting: ours })).toMatchObject({
      states: ['looking', 'connected'],
      effects: [],
    });
  });
  test('none: starts one, waits, and looks again', () => {
    expect(run(absent)).toMatchObject({
      states: ['looking', 'starting'],
      effects: ['start-agent', 'wait'],
    });
    expect(run(absent, { kind: 'waited' }).effects).toEqual(['connect']);
    expect(run(absent, { kind: 'waited' }, absent).effects).toEqual(['wait']);
    const found = run(absent, { kind: 'waited' }, { kind: 'found', greeting: ours });
    expect(found.state.kind).toBe('connected');
  });
  test('one that does not answer is not joined by a second one', () => {
    const { states, effects } = run(silent);
    expect(states).toEqual(['looking', 'failed']);
    expect(effects).toEqual(['wait']);
  });
  test('one of another protocol is told, and replaced only when a person wants it', () => {
    const foreign = run({ kind: 'found', greeting: theirs });
    expect(foreign.state).toEqual({ kind: 'foreign', greeting: theirs });
    expect(foreign.effects).toEqual([]);
    const replaced = run({ kind: 'found', greeting: theirs }, { kind: 'replace' });
    expect(replaced.effects).toEqual(['end-agent']);
    expect(
      run({ kind: 'found', greeting: theirs }, { kind: 'replace' }, { kind: 'gone' }),
    ).toMatchObject({
      states: ['looking', 'foreign', 'replacing', 'looking'],
      effects: ['connect'],
    });
  });
});

describe('losing', () => {
  test('the connection: looks again at once', () => {
    expect(run({ kind: 'found', greeting: ours }, { kind: 'gone' })).toMatchObject({
      states: ['looking', 'connected', 'looking'],
      effects: ['connect'],
    });
  });
  test('an agent that never gets ready: gives up, and begins anew after a while', () => {
    const tries = Array.from({ length: 12 }, () => absent);
    const { state, effects } = run(absent, ...tries);
    expect(state.kind).toBe('failed');
    expect(effects).toEqual(['wait']);
    expect(run(absent, ...tries, { kind: 'waited' }).states.at(-1)).toBe('looking');
  });
  test('an agent that keeps ending is tried ever more rarely', () => {
    const waits: number[] = [];
    let state: LinkState = initialLink.state;
    const take = (event: LinkEvent) => {
      const step = stepLink(state, event, PROTOCOL);
      state = step.state;
      return step.effects;
    };
    for (let round = 0; round < 12; round += 1) {
      take(absent);
      for (const effect of take({ kind: 'start-failed', error }))
        if (effect.kind === 'wait') waits.push(effect.ms);
      take({ kind: 'waited' });
    }
    expect(waits.slice(0, 3)).toEqual([5_000, 10_000, 20_000]);
    expect(waits.at(-1)).toBe(300_000);
  });
  test('a person does not have to wait', () => {
    expect(run(silent, { kind: 'retry' }).effects).toEqual(['connect']);
    expect(run({ kind: 'found', greeting: ours }, { kind: 'retry' }).effects).toEqual([]);
  });
});

describe('what comes too late', () => {
  test.each<[string, LinkEvent[]]>([
    [
      'the end of a process that was started, when another agent was found',
      [absent, { kind: 'found', greeting: ours }, { kind: 'start-failed', error }],
    ],
    ['a timer of an earlier search', [{ kind: 'found', greeting: ours }, { kind: 'waited' }]],
    ['a failure to connect', [{ kind: 'found', greeting: ours }, silent]],
  ])('%s changes nothing', (_name, events) => {
    expect(run(...events)).toMatchObject({ effects: [] });
    expect(run(...events).state.kind).toBe('connected');
  });
});
