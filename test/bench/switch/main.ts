/**
 * What the embedded switch forwards (TTL, next hop, output), with 10 to 100,000 flows: the pipeline alone, between unix sockets, and
 * between TAPs beside Open vSwitch's userspace datapath in the same run.
 *
 *   npm run bench -- switch [--json] [--only pipeline|sockets|taps]      TAPs need root, QEMU and openvswitch-switch
 */
import { parseArgs } from 'node:util';
import { mayMakeNamespaces } from '../../lab/index.ts';
import { measurePipeline, type PipelineCase } from './pipeline.ts';
import { measureSockets } from './sockets.ts';
import { measureTaps } from './taps.ts';
import { FLOW_COUNTS, FRAME_BYTES, type Rate } from './traffic.ts';

/** Destinations of the traffic, however many flows there are; and as many as there are flows. */
const FEW = 10;
const MASK_COUNTS = [10, 100];

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const wanted = (part: string) => values.only === undefined || values.only === part;
const say = (text: string) => {
  if (!values.json) console.log(text);
};
const shown = ({ mpps, gbitPerSecond }: Rate) =>
  `${mpps.toFixed(2).padStart(6)} Mpps ${gbitPerSecond.toFixed(2).padStart(6)} Gbit/s`;
const named = ({ frameBytes, flows }: Rate) =>
  `${`${frameBytes}`.padStart(5)} bytes ${`${flows}`.padStart(7)} flows`;

function pipelines(): (Rate & PipelineCase)[] {
  const cases: PipelineCase[] = FRAME_BYTES.flatMap((frameBytes) =>
    FLOW_COUNTS.flatMap((flows) =>
      [...new Set([FEW, flows])].map((destinations) => ({ frameBytes, flows, destinations })),
    ),
  );
  const most = Math.max(...FLOW_COUNTS);
  for (const masks of MASK_COUNTS)
    cases.push({ frameBytes: 64, flows: most, destinations: FEW, masks });
  return cases.map((subject) => {
    const rate = measurePipeline(subject);
    const masks = subject.masks === undefined ? '' : `, ${subject.masks} other masks`;
    say(`  ${named(rate)} ${shown(rate)}   traffic to ${subject.destinations}${masks}`);
    return rate;
  });
}

/** Time of a packet with the most flows as a multiple of that with the fewest, the traffic being the same. */
function growth(rates: readonly (Rate & PipelineCase)[], frameBytes: number): number {
  const at = (flows: number) =>
    rates.find(
      (rate) => rate.frameBytes === frameBytes && rate.flows === flows && rate.destinations === FEW,
    )?.mpps ?? Number.NaN;
  return at(Math.min(...FLOW_COUNTS)) / at(Math.max(...FLOW_COUNTS));
}

const result: Record<string, unknown> = { schema: 1 };
if (wanted('pipeline')) {
  say('The pipeline alone, in one process, by processor time:');
  const rates = pipelines();
  result.pipeline = rates;
  result.growth = Object.fromEntries(FRAME_BYTES.map((bytes) => [bytes, growth(rates, bytes)]));
  for (const bytes of FRAME_BYTES)
    say(
      `  cost of a ${bytes}-byte packet with 100,000 flows: ${growth(rates, bytes).toFixed(2)} times that with 10`,
    );
}
if (wanted('sockets')) {
  say(
    'Between two unix sockets (sender, switch and receiver are processes), traffic to all flows:',
  );
  const rates: Rate[] = [];
  for (const frameBytes of FRAME_BYTES)
    for (const flows of FLOW_COUNTS) {
      const rate = await measureSockets(frameBytes, flows);
      rates.push(rate);
      say(`  ${named(rate)} ${shown(rate)}`);
    }
  result.sockets = rates;
}
if (wanted('taps') && !mayMakeNamespaces()) say('No TAPs: that needs root.');
else if (wanted('taps')) {
  say('Between two TAPs, traffic to all flows; ours through two adapters (QEMU):');
  const pairs: { embedded: Rate; openvswitch: Rate; ratio: number }[] = [];
  for (const flows of FLOW_COUNTS) {
    const ours = await measureTaps('embedded', FRAME_BYTES, flows);
    const theirs = await measureTaps('openvswitch', FRAME_BYTES, flows);
    for (const [index, embedded] of ours.entries()) {
      const openvswitch = theirs[index] as Rate;
      const ratio = embedded.mpps / openvswitch.mpps;
      pairs.push({ embedded, openvswitch, ratio });
      say(
        `  ${named(embedded)} ours ${shown(embedded)}   Open vSwitch ${shown(openvswitch)}   ratio ${ratio.toFixed(2)}`,
      );
    }
  }
  result.taps = pairs;
}
if (values.json) console.log(JSON.stringify(result));
