// `npm run bench -- openflow-fuzz [--messages N] [--seed N] [--json]`: mutated OpenFlow messages through the decoder, the
// encoder, the formatter and the assembler of parts. Fails on a crash, on one message that takes over 100 ms, or when memory grows.

import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  decodeMessage,
  encodeMessage,
  errorMessage,
  formatMessage,
  MultipartAssembler,
  type MultipartReplyBody,
  OpenFlowError,
} from '../../src/openflow/index.ts';
import { golden } from '../openflow/golden.ts';
import { mutate, Random } from '../openflow/mutate.ts';

const SLOW_MS = 100;
const GROWTH_BYTES = 64 * 1024 * 1024;
const BATCH = 100_000;

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const total = Number(values.messages);
const random = new Random(Number(values.seed));
const seeds = [...golden('openvswitch'), ...golden('os-ken')]
  .map(({ bytes }) => bytes)
  .filter(({ length }) => length < 5000);
// As many small structures as a message holds.
const crowded = encodeMessage(1, {
  type: 'packet-out',
  buffer: 0xffffffff,
  inPort: 1,
  actions: new Array(8000).fill({ type: 'dec-nw-ttl' }),
  data: new Uint8Array(),
});
const pick = () =>
  random.below(2000) === 0 ? crowded : (seeds[random.below(seeds.length)] as Buffer);
const assembler = new MultipartAssembler<MultipartReplyBody>('reply', {
  concurrent: 8,
  bytes: 65_536,
});

const errors = new Map<string, number>();
let understood = 0;
let slowest = 0;

function one(bytes: Buffer): void {
  try {
    const decoded = decodeMessage(bytes);
    understood++;
    const { xid, message } = decoded;
    const again = encodeMessage(xid, message);
    if (formatMessage(decodeMessage(again)) !== formatMessage(decoded))
      throw new Error('the message changed when it was encoded again');
    if (message.type === 'multipart-reply')
      assembler.add(random.below(10), message.more, message.body, bytes.length);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) {
      console.error(`crashed on ${bytes.toString('hex')}`);
      throw error;
    }
    encodeMessage(1, errorMessage(error, bytes));
    const name = error.message.replace(/:.*/, '');
    errors.set(name, (errors.get(name) ?? 0) + 1);
  }
}

function timed(bytes: Buffer): number {
  const before = performance.now();
  one(bytes);
  return performance.now() - before;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that are in use after a collection. */
function inUse(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const began = performance.now();
let settled = 0;
let peak = 0;
for (let done = 0; done < total; ) {
  for (const end = Math.min(done + BATCH, total); done < end; done++) {
    const bytes = mutate(random, pick(), pick());
    let took = timed(bytes);
    // The machine may have been busy with something else.
    for (let again = 0; took > SLOW_MS && again < 3; again++) took = Math.min(took, timed(bytes));
    slowest = Math.max(slowest, took);
  }
  const used = inUse();
  // The first batches fill caches and compile.
  if (done <= 3 * BATCH) settled = Math.max(settled, used);
  peak = Math.max(peak, used);
}
const seconds = (performance.now() - began) / 1000;
const growth = peak - settled;
const failed = slowest > SLOW_MS || growth > GROWTH_BYTES;

const report = {
  messages: total,
  seconds: Number(seconds.toFixed(1)),
  perSecond: Math.round(total / seconds),
  understood,
  refused: Object.fromEntries([...errors].sort(([, a], [, b]) => b - a)),
  slowestMs: Number(slowest.toFixed(2)),
  growthMiB: Number((growth / 1048576).toFixed(1)),
  passed: !failed,
};
if (values.json) console.log(JSON.stringify(report));
else {
  const { refused, ...figures } = report;
  for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(12)} ${value}`);
  for (const [name, count] of Object.entries(refused)) console.log(`  ${name.padEnd(36)} ${count}`);
}
process.exitCode = failed ? 1 : 0;
