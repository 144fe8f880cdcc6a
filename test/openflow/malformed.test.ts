/** Every rule whose breach the specification names an error for, broken once (OpenFlow 1.3.5, 7.2 and 7.4.4). */
import { expect, test } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  type FlowMod,
  type Instruction,
  type Match,
  type Message,
  refuseVersion,
} from '../../src/openflow/index.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** A message with its header, the length filled in. */
function framed(type: number, body: Buffer, version = 4): Buffer {
  const header = Buffer.from([version, type, 0, 0, 0, 0, 0, 1]);
  const whole = Buffer.concat([header, body]);
  whole.writeUInt16BE(whole.length, 2);
  return whole;
}

function refusal(bytes: Uint8Array): string {
  try {
    decodeMessage(bytes);
  } catch (error) {
    return (error as Error).message.replace(/:.*/, '');
  }
  return 'understood';
}

function flowMod(match: Match, instructions: readonly Instruction[] = []): FlowMod {
  return {
    type: 'flow-mod',
    command: 'add',
    cookie: 0n,
    cookieMask: 0n,
    table: 0,
    idleTimeout: 0,
    hardTimeout: 0,
    priority: 1,
    buffer: 0xffffffff,
    outPort: 0xffffffff,
    outGroup: 0xffffffff,
    flags: 0,
    match,
    instructions,
  };
}

const FLOW_MOD = 14;
const fixed = encodeMessage(1, flowMod({})).subarray(8, 48);

/** A flow-mod with these OXM fields, then these instructions. */
function withFields(fields: string, instructions = ''): Buffer {
  const oxm = hex(fields);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(1, 0);
  head.writeUInt16BE(4 + oxm.length, 2);
  const padding = Buffer.alloc(-(4 + oxm.length) & 7);
  return framed(FLOW_MOD, Buffer.concat([fixed, head, oxm, padding, hex(instructions)]));
}

const withInstructions = (instructions: string) => withFields('', instructions);

/** A flow-mod that applies these actions. */
function withActions(actions: string): Buffer {
  const bytes = hex(actions);
  const length = (8 + bytes.length).toString(16).padStart(4, '0');
  return withInstructions(`0004 ${length} 00000000 ${actions}`);
}

/** A whole message with some bytes of its body changed. */
function patched(message: Message, at: number, bytes: string): Buffer {
  const whole = encodeMessage(1, message);
  hex(bytes).copy(whole, 8 + at);
  return whole;
}

test.each<[string, Buffer, string]>([
  ['a version that is not 1.3', framed(2, hex(''), 5), 'bad-request/bad-version'],
  ['a type that 1.3 has not', framed(30, hex('')), 'bad-request/bad-type'],
  ['a length that is not that of the frame', hex('0402 0009 00000001'), 'bad-request/bad-len'],
  ['a message too short', framed(24, hex('00000001')), 'bad-request/bad-len'],
  ['a message too long', framed(20, hex('00')), 'bad-request/bad-len'],
  ['a hello element too short', framed(0, hex('0001 0003 00000010')), 'bad-request/bad-len'],
  ['a hello element too long', framed(0, hex('0001 0010 00000010')), 'bad-request/bad-len'],
  [
    'a role that is none',
    framed(24, hex('00000004 00000000 0000000000000000')),
    'role-request-failed/bad-role',
  ],
  [
    'a multipart type that is none',
    framed(18, hex('000e 0000 00000000')),
    'bad-request/bad-multipart',
  ],
  [
    'a multipart request with bytes it has not',
    framed(18, hex('0000 0000 00000000 00')),
    'bad-request/bad-len',
  ],
  [
    'actions longer than the packet-out',
    framed(13, hex('ffffffff 00000001 0010 000000000000 0000 0008 0000 0000')),
    'bad-request/bad-len',
  ],
  [
    'a flow-mod command that is none',
    patched(flowMod({}), 17, '05'),
    'flow-mod-failed/bad-command',
  ],
  ['a flow-mod flag that is none', patched(flowMod({}), 36, '0020'), 'flow-mod-failed/bad-flags'],
  [
    'a group command that is none',
    framed(15, hex('0003 00 00 00000001')),
    'group-mod-failed/bad-command',
  ],
  [
    'a group type that is none',
    framed(15, hex('0000 04 00 00000001')),
    'group-mod-failed/bad-type',
  ],
  [
    'a bucket too long',
    framed(15, hex('0000 00 00 00000001 0018 0000 ffffffff ffffffff 00000000')),
    'group-mod-failed/bad-bucket',
  ],
  [
    'a bucket too short',
    framed(15, hex('0000 00 00 00000001 0008 0000 ffffffff ffffffff 00000000')),
    'group-mod-failed/bad-bucket',
  ],
  [
    'an action too long for its bucket',
    framed(15, hex('0000 00 00 00000001 0018 0000 ffffffff ffffffff 00000000 000b 0010 00000000')),
    'bad-action/bad-len',
  ],
  [
    'a meter command that is none',
    framed(29, hex('0003 0001 00000001')),
    'meter-mod-failed/bad-command',
  ],
  [
    'a meter flag that is none',
    framed(29, hex('0000 0010 00000001')),
    'meter-mod-failed/bad-flags',
  ],
  [
    'a band that is none',
    framed(29, hex('0000 0001 00000001 0003 0010 00000001 00000000 00000000')),
    'meter-mod-failed/bad-band',
  ],
  [
    'a band too short',
    framed(29, hex('0000 0001 00000001 0001 0008 00000001')),
    'bad-request/bad-len',
  ],
  ['a match of type standard', patched(flowMod({}), 40, '0000'), 'bad-match/bad-type'],
  ['a match shorter than its header', patched(flowMod({}), 42, '0003'), 'bad-match/bad-len'],
  ['a match longer than the message', patched(flowMod({}), 42, '0009'), 'bad-match/bad-len'],
  ['half an OXM header', withFields('8000'), 'bad-match/bad-len'],
  ['a field longer than the match', withFields('80000004 0000'), 'bad-match/bad-len'],
  ['in_port of two bytes', withFields('80000002 0001'), 'bad-match/bad-len'],
  ['a mask as long as nothing', withFields('80000704 01000000'), 'bad-match/bad-len'],
  ['a field twice', withFields('80000004 00000001 80000004 00000001'), 'bad-match/dup-field'],
  [
    'an unknown field twice',
    withFields('00010004 00000001 00010104 00010001'),
    'bad-match/dup-field',
  ],
  ['ipv4_src without eth_type', withFields('80001604 0a000001'), 'bad-match/bad-prereq'],
  [
    'ipv4_src before its eth_type',
    withFields('80001604 0a000001 80000a02 0800'),
    'bad-match/bad-prereq',
  ],
  [
    'ipv4_src of an ARP packet',
    withFields('80000a02 0806 80001604 0a000001'),
    'bad-match/bad-prereq',
  ],
  ['tcp_dst of UDP', withFields('80000a02 0800 80001401 11 80001c02 0050'), 'bad-match/bad-prereq'],
  ['vlan_pcp without a tag', withFields('80000c02 0000 80000e01 03'), 'bad-match/bad-prereq'],
  ['in_phy_port without in_port', withFields('80000204 00000001'), 'bad-match/bad-prereq'],
  [
    'nd_tll of a solicitation',
    withFields('80000a02 86dd 80001401 3a 80003a01 87 80004206 020000000001'),
    'bad-match/bad-prereq',
  ],
  ['vlan_vid of 14 bits', withFields('80000c02 2001'), 'bad-match/bad-value'],
  ['ip_dscp of 7 bits', withFields('80000a02 0800 80001001 40'), 'bad-match/bad-value'],
  ['ipv6_flabel of 21 bits', withFields('80000a02 86dd 80003804 00100000'), 'bad-match/bad-value'],
  ['mpls_bos of 2', withFields('80000a02 8847 80004801 02'), 'bad-match/bad-value'],
  [
    'a value outside its mask',
    withFields('8000070c 020000000001 ffffffffff00'),
    'bad-match/bad-wildcards',
  ],
  ['an unknown value outside its mask', withFields('00010102 0100'), 'bad-match/bad-wildcards'],
  ['a mask where none may be', withFields('80000b04 0800 ff00'), 'bad-match/bad-mask'],
  [
    'an instruction that is none',
    withInstructions('0007 0008 00000000'),
    'bad-instruction/unknown-inst',
  ],
  [
    'an instruction shorter than 8 bytes',
    withInstructions('0005 0004 00000000'),
    'bad-instruction/bad-len',
  ],
  [
    'an instruction of 12 bytes',
    withInstructions('0001 000c 01000000 00000000 00000000'),
    'bad-instruction/bad-len',
  ],
  [
    'an instruction longer than the message',
    withInstructions('0004 0010 00000000'),
    'bad-instruction/bad-len',
  ],
  [
    'an instruction longer than its kind',
    withInstructions('0001 0010 01000000 0000000000000000'),
    'bad-instruction/bad-len',
  ],
  ['half an instruction', withInstructions('0005 0008'), 'bad-instruction/bad-len'],
  [
    'two of one instruction',
    withInstructions('0001 0008 01000000 0001 0008 02000000'),
    'experimenter/2600',
  ],
  ['an action that is none', withActions('0001 0008 00000000'), 'bad-action/bad-type'],
  ['an action of 4 bytes', withActions('000b 0004 00000000'), 'bad-action/bad-len'],
  [
    'an action of 12 bytes',
    withActions('000b 000c 00000000 00000000 00000000'),
    'bad-action/bad-len',
  ],
  ['an action longer than its list', withActions('0000 0010 00000001'), 'bad-action/bad-len'],
  ['an output too short', withActions('0000 0008 00000001'), 'bad-action/bad-len'],
  [
    'an action longer than its kind',
    withActions('000b 0010 00000000 0000000000000000'),
    'bad-action/bad-len',
  ],
  [
    'set-field with a mask',
    withActions('0019 0018 8000070c 020000000001 ffffffffffff 00000000'),
    'experimenter/4250',
  ],
  [
    'set-field of a wrong length',
    withActions('0019 0010 80000603 020000000001 0000'),
    'bad-action/bad-set-len',
  ],
  [
    'set-field longer than its action',
    withActions('0019 0010 80000620 020000000001 0000'),
    'bad-action/bad-set-len',
  ],
  [
    'set-field with padding to spare',
    withActions('0019 0018 80000606 020000000001 0000 0000000000000000'),
    'bad-action/bad-set-len',
  ],
  [
    'set-field of a value too large',
    withActions('0019 0010 80000c02 2000 0000 00000000'),
    'bad-action/bad-set-argument',
  ],
])('%s is refused', (_what, bytes, error) => {
  expect(refusal(bytes)).toBe(error);
});

function tableFeatures(properties: string): Buffer {
  const entry = Buffer.concat([Buffer.alloc(64), hex(properties)]);
  entry.writeUInt16BE(entry.length, 0);
  return framed(18, Buffer.concat([hex('000c 0000 00000000'), entry]));
}

test.each<[string, string, string]>([
  ['a property that is none', '0009 0004 00000000', 'table-features-failed/bad-type'],
  ['a property shorter than its header', '0000 0003 00000000', 'table-features-failed/bad-len'],
  ['a property longer than its table', '0000 0010 00000000', 'table-features-failed/bad-len'],
  ['an action id longer than its property', '0004 0008 0000 0008', 'table-features-failed/bad-len'],
  ['half a field', '0008 0006 8000 0000', 'table-features-failed/bad-len'],
])('table features with %s are refused', (_what, properties, error) => {
  expect(refusal(tableFeatures(properties))).toBe(error);
});

test('what the rules allow is understood', () => {
  const read = (bytes: Buffer) => (decodeMessage(bytes).message as FlowMod).match;
  // 7.2.3.5: a mask of ones is no mask, a mask of zeros no field; also where a field takes no other mask.
  expect(read(withFields('80000b04 0800 ffff'))).toEqual({ eth_type: 0x800n });
  expect(read(withFields('8000070c 000000000000 000000000000'))).toEqual({});
  expect(read(withFields('80000d04 1000 1000 80000e01 03'))).toEqual({
    vlan_vid: { value: 0x1000n, mask: 0x1000n },
    vlan_pcp: 3n,
  });
  expect(read(withFields('00010204 00000005 ffff0206 00002320 0102'))).toEqual({
    unknown: [
      { oxmClass: 1, field: 1, value: hexArray('00000005') },
      { oxmClass: 0xffff, field: 1, experimenter: 0x2320, value: hexArray('0102') },
    ],
  });
});

const hexArray = (text: string) => new Uint8Array(hex(text));

test('padding may hold anything', () => {
  const message = flowMod({}, [{ type: 'goto-table', table: 3 }]);
  const bytes = encodeMessage(1, message);
  bytes.fill(0xff, bytes.length - 3);
  bytes.fill(0xff, 46, 48);
  expect(decodeMessage(bytes).message).toEqual(message);
});

test('what was decoded does not change with the buffer it came in', () => {
  const bytes = encodeMessage(1, { type: 'echo-request', data: new Uint8Array([1, 2, 3]) });
  const { message } = decodeMessage(bytes);
  bytes.fill(0);
  expect(message).toEqual({ type: 'echo-request', data: new Uint8Array([1, 2, 3]) });
});

test.each<[string, Buffer, boolean]>([
  ['a bitmap with 1.3', framed(0, hex('0001 0008 00000012'), 4), true],
  ['a bitmap with 1.3 in a hello of 1.5', framed(0, hex('0001 0008 00000072'), 6), true],
  ['a bitmap without 1.3', framed(0, hex('0001 0008 00000062'), 6), false],
  ['no bitmap, 1.3', framed(0, hex(''), 4), true],
  ['no bitmap, 1.5: 1.3 is the smaller', framed(0, hex(''), 6), true],
  ['no bitmap, 1.0', framed(0, hex(''), 1), false],
  ['1.0 with bytes that nobody can know', framed(0, hex('0001 0003 ff'), 1), false],
  [
    'an unknown element before the bitmap',
    framed(0, hex('0007 0005 ff000000 0001 0008 00000010'), 4),
    true,
  ],
  ['a bitmap of two words', framed(0, hex('0001 000c 00000010 00000001 00000000'), 4), true],
])('a hello with %s', (_what, bytes, accepted) => {
  const { message } = decodeMessage(bytes);
  if (message.type !== 'hello') throw new Error(message.type);
  expect(refuseVersion(message)?.message ?? '').toMatch(
    accepted ? /^$/ : /^hello-failed\/incompatible/,
  );
});
