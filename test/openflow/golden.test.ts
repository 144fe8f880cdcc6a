/** What Open vSwitch and os-ken sent, decoded, encoded again and put into words. */
import { expect, test } from 'vitest';
import { messageTypes } from '../../src/openflow/codec/messages.ts';
import { decodeMessage, encodeMessage, formatMessage } from '../../src/openflow/index.ts';
import { type Golden, golden } from './golden.ts';

const recorded = [...golden('openvswitch'), ...golden('os-ken')];

/** Open vSwitch does not order match fields by number. */
function isOrdered({ source }: Golden): boolean {
  return !/dump-flows br0 \(reply\)|dl_src=.*dl_dst|nw_src.*nw_tos|mpls_label=100/.test(source);
}

test('recorded messages come out again as they were', () => {
  for (const one of recorded.filter(isOrdered)) {
    const { xid, message } = decodeMessage(one.bytes);
    const again = encodeMessage(xid, message);
    expect.soft(again.toString('hex'), one.source).toBe(one.bytes.toString('hex'));
  }
});

test('a recorded message with fields in another order means the same when it is encoded again', () => {
  for (const one of recorded) {
    const decoded = decodeMessage(one.bytes);
    expect(decodeMessage(encodeMessage(decoded.xid, decoded.message)), one.source).toEqual(decoded);
  }
});

test('recorded messages read as they were written', async () => {
  const lines = recorded.map(
    ({ source, bytes }) => `${source}\n  ${formatMessage(decodeMessage(bytes))}\n`,
  );
  await expect(lines.join('')).toMatchFileSnapshot('golden/expected.txt');
});

test('every message type but those that only a switch with queues or async masks sends was recorded', () => {
  const seen = new Set(recorded.map(({ bytes }) => messageTypes[bytes[1] as number]));
  expect(messageTypes.filter((type) => !seen.has(type))).toEqual(['role-reply', 'get-async-reply']);
});
