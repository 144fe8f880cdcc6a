/**
 * Cost of forwarding in the embedded switch, in one process and without sockets: chunks of QEMU's stream framing in,
 * rewritten frames out.      node test/bench/switch-forward.ts [--json]
 */
import { parseArgs } from 'node:util';
import {
  type FlowSpec,
  FrameBatch,
  FrameReader,
  ipToBigInt,
  type Packet,
  Switch,
  type SwitchPort,
  zeroCounters,
} from '../../src/switch/index.ts';
import { numbered } from '../datapath/harness.ts';

const CHUNK_BYTES = 64 * 1024;
const SECONDS = 1;

class BatchPort implements SwitchPort {
  readonly number: number;
  readonly mtu = 65_535;
  readonly counters = zeroCounters();
  bytes = 0;
  readonly #batch = new FrameBatch((bytes) => {
    this.bytes += bytes.length;
  });

  constructor(number: number) {
    this.number = number;
  }

  send(packet: Packet): void {
    const offset = this.#batch.reserve(18 + packet.l3Bytes);
    this.#batch.buffer.writeUInt32BE(14 + packet.l3Bytes, offset);
    packet.writeFrame(this.#batch.buffer, offset + 4);
    this.counters.txPackets++;
  }

  flush(): void {
    this.#batch.flush();
  }
}

function rewriteAndOutput(address: bigint, priority: number): FlowSpec {
  const actions = [
    { type: 'dec-nw-ttl' },
    { type: 'set-field', field: 'eth_dst', value: 0x525400000003n },
    { type: 'output', port: 2 },
  ] as const;
  const match = { eth_type: 0x0800n, ipv4_dst: address };
  return { table: 0, priority, match, instructions: [{ type: 'apply-actions', actions }] };
}

function measure(frameBytes: number, flows: number) {
  const owner = new Switch(() => {});
  const input = new BatchPort(1);
  const output = new BatchPort(2);
  owner.attach(input);
  owner.attach(output);
  const base = ipToBigInt('10.0.0.0');
  for (let i = 0; i < flows; i++) owner.addFlow(rewriteAndOutput(base + BigInt(i), 1));
  const from = { mac: '52:54:00:00:00:02', address: '192.0.2.2' };
  const destinations = Math.min(flows, 1_000);
  const frames: Buffer[] = [];
  for (let bytes = 0, n = 0; bytes < CHUNK_BYTES; n++) {
    const to = `10.0.${((n % destinations) >> 8) & 255}.${(n % destinations) & 255}`;
    const frame = numbered(from, to, n, frameBytes - 42);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(frame.length);
    frames.push(header, frame);
    bytes += frame.length + 4;
  }
  const template = Buffer.concat(frames);
  const chunk = Buffer.from(template);
  const reader = new FrameReader('stream', (buffer, start, end) =>
    owner.receiveFrame(input, buffer, start, end),
  );
  const round = () => {
    template.copy(chunk);
    reader.push(chunk);
    owner.flush();
  };
  for (let i = 0; i < 200; i++) round();
  const before = output.counters.txPackets;
  const start = performance.now();
  while (performance.now() - start < SECONDS * 1000) round();
  const seconds = (performance.now() - start) / 1000;
  const perSecond = (output.counters.txPackets - before) / seconds;
  return {
    frameBytes,
    flows,
    mpps: perSecond / 1e6,
    gbitPerSecond: (perSecond * frameBytes * 8) / 1e9,
  };
}

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const results = [64, 1394].flatMap((bytes) =>
  [10, 1_000, 100_000].map((flows) => measure(bytes, flows)),
);
if (values.json) console.log(JSON.stringify({ schema: 1, results }));
else
  for (const { frameBytes, flows, mpps, gbitPerSecond } of results)
    console.log(
      `${frameBytes} bytes, ${flows} flows: ${mpps.toFixed(2)} Mpps, ${gbitPerSecond.toFixed(2)} Gbit/s`,
    );
