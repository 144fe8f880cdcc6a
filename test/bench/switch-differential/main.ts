/**
 * The embedded switch against Open vSwitch: the same random flows and packets to both, and what they make of them compared, byte
 * for byte: errors, packets that come out, in order, with reason, table and cookie.
 *
 *   npm run bench -- switch-differential [--cases N] [--seed N] [--json]      needs the Debian package openvswitch-switch
 */
import { parseArgs } from 'node:util';
import {
  flowMod,
  formatMatch,
  formatMessage,
  type Message,
  NO_BUFFER,
  OpenFlowError,
  PORT,
  TABLE,
} from '../../../src/openflow/index.ts';
import { OpenFlowSwitch } from '../../../src/switch/index.ts';
import { randomFlows } from './flows.ts';
import { randomFrame } from './frames.ts';
import { PORTS, type Reference, startOpenVSwitch } from './openvswitch.ts';
import { Random } from './random.ts';

const SHOWN = 10;
const NO_COOKIE = 0xffff_ffff_ffff_ffffn;

function caseOf(seed: number): { frame: Buffer; messages: Message[] } {
  const random = new Random(seed);
  const { frame, fields } = randomFrame(random);
  const actions = [{ type: 'output', port: PORT.table } as const];
  const packet = {
    type: 'packet-out',
    buffer: NO_BUFFER,
    inPort: 1,
    actions,
    data: frame,
  } as const;
  return { frame, messages: [...randomFlows(fields, random), packet, packet] };
}

/** What the comparison looks at. */
function outcome(message: Message): string {
  if (message.type === 'error') return `error ${message.errorType}/${message.code}`;
  if (message.type !== 'packet-in') return message.type;
  const { reason, table, cookie, match, data } = message;
  // Only we pad a frame that gets too short for Ethernet.
  const hex = Buffer.from(data)
    .toString('hex')
    .replace(/(00)+$/, '');
  // Of a packet from the action set Open vSwitch says the first table, we the last one.
  const where = cookie === NO_COOKIE ? 'action set' : `table ${table}`;
  return `${reason} ${where} cookie ${cookie.toString(16)} ${formatMatch(match)} ${hex}`;
}

/** Open vSwitch goes on with the action set of a packet whose TTL was over; we drop it. */
function comparable(answers: readonly string[]): string {
  return answers
    .filter((line, n) => !line.includes(' action set ') || !answers[n - 1]?.startsWith('invalid'))
    .join('\n');
}

function ours(messages: readonly Message[]): string[] {
  const subject = new OpenFlowSwitch({ datapathId: 1n });
  const answers: string[] = [];
  for (const number of PORTS) subject.engine.attach(sink(number));
  subject.listen({
    packetIn: (event) => answers.push(outcome(subject.packetInMessage(event, 0xffff))),
    flowRemoved: () => {},
    portStatus: () => {},
  });
  for (const message of messages) {
    try {
      if (message.type === 'flow-mod') subject.flowMod(message);
      else if (message.type === 'packet-out') subject.packetOut(message);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      answers.push(`error ${error.errorType}/${error.code}`);
    }
  }
  return answers;
}

function sink(number: number) {
  const counters = {
    rxPackets: 0,
    rxBytes: 0,
    txPackets: 0,
    txBytes: 0,
    rxDropped: 0,
    txDropped: 0,
  };
  return { number, mtu: 65_535, counters, send: () => {}, flush: () => {} };
}

async function theirs(reference: Reference, messages: readonly Message[]): Promise<string[]> {
  const clear = flowMod({ command: 'delete', table: TABLE.all });
  return (await reference.ask([clear, ...messages])).map(outcome);
}

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const reference = await startOpenVSwitch();
const differences: number[] = [];
let packets = 0;
let refusals = 0;
try {
  for (let n = 0; n < Number(values.cases); n++) {
    const seed = Number(values.seed) + n;
    const { messages, frame } = caseOf(seed);
    const mine = ours(messages);
    const other = await theirs(reference, messages);
    packets += other.filter((line) => !line.startsWith('error')).length;
    refusals += other.filter((line) => line.startsWith('error')).length;
    if (comparable(mine) === comparable(other)) continue;
    differences.push(seed);
    if (values.json || differences.length > SHOWN) continue;
    console.log(`\nseed ${seed}: ${frame.toString('hex')}`);
    for (const message of messages.slice(0, -2))
      console.log(`  ${formatMessage({ xid: 0, message })}`);
    console.log(
      `  embedded:\n    ${mine.join('\n    ')}\n  Open vSwitch:\n    ${other.join('\n    ')}`,
    );
  }
} finally {
  await reference.close();
}
const result = { schema: 1, cases: Number(values.cases), packets, refusals, differences };
if (values.json) console.log(JSON.stringify(result));
else
  console.log(
    `${result.cases} cases, ${packets} packets and ${refusals} errors from Open vSwitch, ${differences.length} cases differ`,
  );
process.exitCode = differences.length === 0 ? 0 : 1;
