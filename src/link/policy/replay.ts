/** What the policy would have done on a recording: the dry run. Pure. */
import { Forecaster, forecastParameters, type Outlook } from '../forecast/index.ts';
import type { LinkSample } from '../sample.ts';
import type { Trace } from '../traces/index.ts';
import { decide } from './policy.ts';
import type { Rules } from './rules.ts';
import { type Connection, type Decision, initialState, type PolicyInput } from './types.ts';

export interface ReplayStep {
  /** Since the beginning of the recording. */
  readonly atMs: number;
  readonly guest: PolicyInput['guest'];
  readonly decision: Decision;
  readonly outlook: Outlook;
  readonly sample: LinkSample;
  /** The link was lost before the residue was across: the guest is cut off here. */
  readonly cutOff?: boolean;
}

export interface ReplaySettings {
  readonly rules: Rules;
  readonly residueBytes: number;
}

const SWITCHOVER_MS = 500;
/** A handoff that is not across when the link has been silent for this long has failed. */
const FAILED_MS = 5000;

/** A standby of constant residue is ready whenever the policy wants one. */
export function* replayPolicy(
  trace: Trace,
  { rules, residueBytes }: ReplaySettings,
): Generator<ReplayStep> {
  const forecaster = new Forecaster(forecastParameters);
  const firstMs = trace.rows[0]?.sample.atMs ?? 0;
  let state = initialState;
  let guest: PolicyInput['guest'] = 'here';
  let armed = false;
  let leftBytes = 0;
  let doneAtMs: number | undefined;
  let silentSinceMs: number | undefined;
  for (const { sample, durationMs, capacityBytes } of trace.rows) {
    forecaster.observe(sample);
    const outlook = forecaster.outlook();
    if (sample.connected) silentSinceMs = undefined;
    else silentSinceMs ??= sample.atMs;
    const cutOff =
      guest === 'moving' && silentSinceMs !== undefined && sample.atMs - silentSinceMs >= FAILED_MS;
    if (cutOff) {
      guest = 'here';
      doneAtMs = undefined;
    } else if (guest === 'moving' && doneAtMs !== undefined && sample.atMs >= doneAtMs)
      guest = 'away';
    const { state: next, decision } = decide(
      state,
      inputOf(sample, outlook, guest, armed ? residueBytes : undefined),
      rules,
    );
    state = next;
    yield {
      atMs: sample.atMs - firstMs,
      guest,
      decision,
      outlook,
      sample,
      ...(cutOff ? { cutOff } : {}),
    };
    if (decision.action === 'arm') armed = true;
    if (decision.action === 'return') guest = 'here';
    if (decision.action === 'fire') {
      guest = 'moving';
      leftBytes = residueBytes;
      doneAtMs = undefined;
    }
    if (guest !== 'moving' || doneAtMs !== undefined) continue;
    leftBytes -= sample.connected
      ? (capacityBytes ?? (outlook.bytesPerSecond * durationMs) / 1000)
      : 0;
    if (leftBytes <= 0) doneAtMs = sample.atMs + durationMs + SWITCHOVER_MS;
  }
}

function inputOf(
  sample: LinkSample,
  outlook: Outlook,
  guest: PolicyInput['guest'],
  residueBytes: number | undefined,
): PolicyInput {
  const { medium, network, bssid, atMs } = sample;
  const connection: Connection = {
    medium,
    ...(network === undefined ? {} : { network }),
    ...(bssid === undefined ? {} : { bssid }),
  };
  return {
    atMs,
    wallMs: atMs,
    minuteOfWeek: 0,
    guest,
    guestBusy: false,
    residueBytes,
    arming: false,
    outlook,
    probes: { suspect: false },
    connections: sample.connected ? [connection] : [],
    metered: false,
    battery: undefined,
    lid: 'open',
    suspendInMs: undefined,
    shutdownInMs: undefined,
    personAt: 'here',
    wish: undefined,
  };
}
