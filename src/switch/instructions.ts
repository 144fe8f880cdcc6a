/** Checks the instructions and actions of a flow as OpenFlow 1.3.5 does when it is added (5.9, 6.4), and compiles them. */
import {
  type Action,
  type FieldName,
  fieldMask,
  GROUP,
  type Instruction,
  type MaskedValue,
  type Match,
  openFlowError,
  oxmField,
  PORT,
} from '../openflow/index.ts';
import type { FlowProgram, FlowSpec } from './flow.ts';
import { isUntagged } from './match.ts';
import type { MeterEntry } from './meters.ts';
import { isEgressPort } from './ports.ts';
import { compileActions, type GroupLookup, revealsLayers, type Step } from './steps.ts';

/** Actions of one list. */
export const MAX_ACTIONS = 256;
/** `max_len` of an output is at most this, or OFPCML_NO_BUFFER. */
const MAX_LENGTH = { most: 0xffe5, all: 0xffff };
/** Fields that say where a packet is, not what it is (7.2.5, Set-Field), and one that is found, not written. */
export const NOT_SETTABLE: ReadonlySet<FieldName> = new Set([
  'in_port',
  'in_phy_port',
  'metadata',
  'ipv6_exthdr',
]);
const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8];
const MPLS_TYPES: readonly number[] = [0x8847, 0x8848];
const PBB_TYPE = 0x88e7;

export interface Surroundings {
  readonly tables: number;
  readonly groupOf: GroupLookup;
  readonly meterOf: (meter: number) => MeterEntry | undefined;
}

/** @throws OpenFlowError. */
export function compileInstructions(
  { table, match, instructions }: Pick<FlowSpec, 'table' | 'match' | 'instructions'>,
  around: Surroundings,
): FlowProgram {
  const kinds = new Set(instructions.map(({ type }) => type));
  if (kinds.size !== instructions.length)
    throw openFlowError('bad-instruction', 'unsup-inst', 'an instruction given twice');
  let meter: MeterEntry | undefined;
  let steps: Step[] = [];
  let write: readonly Action[] | undefined;
  let metadata: FlowProgram['metadata'];
  let next: number | undefined;
  const known = new Known(match);
  for (const instruction of inOrder(instructions)) {
    switch (instruction.type) {
      case 'meter':
        meter = around.meterOf(instruction.meter);
        if (meter === undefined)
          throw openFlowError(
            'meter-mod-failed',
            'invalid-meter',
            `there is no meter ${instruction.meter}`,
          );
        break;
      case 'apply-actions':
        checkActions(instruction.actions, around.groupOf, known);
        steps = compileActions(instruction.actions, around.groupOf);
        break;
      case 'write-actions':
        checkActions(instruction.actions, around.groupOf, known.copy());
        write = instruction.actions;
        break;
      case 'write-metadata':
        metadata = splitMetadata(instruction.value & instruction.mask, instruction.mask);
        break;
      case 'goto-table':
        next = instruction.table;
        if (next > table && next < around.tables) break;
        throw openFlowError(
          'bad-instruction',
          'bad-table-id',
          `a flow of table ${table} cannot go to table ${next}`,
        );
      case 'experimenter':
        throw openFlowError(
          'bad-instruction',
          'bad-experimenter',
          `experimenter 0x${instruction.experimenter.toString(16)}`,
        );
    }
  }
  const clear = kinds.has('clear-actions');
  const reveals = revealsLayers(steps);
  const actions = instructions.reduce(
    (sum, instruction) => sum + ('actions' in instruction ? instruction.actions.length : 0),
    0,
  );
  return { instructions, meter, steps, clear, write, metadata, next, reveals, actions };
}

const ORDER: readonly Instruction['type'][] = [
  'meter',
  'apply-actions',
  'clear-actions',
  'write-actions',
  'write-metadata',
  'goto-table',
  'experimenter',
];

function inOrder(instructions: readonly Instruction[]): Instruction[] {
  return [...instructions].sort((a, b) => ORDER.indexOf(a.type) - ORDER.indexOf(b.type));
}

function splitMetadata(value: bigint, mask: bigint): NonNullable<FlowProgram['metadata']> {
  const words = (wide: bigint) => [Number(wide >> 32n), Number(wide & 0xffffffffn)];
  return { value: words(value), mask: words(mask) };
}

function knownValue(name: FieldName, wanted: bigint | MaskedValue): bigint | undefined {
  if (typeof wanted === 'bigint') return wanted;
  return name === 'vlan_vid' && isUntagged(wanted) ? 0n : undefined;
}

/** What is known of a packet at a point of its actions: the exact value of a field, or undefined when it may have any. */
class Known {
  readonly #values: Map<FieldName, bigint | undefined>;
  /** A tag was popped, so that anything may be below it. */
  #open = false;

  constructor(match: Match | ReadonlyMap<FieldName, bigint | undefined>) {
    this.#values = new Map(
      match instanceof Map
        ? match
        : (Object.entries(match) as [FieldName, bigint | MaskedValue][])
            .filter(([name]) => (name as string) !== 'unknown')
            .map(([name, wanted]) => [name, knownValue(name, wanted)]),
    );
  }

  copy(): Known {
    const copy = new Known(this.#values);
    copy.#open = this.#open;
    return copy;
  }

  set(name: FieldName, value: bigint): void {
    this.#values.set(name, value);
  }

  get(name: FieldName): bigint | undefined {
    return this.#values.get(name);
  }

  /** Of layers from eth_type on nothing is known but that. */
  relayer(ethType: number | undefined): void {
    for (const name of this.#values.keys())
      if (oxmField(name).requires.length > 0) this.#values.delete(name);
    if (ethType === undefined) this.#values.delete('eth_type');
    else this.#values.set('eth_type', BigInt(ethType));
    this.#open = ethType === undefined;
  }

  meets(name: FieldName): boolean {
    if (this.#open) return true;
    return oxmField(name).requires.every((prerequisite) => {
      const field = prerequisite.field as FieldName;
      const value = this.#values.get(field);
      if ('oneOf' in prerequisite)
        return value !== undefined && prerequisite.oneOf.includes(Number(value));
      if ('not' in prerequisite)
        return this.#values.has(field) && value !== BigInt(prerequisite.not);
      return this.#values.has(field);
    });
  }
}

/** @throws OpenFlowError OFPET_BAD_ACTION. The actions of a bucket stand for any packet (`match` undefined). */
export function checkBucketActions(actions: readonly Action[], groupOf: GroupLookup): void {
  checkActions(actions, groupOf, undefined);
}

/** Of a packet-out, which may also send to TABLE. @throws OpenFlowError OFPET_BAD_ACTION. */
export function checkPacketOutActions(actions: readonly Action[], groupOf: GroupLookup): void {
  const others = actions.filter(({ type }) => type !== 'output' && type !== 'group');
  for (const action of actions)
    if (action.type !== 'output' || action.port !== PORT.table)
      checkActions([action], groupOf, undefined);
  checkCount(others);
}

function checkCount(actions: readonly Action[]): void {
  if (actions.length > MAX_ACTIONS)
    throw openFlowError('bad-action', 'too-many', `${actions.length} actions`);
}

function checkActions(
  actions: readonly Action[],
  groupOf: GroupLookup,
  known: Known | undefined,
): void {
  checkCount(actions);
  for (const action of actions) {
    checkAction(action, groupOf);
    if (known !== undefined) follow(action, known);
  }
}

function checkAction(action: Action, groupOf: GroupLookup): void {
  switch (action.type) {
    case 'output': {
      const { port, maxLength = MAX_LENGTH.all } = action;
      if (!isEgressPort(port))
        throw openFlowError('bad-action', 'bad-out-port', `port 0x${port.toString(16)}`);
      if (maxLength > MAX_LENGTH.most && maxLength !== MAX_LENGTH.all)
        throw openFlowError('bad-action', 'bad-argument', `max_len ${maxLength}`);
      return;
    }
    case 'group':
      if (action.group > GROUP.max || groupOf(action.group) === undefined)
        throw openFlowError('bad-action', 'bad-out-group', `there is no group ${action.group}`);
      return;
    case 'push-vlan':
      checkType(action.ethType, VLAN_TYPES);
      return;
    case 'push-mpls':
      checkType(action.ethType, MPLS_TYPES);
      return;
    case 'push-pbb':
      checkType(action.ethType, [PBB_TYPE]);
      return;
    case 'set-field':
      if (NOT_SETTABLE.has(action.field))
        throw openFlowError('bad-action', 'bad-set-type', `${action.field} cannot be set`);
      if (action.value < 0n || action.value > fieldMask(action.field))
        throw openFlowError('bad-action', 'bad-set-argument', `${action.field} does not fit`);
      return;
    case 'set-queue':
      throw openFlowError('bad-action', 'bad-queue', 'there are no queues');
    case 'set-unknown-field':
      throw openFlowError('bad-action', 'bad-set-type', 'a field that 1.3 does not define');
    case 'experimenter':
      throw openFlowError(
        'bad-action',
        'bad-experimenter',
        `experimenter 0x${action.experimenter.toString(16)}`,
      );
  }
}

function checkType(ethType: number, allowed: readonly number[]): void {
  if (!allowed.includes(ethType))
    throw openFlowError('bad-action', 'bad-argument', `eth_type 0x${ethType.toString(16)}`);
}

/** What an action makes of what is known. @throws OpenFlowError OFPBAC_MATCH_INCONSISTENT (7.2.5). */
function follow(action: Action, known: Known): void {
  switch (action.type) {
    case 'set-field':
      if (!known.meets(action.field))
        throw openFlowError(
          'bad-action',
          'match-inconsistent',
          `the flow does not match what ${action.field} needs`,
        );
      if (action.field === 'eth_type') known.relayer(Number(action.value));
      else known.set(action.field, action.value);
      return;
    case 'push-vlan':
      known.set('vlan_vid', 0x1000n);
      return;
    case 'pop-vlan':
      if (known.get('vlan_vid') === 0n)
        throw openFlowError('bad-action', 'match-inconsistent', 'the flow matches no tag');
      known.set('vlan_vid', 0x1000n);
      return;
    case 'push-mpls':
    case 'pop-mpls':
    case 'push-pbb':
      known.relayer(action.ethType);
      return;
    case 'pop-pbb':
      known.relayer(undefined);
      return;
  }
}
