import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  errorMessage,
  formatMessage,
  OpenFlowError,
  openFlowError,
} from '../../src/openflow/index.ts';
import { message } from './arbitrary.ts';
import { golden } from './golden.ts';
import { mutate, Random } from './mutate.ts';

const recorded = [...golden('openvswitch'), ...golden('os-ken')].map(({ bytes }) => bytes);
const u32 = fc.integer({ min: 0, max: 0xffffffff });

/** What a peer is answered with; anything but a message or an OpenFlowError is a defect. */
function outcome(bytes: Uint8Array): string {
  try {
    return formatMessage(decodeMessage(bytes));
  } catch (error) {
    if (error instanceof OpenFlowError) return error.message;
    throw error;
  }
}

function withLength(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(copy.length, 2);
  return copy;
}

test('every message comes back from its bytes as it was', () => {
  fc.assert(
    fc.property(u32, message, (xid, sent) => {
      expect(decodeMessage(encodeMessage(xid, sent))).toEqual({ xid, message: sent });
    }),
    { numRuns: 2000 },
  );
});

test('every message can be put into one line', () => {
  fc.assert(
    fc.property(message, (sent) => {
      expect(formatMessage({ xid: 7, message: sent })).toMatch(/^[a-z-]+ xid=0x7[^\n]*$/);
    }),
  );
});

test('a message cut off anywhere is refused or a shorter message, never a crash', () => {
  for (const bytes of recorded.filter(({ length }) => length < 500)) {
    for (let length = 8; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(outcome(cut)).toMatch(/^bad-request\/bad-len/);
      outcome(withLength(cut));
    }
  }
});

test('bytes after a message whose length leaves no room for them are refused', () => {
  const open =
    /^(hello|error|echo|experimenter|packet|multipart-re(quest|ply) .*kind=experimenter)/;
  for (const bytes of recorded) {
    if (open.test(outcome(bytes))) continue;
    const longer = withLength(Buffer.concat([bytes, Buffer.alloc(3)]));
    expect(outcome(longer), bytes.toString('hex')).toMatch(/\/bad-(len|bucket):/);
  }
});

test('50,000 mutated messages crash nothing, and what is understood can be sent again', () => {
  const random = new Random(20_260_101);
  const seeds = recorded.filter(({ length }) => length < 1000);
  let understood = 0;
  for (let i = 0; i < 50_000; i++) {
    const pick = () => seeds[random.below(seeds.length)] as Buffer;
    const bytes = mutate(random, pick(), pick());
    try {
      const decoded = decodeMessage(bytes);
      understood++;
      const again = decodeMessage(encodeMessage(decoded.xid, decoded.message));
      expect(again, bytes.toString('hex')).toEqual(decoded);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
    }
  }
  expect(understood).toBeGreaterThan(5000);
});

test('an error holds the first bytes of what it is about', () => {
  const request = Buffer.alloc(2000, 7);
  const error = errorMessage(openFlowError('bad-match', 'dup-field', ''), request);
  expect(error).toEqual({
    type: 'error',
    errorType: 4,
    code: 10,
    data: new Uint8Array(1024).fill(7),
  });
});

test('values that do not fit their fields are not sent', () => {
  const send = (port: number) => encodeMessage(1, { type: 'queue-get-config-request', port });
  expect(() => send(-1)).toThrow(RangeError);
  expect(() => send(2 ** 32)).toThrow(RangeError);
  const data = new Uint8Array(0x10000);
  expect(() => encodeMessage(1, { type: 'echo-request', data })).toThrow(/65544 bytes/);
});
