/** Flows and frames of the bench: rewrite and output, by destination address. */
import { type FlowSpec, ipToBigInt } from '../../../src/switch/index.ts';
import { numbered } from '../../datapath/harness.ts';

/** Frames are cut into chunks of about so many bytes, as reads from a socket are. */
const CHUNK_BYTES = 64 * 1024;
export const FRAME_BYTES = [64, 1514];
export const FLOW_COUNTS = [10, 1_000, 100_000];
export const NEXT_HOP = '525400000003';
const BASE = ipToBigInt('10.0.0.0');
const FIRST = Number(BASE);

/** What a gateway does for one destination: TTL, next hop, output to port 2. */
export function flowTo(destination: number): FlowSpec {
  const match = { eth_type: 0x0800n, ipv4_dst: BASE + BigInt(destination) };
  const actions = [
    { type: 'dec-nw-ttl' },
    { type: 'set-field', field: 'eth_dst', value: BigInt(`0x${NEXT_HOP}`) },
    { type: 'output', port: 2 },
  ] as const;
  return { table: 0, priority: 1, match, instructions: [{ type: 'apply-actions', actions }] };
}

export function addressOf(destination: number): string {
  return [24, 16, 8, 0].map((shift) => ((Number(BASE) + destination) >>> shift) & 255).join('.');
}

export function frameTo(destination: number, frameBytes: number): Buffer {
  const from = { mac: '52:54:00:00:00:02', address: '192.0.2.2' };
  return numbered(from, addressOf(destination), destination, frameBytes - 42);
}

/** Frames one behind the other, each behind the length that QEMU puts before it. */
export function chunkOf(frameBytes: number): Buffer {
  const frame = frameTo(0, frameBytes);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(frame.length);
  return Buffer.concat(
    Array(Math.ceil(CHUNK_BYTES / (frameBytes + 4)))
      .fill([header, frame])
      .flat(),
  );
}

/** Addresses the frames of a chunk to one destination after the other. @returns the next destination. */
export function address(chunk: Buffer, frameBytes: number, first: number, count: number): number {
  let destination = first;
  for (let at = 4 + 30; at < chunk.length; at += frameBytes + 4) {
    chunk.writeUInt32BE(FIRST + destination, at);
    destination = destination + 1 === count ? 0 : destination + 1;
  }
  return destination;
}

export interface Rate {
  readonly frameBytes: number;
  readonly flows: number;
  readonly mpps: number;
  readonly gbitPerSecond: number;
}

export function rateOf(frameBytes: number, flows: number, framesPerSecond: number): Rate {
  const mpps = framesPerSecond / 1e6;
  return { frameBytes, flows, mpps, gbitPerSecond: (framesPerSecond * frameBytes * 8) / 1e9 };
}
