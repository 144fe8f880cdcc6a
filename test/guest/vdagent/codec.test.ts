import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeMessage,
  VdagentProtocolError,
  VdMessages,
} from '../../../src/guest/vdagent/codec.ts';
import { MAX_CLIPBOARD_BYTES, type VdMessage } from '../../../src/guest/vdagent/protocol.ts';

const word = fc.nat(0xffff_ffff);
const message: fc.Arbitrary<VdMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('capabilities' as const),
    request: fc.boolean(),
    capabilities: fc.uniqueArray(fc.nat(31)).map((bits) => new Set(bits)),
  }),
  fc.record({
    kind: fc.constant('grab' as const),
    selection: fc.nat(2),
    formats: fc.array(word, { maxLength: 8 }),
  }),
  fc.record({ kind: fc.constant('request' as const), selection: fc.nat(2), format: word }),
  fc.record({
    kind: fc.constant('clipboard' as const),
    selection: fc.nat(2),
    format: word,
    data: fc.uint8Array({ maxLength: 5_000 }).map((data) => Buffer.from(data)),
  }),
  fc.record({ kind: fc.constant('release' as const), selection: fc.nat(2) }),
  fc.record({ kind: fc.constant('max-clipboard' as const), bytes: word }),
  fc.record({ kind: fc.constant('other' as const), type: fc.integer({ min: 10, max: 13 }) }),
);

function read(bytes: Buffer, sizes: readonly number[]): VdMessage[] {
  const messages = new VdMessages();
  messages.selections = true;
  const read: VdMessage[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    read.push(...messages.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return read;
}

test('messages are the same however their bytes arrive', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3_000 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), sizes, (messages, cuts) => {
      const bytes = Buffer.concat(messages.map((one) => encodeMessage(one, true)));
      expect(read(bytes, cuts)).toEqual(messages);
    }),
  );
});

test('whatever a guest sends is read or refused', () => {
  // Headers that are right, so that what is in them is looked at.
  const chunk = fc.tuple(fc.nat(20), fc.uint8Array({ maxLength: 60 })).map(([type, data]) => {
    const head = Buffer.alloc(28);
    head.writeUInt32LE(1, 0);
    head.writeUInt32LE(20 + data.length, 4);
    head.writeUInt32LE(1, 8);
    head.writeUInt32LE(type, 12);
    head.writeUInt32LE(data.length, 24);
    return Buffer.concat([head, data]);
  });
  const bytes = fc.array(fc.oneof(chunk, fc.uint8Array({ maxLength: 60 })), { maxLength: 8 });
  fc.assert(
    fc.property(bytes, (pieces) => {
      try {
        read(Buffer.concat(pieces), [7, 11]);
      } catch (error) {
        expect(error).toBeInstanceOf(VdagentProtocolError);
      }
    }),
  );
});

test('the wire is that of spice-protocol', () => {
  const asked = encodeMessage({ kind: 'request', selection: 0, format: 1 }, true);
  expect(asked.toString('hex')).toBe(
    ['01000000', '1c000000', '01000000', '08000000', '0000000000000000', '08000000']
      .concat('00000000', '01000000')
      .join(''),
  );
  // Without selections there is none of their words.
  expect(encodeMessage({ kind: 'release', selection: 0 }, false)).toHaveLength(28);
});

test('a text that is too long is passed over, and what follows is read', () => {
  const long = encodeMessage(
    { kind: 'clipboard', selection: 0, format: 1, data: Buffer.alloc(MAX_CLIPBOARD_BYTES + 100) },
    true,
  );
  const after: VdMessage = { kind: 'release', selection: 0 };
  const all = read(Buffer.concat([long, encodeMessage(after, true)]), [100_000]);
  expect(all).toMatchObject([{ kind: 'clipboard', format: 0, data: new Uint8Array(0) }, after]);
});

test.each([
  ['a chunk of another port', [9, 4, 0, 0, 0, 0]],
  ['a chunk of nothing', [1, 0, 0, 0, 0, 0]],
  ['a chunk without end', [1, 0xffff_ffff, 0, 0, 0, 0]],
  ['another protocol', [1, 20, 2, 6, 0, 0, 0]],
  ['a message without end', [1, 20, 1, 6, 0, 0, 0xffff_ffff]],
  ['a message that is cut short', [1, 20, 1, 6, 0, 0, 0]],
])('%s ends it', (_what, numbers) => {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [at, value] of numbers.entries()) bytes.writeUInt32LE(value, 4 * at);
  expect(() => read(bytes, [])).toThrow(VdagentProtocolError);
});
