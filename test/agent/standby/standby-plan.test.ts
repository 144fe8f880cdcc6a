import { describe, expect, test } from 'vitest';
import {
  obstacleTo,
  retryDelay,
  type StandbyFacts,
} from '../../../src/agent/standby/standby-plan.ts';

const ready: StandbyFacts = {
  ownership: 'here',
  phase: 'running',
  moving: false,
  paired: true,
  connected: true,
  metered: false,
  whenUnmetered: false,
};

describe('a guest that shall stand by', () => {
  test('does when nothing is in the way', () => {
    expect(obstacleTo(ready, 'cloud')).toBeUndefined();
    expect(obstacleTo({ ...ready, metered: true }, 'cloud')).toBeUndefined();
    expect(obstacleTo({ ...ready, whenUnmetered: true }, 'cloud')).toBeUndefined();
  });

  test.each<[Partial<StandbyFacts>, string]>([
    [{ ownership: 'elsewhere' }, 'guest-elsewhere'],
    [{ ownership: 'in-doubt' }, 'guest-elsewhere'],
    [{ phase: undefined }, 'not-running'],
    [{ phase: 'stopping' }, 'not-running'],
    [{ phase: 'paused' }, 'guest-paused'],
    [{ phase: 'starting' }, 'guest-paused'],
    [{ moving: true }, 'handoff-under-way'],
    [{ paired: false, connected: false }, 'not-paired'],
    [{ connected: false }, 'peer-unreachable'],
    [{ metered: true, whenUnmetered: true }, 'metered'],
  ])('waits: %j', (change, code) => {
    expect(obstacleTo({ ...ready, ...change }, 'cloud')?.code).toBe(code);
  });
});

test('tries are further and further apart, up to a limit', () => {
  const delays = [1, 2, 3, 4, 30].map(retryDelay);
  expect(delays).toEqual([2_000, 4_000, 8_000, 16_000, 300_000]);
});
