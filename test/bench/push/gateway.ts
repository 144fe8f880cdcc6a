/**
 * One gateway in a process of its own: the embedded switch with its OpenFlow endpoint, asked by the bench over the parent's channel.
 *
 *   node gateway.ts DATAPATH_ID CONTROLLER_PORT
 */
import { instructionsText, keyOf } from '../../../src/mobility/flows/canonical.ts';
import { GROUP, PORT, TABLE } from '../../../src/openflow/index.ts';
import { OpenFlowEndpoint } from '../../../src/switch/agent/index.ts';
import {
  OpenFlowSwitch,
  type Packet,
  type SwitchPort,
  zeroCounters,
} from '../../../src/switch/index.ts';
import { type Answer, KEEPALIVE, PORTS, type Question } from './protocol.ts';

const [datapathId = '', controllerPort = ''] = process.argv.slice(2);

/** What the last probe waits for, by the destination that its packet must have at the uplink. */
const waiting = new Map<string, () => void>();

class Sink implements SwitchPort {
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }

  send(packet: Packet): void {
    if (this.number !== PORTS.uplink || waiting.size === 0) return;
    // Destination of an IPv4 header without options.
    const destination = packet.toFrame().subarray(30, 34).toString('hex');
    const done = waiting.get(destination);
    waiting.delete(destination);
    done?.();
  }

  flush(): void {}
}

const bridge = new OpenFlowSwitch({ datapathId: BigInt(`0x${datapathId}`) });
for (const number of Object.values(PORTS)) bridge.engine.attach(new Sink(number));
new OpenFlowEndpoint({
  datapath: bridge,
  keepalive: KEEPALIVE,
  controllers: [{ type: 'tcp', host: '127.0.0.1', port: Number(controllerPort) }],
});

const tell = (answer: Answer) => process.send?.(answer);

process.on('message', (question: Question) => {
  const { id } = question;
  if (question.type === 'flows') {
    const reply = bridge.multipart({
      kind: 'flow',
      table: TABLE.all,
      outPort: PORT.any,
      outGroup: GROUP.any,
      cookie: BigInt(question.cookie),
      cookieMask: BigInt(question.mask),
      match: {},
    });
    const flows = reply.kind === 'flow' ? reply.flows : [];
    const texts = flows.map((flow) => `${keyOf(flow)} ${instructionsText(flow.instructions)}`);
    tell({ id, flows: texts.sort(), rss: process.memoryUsage.rss() });
    return;
  }
  const beganAt = performance.now();
  waiting.set(question.expect, () => tell({ id, delayMs: performance.now() - beganAt }));
  bridge.engine.inject(Buffer.from(question.frame, 'hex'), PORTS.hosts);
});
// The bench ended.
process.on('disconnect', () => process.exit());
