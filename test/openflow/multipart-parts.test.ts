import { expect, test } from 'vitest';
import {
  decodeMessage,
  encodeReply,
  encodeRequest,
  MultipartAssembler,
  type MultipartReplyBody,
  type MultipartRequestBody,
} from '../../src/openflow/index.ts';

const table = (number: number) => ({
  table: number,
  active: number,
  lookups: 1n,
  matched: 0n,
});

function flows(count: number): MultipartReplyBody {
  return {
    kind: 'flow',
    flows: Array.from({ length: count }, (_, i) => ({
      table: 0,
      durationSeconds: 1,
      durationNanoseconds: 2,
      priority: i & 0xffff,
      idleTimeout: 0,
      hardTimeout: 0,
      flags: 0,
      cookie: BigInt(i),
      packets: 0n,
      bytes: 0n,
      match: { eth_type: 0x86ddn, ipv6_dst: BigInt(i) },
      instructions: [{ type: 'goto-table', table: 1 }],
    })),
  };
}

function reassemble(parts: readonly Buffer[]): MultipartReplyBody | undefined {
  const assembler = new MultipartAssembler<MultipartReplyBody>('reply');
  let whole: MultipartReplyBody | undefined;
  for (const part of parts) {
    const { xid, message } = decodeMessage(part);
    if (message.type !== 'multipart-reply') throw new Error(message.type);
    expect(whole).toBeUndefined();
    whole = assembler.add(xid, message.more, message.body, part.length);
    expect(assembler.isOpen(xid)).toBe(message.more);
  }
  return whole;
}

test('a reply longer than a message goes in parts that are whole again at the other end', () => {
  const body = flows(5000);
  const parts = encodeReply(9, body);
  expect(parts.length).toBe(Math.ceil((5000 * 88) / (0xffff - 16)));
  expect(Math.max(...parts.map(({ length }) => length))).toBeLessThanOrEqual(0xffff);
  expect(reassemble(parts)).toEqual(body);
});

test('short and single replies go in one message', () => {
  for (const body of [flows(0), flows(1), flows(3)]) {
    const parts = encodeReply(9, body);
    expect(parts).toHaveLength(1);
    expect(reassemble(parts)).toEqual(body);
  }
});

test('table features of many tables are asked for in parts as well', () => {
  const body: MultipartRequestBody = {
    kind: 'table-features',
    tables: Array.from({ length: 254 }, (_, number) => ({
      table: number,
      name: `table ${number}`,
      metadataMatch: 0n,
      metadataWrite: 0n,
      config: 0,
      maxEntries: 1,
      properties: [
        { type: 'next-tables', miss: false, tables: Array.from({ length: 250 }, (_, i) => i) },
      ],
    })),
  };
  const parts = encodeRequest(1, body);
  expect(parts.length).toBeGreaterThan(1);
  const assembler = new MultipartAssembler<MultipartRequestBody>('request');
  const wholes = parts.map((part) => {
    const { xid, message } = decodeMessage(part);
    if (message.type !== 'multipart-request') throw new Error(message.type);
    return assembler.add(xid, message.more, message.body, part.length);
  });
  expect(wholes.at(-1)).toEqual(body);
  expect(wholes.slice(0, -1).every((whole) => whole === undefined)).toBe(true);
});

test('parts of different xids do not mix', () => {
  const assembler = new MultipartAssembler<MultipartReplyBody>('reply');
  assembler.add(1, true, { kind: 'table', tables: [table(1)] }, 40);
  assembler.add(2, true, { kind: 'table', tables: [table(2)] }, 40);
  expect(assembler.add(1, false, { kind: 'table', tables: [table(3)] }, 40)).toEqual({
    kind: 'table',
    tables: [table(1), table(3)],
  });
});

test('parts of another kind, or of one that has none, are refused', () => {
  const assembler = new MultipartAssembler<MultipartReplyBody>('reply');
  assembler.add(1, true, { kind: 'table', tables: [] }, 16);
  expect(() => assembler.add(1, true, { kind: 'flow', flows: [] }, 16)).toThrow(/bad-multipart/);
  expect(assembler.isOpen(1)).toBe(false);
  const single: MultipartReplyBody = { kind: 'aggregate', packets: 0n, bytes: 0n, flows: 0 };
  expect(() => assembler.add(2, true, single, 40)).toThrow(/bad-multipart/);
});

test('neither many nor large unfinished messages are kept', () => {
  const assembler = new MultipartAssembler<MultipartReplyBody>('reply', {
    concurrent: 2,
    bytes: 1000,
  });
  const part: MultipartReplyBody = { kind: 'table', tables: [table(1)] };
  assembler.add(1, true, part, 400);
  assembler.add(2, true, part, 400);
  expect(() => assembler.add(3, true, part, 1)).toThrow(/multipart-buffer-overflow/);
  expect(() => assembler.add(2, true, part, 400)).toThrow(/multipart-buffer-overflow/);
  // Dropped with all that it held.
  assembler.add(2, true, part, 600);
  expect(assembler.isOpen(1)).toBe(true);
});
