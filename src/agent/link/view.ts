/** What the agent tells of its link. */
import type { DecisionView, LinkView } from '../../api/index.ts';
import {
  bandOf,
  describeOutlook,
  type LinkSample,
  type LinkSensor,
  type Outlook,
  type Rules,
  type SensorState,
} from '../../link/index.ts';

export interface LinkFacts {
  readonly sensor: LinkSensor | undefined;
  readonly sensorState: SensorState | undefined;
  /** Undefined when nothing recent is known. */
  readonly outlook: Outlook | undefined;
  readonly sample: LinkSample | undefined;
  readonly rttMs: number | undefined;
  readonly rules: Rules;
  readonly now: readonly DecisionView[];
  readonly recent: readonly DecisionView[];
}

const BITS = 1_000_000;

export function linkView(facts: LinkFacts): LinkView {
  const { outlook, rttMs, rules, now, recent } = facts;
  // What is old says nothing of now.
  const sample = outlook === undefined ? undefined : facts.sample;
  const rate = sample?.txRateMbps ?? sample?.rxRateMbps;
  return {
    sensor: sensorView(facts),
    connected: sample?.connected ?? null,
    signalDbm: sample?.signalDbm ?? null,
    band: bandOf(sample?.frequencyMhz) ?? null,
    rateBitsPerSecond: rate === undefined ? null : rate * BITS,
    rttMs: rttMs ?? null,
    forecast: outlook === undefined ? null : forecastView(outlook),
    policy: { automatic: rules.automatic, rules, now: [...now], recent: [...recent] },
  };
}

function sensorView({ sensor, sensorState }: LinkFacts): LinkView['sensor'] {
  if (sensor === undefined || sensorState === undefined)
    return { name: sensor?.name ?? 'none', state: 'missing' };
  const { name } = sensor;
  const { kind: state } = sensorState;
  return sensorState.kind === 'broken'
    ? { name, state, reason: sensorState.reason }
    : { name, state };
}

function forecastView(outlook: Outlook): NonNullable<LinkView['forecast']> {
  const finite = (value: number) => (Number.isFinite(value) ? Math.max(value, 0) : null);
  return {
    evidence: outlook.evidence,
    slopeDbPerSecond: outlook.slope,
    secondsLeft: finite(outlook.secondsLeft),
    bytesLeft: finite(outlook.bytesLeft),
    text: describeOutlook(outlook),
  };
}
