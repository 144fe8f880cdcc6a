/** Random flows that a packet has a good chance to meet, with actions that both switches know. */
import {
  type Action,
  CONTROLLER_LENGTH,
  ETH_TYPE,
  type FieldName,
  type FieldValue,
  type FlowMod,
  fieldMask,
  flowMod,
  type Instruction,
  type Match,
  oxmField,
  PORT,
} from '../../../src/openflow/index.ts';
import type { Fields } from './frames.ts';
import type { Random } from './random.ts';

const TABLES = 3;
/**
 * Not set by Open vSwitch 3.1: eth_type, ip_proto, mpls_bos; with another icmpv6_type or code it would have others of the fields of neighbour
 * discovery than we think.
 */
const SETTABLE: readonly FieldName[] = [
  'eth_dst',
  'eth_src',
  'vlan_vid',
  'vlan_pcp',
  'ip_dscp',
  'ip_ecn',
  'ipv4_src',
  'ipv4_dst',
  'tcp_src',
  'tcp_dst',
  'udp_src',
  'udp_dst',
  'sctp_src',
  'sctp_dst',
  'arp_op',
  'arp_spa',
  'arp_tpa',
  'arp_sha',
  'arp_tha',
  'ipv6_src',
  'ipv6_dst',
  'ipv6_flabel',
  'icmpv4_type',
  'icmpv4_code',
  'ipv6_nd_target',
  'ipv6_nd_sll',
  'ipv6_nd_tll',
  'mpls_label',
  'mpls_tc',
  'tunnel_id',
];

export const toController: Action = {
  type: 'output',
  port: PORT.controller,
  maxLength: CONTROLLER_LENGTH.noBuffer,
};

/**
 * Some flows for packets with these fields, no two of one priority, as it is not said which of them is taken. A last one in each
 * table takes what no other does: Open vSwitch executes the action set of a packet that matches nothing, against 5.4.
 */
export function randomFlows(fields: Fields, random: Random): FlowMod[] {
  const count = 1 + random.below(5);
  const priorities = Array.from({ length: count }, (_, n) => n + 1);
  const flows = Array.from({ length: count }, (_, n) => {
    const table = random.of([0, 0, 1, 2]);
    const match = randomMatch(fields, random);
    return flowMod({
      table,
      priority: priorities.splice(random.below(priorities.length), 1)[0] as number,
      cookie: BigInt(n + 1),
      match,
      instructions: randomInstructions(table, match, random),
    });
  });
  return [...Array.from({ length: TABLES }, (_, table) => flowMod({ table })), ...flows];
}

function randomMatch(fields: Fields, random: Random): Match {
  const match: Record<string, FieldValue> = {};
  const add = (name: FieldName): void => {
    const value = fields[name];
    if (value === undefined || name in match) return;
    for (const { field } of oxmField(name).requires) {
      add(field as FieldName);
      // A prerequisite has to be exact.
      if (field in match) match[field] = fields[field as FieldName] as bigint;
    }
    // Neighbour discovery with a code is none to Open vSwitch.
    const other = random.below(8) === 0 && name !== 'icmpv6_code';
    match[name] = maskedOrNot(name, other ? value ^ 1n : value, random);
  };
  const names = Object.keys(fields) as FieldName[];
  for (let n = random.below(5); n > 0; n--) add(random.of(names));
  for (const name of Object.keys(match) as FieldName[])
    for (const prerequisite of oxmField(name).requires)
      match[prerequisite.field] = fields[prerequisite.field as FieldName] as bigint;
  return match as Match;
}

function maskedOrNot(name: FieldName, value: bigint, random: Random): FieldValue {
  if (!oxmField(name).maskable || random.below(2) === 0) return value;
  const all = fieldMask(name);
  const bits = BigInt(oxmField(name).bits);
  const mask =
    random.below(2) === 0
      ? (all << BigInt(random.below(Number(bits)))) & all
      : BigInt(`0x${random.bytes(16).toString('hex')}`) & all;
  return mask === 0n || mask === all ? value : { value: value & mask, mask };
}

function randomInstructions(table: number, match: Match, random: Random): Instruction[] {
  const instructions: Instruction[] = [];
  const actions = randomActions(match, random);
  // A tag that is set in the action set of a packet without one is pushed by Open vSwitch.
  const { vlan_vid: _, ...untagged } = match;
  const kind = random.below(4);
  if (kind < 3) instructions.push({ type: 'apply-actions', actions: [...actions, toController] });
  if (random.below(6) === 0) instructions.push({ type: 'clear-actions' });
  if (kind >= 2)
    instructions.push({
      type: 'write-actions',
      actions: [...randomActions(untagged, random), toController],
    });
  if (random.below(4) === 0)
    instructions.push({ type: 'write-metadata', value: 0x1234n & 0xff0fn, mask: 0xff0fn });
  if (table + 1 < TABLES && random.below(3) > 0)
    instructions.push({ type: 'goto-table', table: table + 1 + random.below(TABLES - 1 - table) });
  return instructions;
}

function randomActions(match: Match, random: Random): Action[] {
  const ethType = typeof match.eth_type === 'bigint' ? Number(match.eth_type) : undefined;
  const ip = ethType === ETH_TYPE.ipv4 || ethType === ETH_TYPE.ipv6;
  const tagged = isMet(match, 'vlan_vid');
  const actions: Action[] = [];
  for (let n = random.below(4); n > 0; n--) {
    const field = random.of(
      SETTABLE.filter(
        (name) => (random.below(30) === 0 && !name.startsWith('vlan_')) || isMet(match, name),
      ),
    );
    const kind = random.below(10);
    if (kind < 6) actions.push({ type: 'set-field', field, value: randomValue(field, random) });
    else if (kind === 6 && ip) actions.push({ type: 'set-nw-ttl', ttl: random.of([1, 9, 255]) });
    else if (kind === 7 && ip) actions.push({ type: 'dec-nw-ttl' });
    else if (kind === 8 && tagged) return [...actions, { type: 'pop-vlan' }];
    else if (ethType === ETH_TYPE.mpls)
      actions.push(random.of<Action>([{ type: 'dec-mpls-ttl' }, { type: 'set-mpls-ttl', ttl: 7 }]));
  }
  return actions;
}

/** Whether a flow with this match may set the field. */
function isMet(match: Match, name: FieldName): boolean {
  // Without the bit for a tag in the match Open vSwitch refuses to set one, although 7.2.5 asks for it with the priority only.
  const { vlan_vid = 0n } = match;
  const tagged = ((typeof vlan_vid === 'bigint' ? vlan_vid : vlan_vid.value) & 0x1000n) !== 0n;
  if (name.startsWith('vlan_')) return tagged;
  return oxmField(name).requires.every((prerequisite) => {
    const value = match[prerequisite.field as FieldName];
    if (typeof value !== 'bigint') return false;
    return !('oneOf' in prerequisite) || prerequisite.oneOf.includes(Number(value));
  });
}

function randomValue(field: FieldName, random: Random): bigint {
  const value = BigInt(`0x${random.bytes(16).toString('hex')}`) & fieldMask(field);
  // Without OFPVID_PRESENT it is another thing to Open vSwitch, and so are operations of ARP above 255, and 0.
  if (field === 'vlan_vid') return value | 0x1000n;
  return field === 'arp_op' ? (value & 0xffn) | 1n : value;
}
