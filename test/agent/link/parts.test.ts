import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { ProbedPlaces } from '../../../src/agent/link/place-probes.ts';
import { openDatabase } from '../../../src/agent/state/database.ts';
import { PolicyStore } from '../../../src/agent/state/policy-store.ts';
import { defaultRules, rulesSchema } from '../../../src/link/index.ts';
import type { Session } from '../../../src/transport/index.ts';

describe('probes of a place', () => {
  function probed() {
    let now = 0;
    const session = Object.assign(new EventEmitter(), { state: 'connected', suspect: false });
    const places = new ProbedPlaces(() => now);
    const view = () => places.view('p', session as unknown as Session);
    view();
    const at = (ms: number, event: string, ...told: number[]) => {
      now = ms;
      session.emit(event, ...told);
    };
    return { session, places, view, at };
  }

  test('come from keepalives and acknowledgements of its session', () => {
    const { view, at } = probed();
    at(0, 'asked', 1);
    at(40, 'answered', 1);
    for (let ms = 100; ms <= 600; ms += 100) at(ms, 'acknowledged', 50_000, 200_000);
    expect(view()).toMatchObject({ rttMs: 40, suspect: false });
    expect(view()?.bytesPerSecond).toBeCloseTo(500_000, -4);
  });

  test('suspect a peer that owes an answer for 2 s; not one of a connection that is gone', () => {
    const { view, at, session } = probed();
    at(0, 'asked', 1);
    at(2000, 'nothing');
    expect(view()?.suspect).toBe(true);
    at(2100, 'state');
    expect(view()?.suspect).toBe(false);
    session.state = 'resuming';
    expect(view()?.suspect).toBe(true);
  });

  test('let go of a session that was replaced', () => {
    const { session, places } = probed();
    expect(session.listenerCount('asked')).toBe(1);
    places.view('p', undefined);
    expect(session.eventNames()).toEqual([]);
  });
});

describe('the rules of a device', () => {
  test('are off until they are switched on, and rules do not move the switch', () => {
    const store = new PolicyStore(openDatabase(':memory:'));
    expect(store.rules).toEqual({ ...defaultRules, automatic: false });
    const mine = rulesSchema.parse({ return: { automatic: true } });
    store.rules = mine;
    expect(store.rules).toEqual({ ...mine, automatic: false });
    store.automatic = true;
    store.rules = { ...defaultRules, automatic: false };
    expect(store.rules).toEqual({ ...defaultRules, automatic: true });
  });

  test('and what was learned outlive the agent', () => {
    const database = openDatabase(':memory:');
    const before = new PolicyStore(database);
    before.automatic = true;
    before.memories = new Map([['ap/5180', { losses: [], roams: 2, airtimeShare: 0.4 }]]);
    const after = new PolicyStore(database);
    expect(after.rules.automatic).toBe(true);
    expect([...after.memories]).toEqual([...before.memories]);
    expect(after.memories.get('ap/5180')?.roams).toBe(2);
  });
});
