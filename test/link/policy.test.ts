import { describe, expect, test } from 'vitest';
import {
  type Decision,
  decide,
  defaultRules,
  initialState,
  type Outlook,
  type PolicyInput,
  rulesSchema,
} from '../../src/link/index.ts';

const good: Outlook = {
  evidence: 'steady',
  levelDbm: -52,
  slope: 0,
  bytesPerSecond: 5e6,
  secondsLeft: Number.POSITIVE_INFINITY,
  bytesLeft: Number.POSITIVE_INFINITY,
};
const falling = (secondsLeft: number, bytesLeft: number): Outlook => ({
  ...good,
  evidence: 'falling',
  levelDbm: -76,
  slope: -0.8,
  bytesPerSecond: bytesLeft / secondsLeft,
  secondsLeft,
  bytesLeft,
});
const weak: Outlook = { ...good, levelDbm: -70 };
const wifi = { medium: 'wifi', network: 'home', bssid: 'ap1' } as const;
const ethernet = { medium: 'ethernet' } as const;
const MONDAY_NOON = 12 * 60;

const base: PolicyInput = {
  atMs: 0,
  wallMs: 0,
  minuteOfWeek: MONDAY_NOON,
  guest: 'here',
  guestBusy: false,
  residueBytes: 400_000,
  arming: false,
  outlook: good,
  probes: { suspect: false },
  connections: [wifi],
  metered: false,
  battery: undefined,
  lid: 'open',
  suspendInMs: undefined,
  shutdownInMs: undefined,
  personAt: 'here',
  wish: undefined,
};

type RulesInput = Parameters<typeof rulesSchema.parse>[0];

/** One step a second; each step changes the input before it, and says what must be decided (action or code). */
interface Step {
  readonly set?: Partial<PolicyInput>;
  /** Seconds since the step before; default 1. */
  readonly after?: number;
  /** Monotonic and wall clock differ by this much more than before, ms. */
  readonly jump?: number;
  readonly want: string;
}

function run(steps: readonly Step[], rules: RulesInput = {}): Decision[] {
  const parsed = rulesSchema.parse(rules);
  let state = initialState;
  let input = base;
  return steps.map(({ set, after = 1, jump = 0 }) => {
    const atMs = input.atMs + after * 1000;
    input = { ...input, ...set, atMs, wallMs: input.wallMs + after * 1000 + jump };
    const result = decide(state, input, parsed);
    state = result.state;
    return result.decision;
  });
}

const repeat = (count: number, want: string, set?: Partial<PolicyInput>): Step[] =>
  Array.from({ length: count }, (_, i) => ({
    want,
    ...(i === 0 && set !== undefined ? { set } : {}),
  }));

const tables: Record<string, { rules?: RulesInput; steps: Step[] }> = {
  'a good link with a standby: nothing': {
    steps: [{ want: 'none/ready' }, { want: 'none/ready' }],
  },
  'a good link without a standby: make one': {
    steps: [
      { set: { residueBytes: undefined }, want: 'arm/arm' },
      { set: { arming: true }, want: 'none/ready' },
      { set: { arming: false, residueBytes: 1e6 }, want: 'none/ready' },
    ],
  },
  'a link that gets worse: tighten, then fire': {
    steps: [
      { want: 'none/ready' },
      { set: { outlook: falling(30, 20e6) }, want: 'none/ready' },
      { set: { outlook: falling(12, 4e6) }, want: 'tighten/tighten' },
      { set: { outlook: falling(4, 1.2e6) }, want: 'fire/loss' },
      { set: { guest: 'moving' }, want: 'none/moving' },
      { set: { guest: 'away' }, want: 'none/away' },
    ],
  },
  'falling, but the budget is far from the residue: nothing': {
    steps: [{ set: { outlook: falling(40, 200e6) }, want: 'none/ready' }],
  },
  'weak for hours without falling: nothing': { steps: repeat(20, 'none/ready', { outlook: weak }) },
  'a silent link: too late to fire': {
    steps: [
      { set: { outlook: { ...good, evidence: 'silent' }, connections: [] }, want: 'none/ready' },
    ],
  },
  'no standby on a weak link or over a metered network, or with little battery': {
    steps: [
      {
        set: { residueBytes: undefined, outlook: { ...good, levelDbm: -83 } },
        want: 'none/arm-weak',
      },
      { set: { outlook: good, metered: true }, want: 'none/arm-metered' },
      {
        set: { metered: false, battery: { charge: 0.15, onMains: false } },
        want: 'none/arm-battery',
      },
      { set: { battery: { charge: 0.15, onMains: true } }, want: 'arm/arm' },
      { set: { connections: [] }, want: 'none/arm-offline' },
    ],
  },
  'on a cable the air does not matter': {
    steps: [
      { set: { connections: [ethernet, wifi], outlook: falling(2, 1e5) }, want: 'none/ready' },
    ],
  },
  'unplugged, with the rule: leave': {
    rules: { leave: { onUndock: true } },
    steps: [
      { set: { connections: [ethernet, wifi] }, want: 'none/ready' },
      { set: { connections: [wifi] }, want: 'none/ready' },
      { want: 'fire/undock' },
    ],
  },
  'unplugged for a moment: nothing': {
    rules: { leave: { onUndock: true } },
    steps: [
      { set: { connections: [ethernet] }, want: 'none/ready' },
      { set: { connections: [wifi] }, after: 0.5, want: 'none/ready' },
      { set: { connections: [ethernet] }, after: 0.4, want: 'none/ready' },
      { want: 'none/ready' },
    ],
  },
  'unplugged without the rule: nothing': {
    steps: [
      { set: { connections: [ethernet] }, want: 'none/ready' },
      ...repeat(5, 'none/ready', { connections: [wifi] }),
    ],
  },
  'never on a cable: that is no undocking': {
    rules: { leave: { onUndock: true } },
    steps: repeat(5, 'none/ready'),
  },
  'a place to stay at: not even before a loss': {
    rules: { places: [{ name: 'office', medium: 'ethernet', rule: 'stay' }] },
    steps: [
      {
        set: { connections: [ethernet], battery: { charge: 0.01, onMains: false } },
        want: 'none/place-stay',
      },
      {
        set: { connections: [wifi], battery: undefined, outlook: falling(1, 1e5) },
        want: 'fire/loss',
      },
    ],
  },
  'a place to leave from, when the guest is idle': {
    rules: { places: [{ name: 'café', network: 'home', rule: 'leave' }] },
    steps: [
      { set: { guestBusy: true }, want: 'none/place-leave-busy' },
      { set: { guestBusy: false }, want: 'fire/place-leave' },
    ],
  },
  'a busy guest is waited for, but not for ever': {
    rules: {
      places: [{ name: 'café', network: 'home', rule: 'leave' }],
      leave: { busyWaitSeconds: 3 },
    },
    steps: [
      { set: { guestBusy: true }, want: 'none/place-leave-busy' },
      { want: 'none/place-leave-busy' },
      { want: 'none/place-leave-busy' },
      { want: 'fire/place-leave' },
    ],
  },
  'a planned leave makes its standby first': {
    rules: { places: [{ name: 'café', network: 'home', rule: 'leave' }] },
    steps: [
      { set: { residueBytes: undefined }, want: 'arm/place-leave-arm' },
      { set: { arming: true }, want: 'none/place-leave-arming' },
      { set: { arming: false, residueBytes: 5e5 }, want: 'fire/place-leave' },
    ],
  },
  'another place: nothing': {
    rules: { places: [{ name: 'café', network: 'other', rule: 'leave' }] },
    steps: [{ want: 'none/ready' }],
  },
  'a schedule to stay, and one to leave over midnight': {
    rules: {
      schedule: [
        { days: ['mon'], from: '09:00', to: '17:00', rule: 'stay' },
        { days: ['mon'], from: '22:00', to: '06:00', rule: 'leave' },
      ],
    },
    steps: [
      { set: { outlook: falling(1, 1e4) }, want: 'none/schedule-stay' },
      { set: { minuteOfWeek: 17 * 60, outlook: good }, want: 'none/ready' },
      { set: { minuteOfWeek: 24 * 60 + 5 * 60 }, want: 'fire/schedule-leave' },
      { set: { minuteOfWeek: 24 * 60 + 6 * 60 }, want: 'none/ready' },
    ],
  },
  'a schedule of Sunday reaches into Monday': {
    rules: { schedule: [{ days: ['sun'], from: '23:00', to: '01:00', rule: 'leave' }] },
    steps: [
      { set: { minuteOfWeek: 30 }, want: 'fire/schedule-leave' },
      { set: { minuteOfWeek: 61 }, want: 'none/ready' },
    ],
  },
  'battery nearly empty: leave, busy or not': {
    steps: [
      { set: { battery: { charge: 0.08, onMains: false }, guestBusy: true }, want: 'none/ready' },
      { set: { battery: { charge: 0.07, onMains: false } }, want: 'fire/battery' },
    ],
  },
  'battery nearly empty on mains: nothing': {
    steps: [{ set: { battery: { charge: 0.03, onMains: true } }, want: 'none/ready' }],
  },
  'sleep is coming: leave, and hold it up': {
    steps: [{ set: { suspendInMs: 5000 }, want: 'fire/suspend!' }],
  },
  'sleep is coming too soon: say so': {
    steps: [{ set: { suspendInMs: 300 }, want: 'none/suspend-too-late' }],
  },
  'sleep is coming without a standby: say so': {
    steps: [{ set: { suspendInMs: 5000, residueBytes: undefined }, want: 'none/suspend-unarmed' }],
  },
  'sleep is coming and the rule says no': {
    rules: { leave: { onSuspend: false } },
    steps: [{ set: { suspendInMs: 5000 }, want: 'none/ready' }],
  },
  'shutdown counts before everything that stays': {
    rules: { places: [{ name: 'home', network: 'home', rule: 'stay' }] },
    steps: [{ set: { shutdownInMs: 20_000 }, want: 'fire/shutdown!' }],
  },
  'the lid, only with the rule': { steps: [{ set: { lid: 'closed' }, want: 'none/ready' }] },
  'the lid, with the rule': {
    rules: { leave: { onLidClosed: true } },
    steps: [{ set: { lid: 'closed' }, want: 'fire/lid!' }],
  },
  'the person goes to another device': {
    rules: { leave: { followPerson: true } },
    steps: [
      { set: { personAt: 'unknown' }, want: 'none/ready' },
      { set: { personAt: 'elsewhere' }, want: 'fire/person' },
    ],
  },
  'no sensor: probes decide': {
    steps: [
      { set: { outlook: undefined }, want: 'none/ready' },
      { set: { probes: { suspect: true } }, want: 'fire/suspect' },
      { set: { residueBytes: undefined }, want: 'none/suspect-unarmed' },
    ],
  },
  'with a sensor that sees a good link, a silent peer alone is no loss': {
    steps: [{ set: { probes: { suspect: true } }, want: 'none/ready' }],
  },
  'a metered network may be left before a loss, unless the rule says no': {
    rules: { leave: { onMetered: false } },
    steps: [{ set: { metered: true, outlook: falling(2, 1e5) }, want: 'none/ready' }],
  },
  'waking up triggers nothing until things have settled': {
    rules: { leave: { onUndock: true } },
    steps: [
      { set: { connections: [ethernet] }, want: 'none/ready' },
      {
        set: { connections: [wifi], outlook: falling(1, 1e4) },
        after: 3600,
        want: 'none/settling',
      },
      ...repeat(9, 'none/settling'),
      { set: { outlook: good }, want: 'none/ready' },
      ...repeat(3, 'none/ready'),
    ],
  },
  'a clock that jumps triggers nothing, forwards or backwards': {
    rules: { schedule: [{ days: ['mon'], from: '18:00', to: '19:00', rule: 'leave' }] },
    steps: [
      { want: 'none/ready' },
      { set: { minuteOfWeek: 18 * 60 + 5 }, jump: 6 * 3_600_000, want: 'none/settling' },
      { set: { minuteOfWeek: MONDAY_NOON }, jump: -6 * 3_600_000, want: 'none/settling' },
      ...repeat(9, 'none/settling'),
      { want: 'none/ready' },
    ],
  },
  'a little slewing of the clock is no jump': {
    steps: [{ want: 'none/ready' }, { jump: 500, want: 'none/ready' }],
  },
  'shutdown right after waking up still counts': {
    steps: [
      { want: 'none/ready' },
      { set: { shutdownInMs: 10_000 }, after: 600, want: 'fire/shutdown!' },
    ],
  },
  'wishes win over rules, places, settling and switched-off automatics': {
    rules: { automatic: false, places: [{ name: 'home', network: 'home', rule: 'stay' }] },
    steps: [
      { want: 'none/manual' },
      { set: { wish: 'leave' }, after: 600, want: 'fire/wish-leave' },
      { set: { guest: 'away' }, want: 'none/wish-leave' },
      { set: { wish: 'return' }, want: 'return/wish-return' },
      { set: { guest: 'here', wish: 'stay', shutdownInMs: 5000 }, want: 'none/wish-stay' },
    ],
  },
  'away, not automatic: never returns by itself': {
    steps: repeat(30, 'none/away', { guest: 'away' }),
  },
  'away, automatic: returns after lasting recovery': {
    rules: { return: { automatic: true } },
    steps: [
      { set: { guest: 'away', outlook: weak }, want: 'none/away-weak' },
      ...repeat(8, 'none/away-waiting', { outlook: good }),
      { want: 'return/recovered' },
    ],
  },
  'a gap in the recovery begins it anew': {
    rules: { return: { automatic: true } },
    steps: [
      ...repeat(7, 'none/away-waiting', { guest: 'away' }),
      { set: { outlook: weak }, want: 'none/away-weak' },
      ...repeat(8, 'none/away-waiting', { outlook: good }),
      { want: 'return/recovered' },
    ],
  },
  'a place that does not answer is no recovery': {
    rules: { return: { automatic: true } },
    steps: repeat(12, 'none/away-weak', { guest: 'away', probes: { suspect: true } }),
  },
  'does not return to what it would leave again': {
    rules: { return: { automatic: true } },
    steps: repeat(12, 'none/away-cause', {
      guest: 'away',
      battery: { charge: 0.05, onMains: false },
    }),
  },
  'does not return while the person is elsewhere': {
    rules: { return: { automatic: true } },
    steps: repeat(12, 'none/away-person', { guest: 'away', personAt: 'elsewhere' }),
  },
  'a return that did not last doubles the wait': {
    rules: { return: { automatic: true } },
    steps: [
      ...repeat(8, 'none/away-waiting', { guest: 'away' }),
      { want: 'return/recovered' },
      { set: { guest: 'here' }, want: 'none/ready' },
      ...repeat(16, 'none/away-waiting', { guest: 'away' }),
      { want: 'return/recovered' },
      { set: { guest: 'here' }, want: 'none/ready' },
      ...repeat(32, 'none/away-waiting', { guest: 'away' }),
      { want: 'return/recovered' },
    ],
  },
};

describe('what is decided', () => {
  for (const [name, { rules, steps }] of Object.entries(tables))
    test(name, () => {
      const got = run(steps, rules).map(
        ({ action, code, inhibit }) => `${action}/${code}${inhibit ? '!' : ''}`,
      );
      expect(got).toEqual(steps.map(({ want }) => want));
    });
});

test('never flaps: a link that swings for an hour costs few handoffs', () => {
  const rules = rulesSchema.parse({ return: { automatic: true } });
  let state = initialState;
  let guest: PolicyInput['guest'] = 'here';
  let fires = 0;
  for (let second = 0; second < 3600; second++) {
    const outlook = second % 60 < 30 ? good : falling(2, 1e5);
    const input = { ...base, atMs: second * 1000, wallMs: second * 1000, guest, outlook };
    const result = decide(state, input, rules);
    state = result.state;
    if (result.decision.action === 'fire') {
      fires++;
      guest = 'away';
    }
    if (result.decision.action === 'return') guest = 'here';
  }
  expect(fires).toBeLessThanOrEqual(4);
});

test('every decision is explained in one line', () => {
  for (const { rules, steps } of Object.values(tables))
    for (const { why } of run(steps, rules)) {
      expect(why.length).toBeGreaterThan(5);
      expect(why).not.toMatch(/\n|undefined|NaN|Infinity/);
    }
  const [decision] = run([{ set: { outlook: falling(11, 3e6) }, want: '' }]);
  expect(decision?.why).toBe(
    '-76 dBm, falling 0.8 dB/s: about 11 s and 3.0 MB left; standby needs 0.4 MB',
  );
});

test('the sensor is hurried when it matters, and left alone when it does not', () => {
  const paces = run([
    { want: '' },
    { set: { outlook: weak }, want: '' },
    { set: { outlook: falling(2, 1e5) }, want: '' },
    { set: { connections: [ethernet] }, want: '' },
  ]).map(({ pace }) => pace);
  expect(paces).toEqual(['slow', 'fast', 'fast', 'slow']);
});

describe('rules', () => {
  test('need nothing to be written', () => {
    expect(rulesSchema.parse({})).toEqual(defaultRules);
    expect(defaultRules.leave.onLoss).toBe(true);
    expect(defaultRules.return.automatic).toBe(false);
  });

  for (const [name, rules] of Object.entries({
    'a word that does not exist': { leaves: {} },
    'a level above zero': { return: { signalDbm: 5 } },
    'a time of day that is none': { schedule: [{ from: '24:00', to: '01:00', rule: 'stay' }] },
    'a version to come': { version: 2 },
  }))
    test(`refuse ${name}`, () => {
      expect(rulesSchema.safeParse(rules).success).toBe(false);
    });
});
