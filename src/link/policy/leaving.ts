/** Whether a guest that is here leaves, and whether a standby is kept. */
import { describeNeed, describeOutlook, forecastParameters, isTime } from '../forecast/index.ts';
import { type Rules, scheduleAt } from './rules.ts';
import { act, type Choice, isWired, none, type PolicyInput, type PolicyState } from './types.ts';

const UNDOCK_MS = 1000;
/** The pause itself and its round trips. */
const SWITCHOVER_MS = 500;
/** Assumed of a link of which nothing is known. */
const UNKNOWN_BYTES_PER_SECOND = 100_000;

export function leave(state: PolicyState, input: PolicyInput, rules: Rules): Choice {
  return (
    ending(input, rules) ??
    staying(input, rules) ??
    planned(state, input, rules) ??
    losing(input, rules) ??
    readiness(input, rules)
  );
}

/** What will end the session whether the guest is gone or not. */
export function ending(input: PolicyInput, rules: Rules): Choice | undefined {
  const causes = [
    {
      on: rules.leave.onShutdown,
      inMs: input.shutdownInMs,
      code: 'shutdown',
      what: 'The machine shuts down',
    },
    {
      on: rules.leave.onSuspend,
      inMs: input.suspendInMs,
      code: 'suspend',
      what: 'The machine goes to sleep',
    },
    {
      on: rules.leave.onLidClosed,
      inMs: input.lid === 'closed' ? Number.POSITIVE_INFINITY : undefined,
      code: 'lid',
      what: 'The lid was closed',
    },
  ];
  for (const { on, inMs, code, what } of causes) {
    if (!on || inMs === undefined) continue;
    if (input.residueBytes === undefined)
      return none(`${code}-unarmed`, `${what}, but no standby is ready`);
    const needMs = needOf(input.residueBytes, input);
    if (needMs <= inMs)
      return act(
        'fire',
        code,
        `${what}: handing over takes about ${Math.ceil(needMs / 1000)} s`,
        true,
      );
    return none(
      `${code}-too-late`,
      `${what} in ${Math.round(inMs / 1000)} s, but handing over would take ${Math.ceil(needMs / 1000)} s`,
    );
  }
  return undefined;
}

function staying(input: PolicyInput, rules: Rules): Choice | undefined {
  const place = placeNow(input, rules, 'stay');
  if (place !== undefined)
    return keepReady(input, rules, 'place-stay', `You said never to leave from ${place.name}`);
  const schedule = scheduleAt(rules, input.minuteOfWeek);
  if (schedule?.rule === 'stay')
    return keepReady(
      input,
      rules,
      'schedule-stay',
      `You said not to leave between ${schedule.from} and ${schedule.to}`,
    );
  return undefined;
}

/** Reasons that can wait until the guest is idle. */
function planned(state: PolicyState, input: PolicyInput, rules: Rules): Choice | undefined {
  const cause = plannedCause(state, input, rules);
  if (cause === undefined) return undefined;
  if (input.residueBytes === undefined) {
    if (input.arming)
      return none(`${cause.code}-arming`, `${cause.why}; the standby is being made`);
    return act('arm', `${cause.code}-arm`, `${cause.why}; a standby has to be made first`);
  }
  const busyMs = state.busySinceMs === undefined ? undefined : input.atMs - state.busySinceMs;
  if (busyMs !== undefined && cause.waits && busyMs < rules.leave.busyWaitSeconds * 1000)
    return none(`${cause.code}-busy`, `${cause.why}; waiting until the guest is idle`);
  return act('fire', cause.code, cause.why);
}

export function plannedCause(state: PolicyState, input: PolicyInput, rules: Rules) {
  const { battery } = input;
  if (
    battery !== undefined &&
    !battery.onMains &&
    battery.charge <= rules.leave.batteryBelow &&
    rules.leave.batteryBelow > 0
  )
    return {
      code: 'battery',
      why: `The battery is at ${Math.round(battery.charge * 100)} %`,
      waits: false,
    };
  if (
    rules.leave.onUndock &&
    state.ethernetLostAtMs !== undefined &&
    input.atMs - state.ethernetLostAtMs >= UNDOCK_MS
  )
    return { code: 'undock', why: 'The network cable was unplugged', waits: false };
  if (rules.leave.followPerson && input.personAt === 'elsewhere')
    return { code: 'person', why: 'You are at another device', waits: true };
  const place = placeNow(input, rules, 'leave');
  if (place !== undefined)
    return { code: 'place-leave', why: `You said always to leave from ${place.name}`, waits: true };
  const schedule = scheduleAt(rules, input.minuteOfWeek);
  if (schedule?.rule === 'leave')
    return {
      code: 'schedule-leave',
      why: `You said to leave between ${schedule.from} and ${schedule.to}`,
      waits: true,
    };
  return undefined;
}

function losing(input: PolicyInput, rules: Rules): Choice | undefined {
  const { residueBytes, outlook } = input;
  if (!rules.leave.onLoss) return undefined;
  // Another way to the network that does not run over the air.
  if (isWired(input)) return undefined;
  if (input.metered && !rules.leave.onMetered) return undefined;
  if (outlook === undefined) {
    if (!input.probes.suspect) return undefined;
    if (residueBytes === undefined)
      return none('suspect-unarmed', 'The place does not answer, and no standby is ready');
    return act('fire', 'suspect', 'There is no signal to go by, and the place does not answer');
  }
  if (residueBytes === undefined) return undefined;
  const text = `${describeOutlook(outlook)}; ${describeNeed(residueBytes)}`;
  if (isTime(outlook, residueBytes, forecastParameters)) return act('fire', 'loss', text);
  if (isTime(outlook, residueBytes * rules.tightenAt, forecastParameters))
    return act('tighten', 'tighten', text);
  return undefined;
}

/** Nothing to do, or a standby to be made. */
function readiness(input: PolicyInput, rules: Rules): Choice {
  const { residueBytes, outlook } = input;
  const link = outlook === undefined ? 'No wireless figures' : describeOutlook(outlook);
  if (residueBytes !== undefined) return none('ready', `${link}; ${describeNeed(residueBytes)}`);
  return keepReady(input, rules, 'ready', link);
}

/** Arms if it may; else says why not. */
function keepReady(input: PolicyInput, rules: Rules, code: string, why: string): Choice {
  const { residueBytes, battery, outlook } = input;
  if (residueBytes !== undefined || input.arming)
    return none(code, input.arming ? `${why}; the standby is being made` : why);
  if (!rules.arm.enabled) return none(code, `${why}; keeping a standby is switched off`);
  if (input.metered && !rules.arm.onMetered)
    return none('arm-metered', `${why}; no standby is made over a metered network`);
  if (battery !== undefined && !battery.onMains && battery.charge < rules.arm.batteryAbove)
    return none(
      'arm-battery',
      `${why}; no standby is made at ${Math.round(battery.charge * 100)} % of battery`,
    );
  if (input.connections.length === 0 || outlook?.evidence === 'silent')
    return none('arm-offline', `${why}; there is no network`);
  if (!isWired(input) && outlook !== undefined && outlook.levelDbm < rules.arm.signalDbm)
    return none('arm-weak', `${why}; the signal is too weak to make a standby`);
  return act('arm', 'arm', `${why}; a standby is made while the link is good`);
}

function needOf(residueBytes: number, { probes, outlook }: PolicyInput): number {
  const rate = probes.bytesPerSecond ?? (outlook?.bytesPerSecond || UNKNOWN_BYTES_PER_SECOND);
  return (residueBytes / Math.max(rate, 1)) * 1000 + SWITCHOVER_MS;
}

function placeNow({ connections }: PolicyInput, rules: Rules, rule: 'stay' | 'leave') {
  return rules.places.find(
    (place) =>
      place.rule === rule &&
      connections.some(
        (one) =>
          (place.medium === undefined || place.medium === one.medium) &&
          (place.network === undefined || place.network === one.network) &&
          (place.bssid === undefined || place.bssid === one.bssid),
      ),
  );
}
