import type { PolicyView } from '../../api/index.ts';
import {
  type Connection,
  describeOutlook,
  LinkMonitor,
  type LinkSample,
  loadRules,
  loadTraces,
  type MonitorEvent,
  type ReplayStep,
  type Rules,
  readBattery,
  readInterfaces,
  replayPolicy,
  type Situation,
  type Trace,
  wifiSensor,
} from '../../link/index.ts';
import { type CommonOptions, Output } from '../output.ts';
import { joined, printable } from '../text.ts';
import { formatBytes, parseSize } from '../units.ts';
import { withAgent } from '../with-agent.ts';
import { describeRules } from './policy-rules.ts';

export interface PolicyOptions extends CommonOptions {
  readonly rules?: string;
  readonly residue: string;
}

export interface ExplainOptions extends PolicyOptions {
  readonly for: string;
}

export interface PolicyReplayOptions extends PolicyOptions {
  readonly all?: boolean;
}

/** What would be done here and now with a guest that has a standby, and why. */
export async function explain(options: ExplainOptions): Promise<void> {
  const output = new Output(options);
  const rules = await loadRules(options.rules);
  const residueBytes = parseSize(options.residue);
  const [interfaces, battery] = await Promise.all([readInterfaces(), readBattery()]);
  const sensor =
    process.platform === 'linux' || process.platform === 'darwin' || process.platform === 'win32'
      ? wifiSensor()
      : undefined;
  const wired = interfaces.filter(({ medium, up }) => medium !== 'wifi' && up);
  const situation = (sample: LinkSample | undefined): Situation => ({
    guest: 'here',
    guestBusy: false,
    residueBytes,
    arming: false,
    probes: { suspect: false },
    connections: [...wired.map(({ medium }): Connection => ({ medium })), ...connectionOf(sample)],
    metered: false,
    battery,
    lid: 'open',
    suspendInMs: undefined,
    shutdownInMs: undefined,
    personAt: 'here',
    wish: undefined,
  });
  const monitor = new LinkMonitor({ sensor, rules: () => rules, situation });
  const last = await watchFor(monitor, Math.min(Math.max(Number(options.for) || 0, 1), 600) * 1000);
  const state = monitor.sensorState;
  await monitor.close();
  const decision = last?.decision ?? monitor.reconsider();
  const sensorText =
    sensor === undefined
      ? 'no sensor on this system'
      : state?.kind === 'broken'
        ? `${sensor.name} does not work: ${state.reason}`
        : `${sensor.name} works`;
  output.result(
    {
      decision,
      outlook: last?.outlook ?? null,
      sensor: state ?? null,
      interfaces,
      battery: battery ?? null,
      rules,
    },
    [
      `decision    ${decision.action}: ${printable(decision.why)}`,
      `sensor      ${printable(sensorText)}`,
      `link        ${last?.outlook === undefined ? 'no wireless figures' : describeOutlook(last.outlook)}`,
      `interfaces  ${joined(interfaces.map(({ name, medium, up }) => `${name} (${medium}, ${up ? 'up' : 'down'})`)) || 'none'}`,
      `battery     ${battery === undefined ? 'none' : `${Math.round(battery.charge * 100)} %, ${battery.onMains ? 'on mains' : 'discharging'}`}`,
      ...describeRules(rules).map(
        (line, index) => `${index === 0 ? 'rules' : ''}`.padEnd(12) + printable(line),
      ),
    ].join('\n'),
  );
}

type DecisionEvent = Extract<MonitorEvent, { kind: 'decision' }>;

async function watchFor(monitor: LinkMonitor, ms: number): Promise<DecisionEvent | undefined> {
  let last: DecisionEvent | undefined;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ms);
  const interrupted = () => abort.abort();
  process.once('SIGINT', interrupted);
  const events = monitor.events(abort.signal);
  monitor.start();
  for await (const event of events) if (event.kind === 'decision') last = event;
  clearTimeout(timer);
  process.off('SIGINT', interrupted);
  return last;
}

function connectionOf(sample: LinkSample | undefined): Connection[] {
  if (sample?.connected !== true) return [];
  const { medium, network, bssid } = sample;
  return [
    {
      medium,
      ...(network === undefined ? {} : { network }),
      ...(bssid === undefined ? {} : { bssid }),
    },
  ];
}

/** What would have happened on a recording. Prints changes only, unless all steps are asked for. */
export async function replay(path: string, options: PolicyReplayOptions): Promise<void> {
  const output = new Output(options);
  const rules = await loadRules(options.rules);
  const residueBytes = parseSize(options.residue);
  for (const trace of await loadTraces(path)) {
    output.remark(
      `${trace.id}: ${trace.rows.length} samples, residue ${formatBytes(residueBytes)}`,
    );
    replayTrace(trace, rules, residueBytes, options.all ?? false, output);
  }
}

function replayTrace(
  trace: Trace,
  rules: Rules,
  residueBytes: number,
  all: boolean,
  output: Output,
): void {
  let before: ReplayStep | undefined;
  const counts = { arm: 0, fire: 0, return: 0, cutOff: 0 };
  for (const step of replayPolicy(trace, { rules, residueBytes })) {
    const { action } = step.decision;
    if (action === 'arm' || action === 'fire' || action === 'return') counts[action]++;
    if (step.cutOff === true) counts.cutOff++;
    if (
      all ||
      before?.decision.code !== step.decision.code ||
      before?.guest !== step.guest ||
      step.cutOff === true
    ) {
      const { atMs, guest, decision, cutOff } = step;
      output.result(
        {
          trace: trace.id,
          atMs,
          guest,
          action,
          code: decision.code,
          why: decision.why,
          ...(cutOff ? { cutOff } : {}),
        },
        `${(atMs / 1000).toFixed(1).padStart(8)} s  ${guest.padEnd(6)}  ${action.padEnd(7)}  ${printable(decision.why)}${cutOff ? ' (the handoff was cut off)' : ''}`,
      );
    }
    before = step;
  }
  const { arm, fire, return: back, cutOff } = counts;
  output.remark(`${arm} armed, ${fire} handed over, ${cutOff} cut off, ${back} returned`);
}

/** The rules that the agent follows; with --json as a file for `policy set`. */
export async function show(options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const policy = await client.call('policy.show', {});
    output.result(policy.rules, describePolicy(policy));
  });
}

export async function set(file: string, options: CommonOptions): Promise<void> {
  const rules = await loadRules(file);
  await withAgent(options, async (client, output) => {
    const policy = await client.call('policy.set', { rules });
    output.done(policy, describePolicy(policy));
  });
}

export async function auto(onOrOff: string, options: CommonOptions): Promise<void> {
  await withAgent(options, async (client, output) => {
    const policy = await client.call('policy.auto', { on: onOrOff === 'on' });
    output.done(policy, describePolicy(policy));
  });
}

function describePolicy({ automatic, rules }: PolicyView): string {
  return [
    `automatic handoff is ${automatic ? 'on' : 'off'}${automatic ? '' : '; when on:'}`,
    ...describeRules({ ...rules, automatic: true }).map((rule) => `  ${printable(rule)}`),
  ].join('\n');
}
