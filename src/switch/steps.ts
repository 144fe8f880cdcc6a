/** Actions compiled to steps that can be taken for every packet, and the action set (OpenFlow 1.3.5, 5.10 to 5.12). */
import type { Action } from '../openflow/index.ts';
import { CONTROLLER_LENGTH } from '../openflow/index.ts';
import type { GroupEntry } from './groups.ts';
import { changesLayers, compileFieldWrite, type FieldWrite } from './rewrite.ts';

export type Step =
  | { readonly op: 'output'; readonly port: number; readonly maxLength: number }
  | { readonly op: 'write'; readonly write: FieldWrite }
  | { readonly op: 'dec-nw-ttl' }
  | { readonly op: 'set-nw-ttl'; readonly value: number }
  | { readonly op: 'dec-mpls-ttl' }
  | { readonly op: 'set-mpls-ttl'; readonly value: number }
  | { readonly op: 'copy-ttl-out' }
  | { readonly op: 'copy-ttl-in' }
  | { readonly op: 'push-vlan'; readonly value: number }
  | { readonly op: 'pop-vlan' }
  | { readonly op: 'push-mpls'; readonly value: number }
  | { readonly op: 'pop-mpls'; readonly value: number }
  | { readonly op: 'push-pbb'; readonly value: number }
  | { readonly op: 'pop-pbb' }
  | { readonly op: 'group'; readonly group: GroupEntry };

export type GroupLookup = (group: number) => GroupEntry | undefined;

/** @param groupOf finds every group that the actions name; they have been checked. */
export function compileActions(actions: readonly Action[], groupOf: GroupLookup): Step[] {
  const steps: Step[] = [];
  for (const action of actions) {
    const step = compileAction(action, groupOf);
    if (step !== undefined) steps.push(step);
  }
  return steps;
}

function compileAction(action: Action, groupOf: GroupLookup): Step | undefined {
  switch (action.type) {
    case 'output':
      return {
        op: 'output',
        port: action.port,
        maxLength: action.maxLength ?? CONTROLLER_LENGTH.noBuffer,
      };
    case 'set-field':
      return { op: 'write', write: compileFieldWrite(action.field, action.value) };
    case 'group': {
      const group = groupOf(action.group);
      return group === undefined ? undefined : { op: 'group', group };
    }
    case 'set-nw-ttl':
    case 'set-mpls-ttl':
      return { op: action.type, value: action.ttl };
    case 'push-vlan':
    case 'push-mpls':
    case 'pop-mpls':
    case 'push-pbb':
      return { op: action.type, value: action.ethType };
    case 'set-queue':
    case 'set-unknown-field':
    case 'experimenter':
      return undefined;
    default:
      return { op: action.type };
  }
}

/** Whether later matches can see what was not in the flow key of the packet that arrived. */
export function revealsLayers(steps: readonly Step[]): boolean {
  return steps.some((step) =>
    step.op === 'write' ? changesLayers(step.write.field) : /^(push|pop)-/.test(step.op),
  );
}

/** Whether the steps leave the packet as it was. */
export function onlySends(steps: readonly Step[]): boolean {
  return steps.every(({ op }) => op === 'output' || op === 'group');
}

/** Order of execution (5.10); actions not named are set. */
const RANK: Readonly<Partial<Record<Action['type'], number>>> = {
  'copy-ttl-in': 1,
  'pop-vlan': 2,
  'pop-mpls': 2,
  'pop-pbb': 2,
  'push-mpls': 3,
  'push-pbb': 4,
  'push-vlan': 5,
  'copy-ttl-out': 6,
  'dec-nw-ttl': 7,
  'dec-mpls-ttl': 7,
  'set-queue': 9,
  group: 10,
  output: 11,
};
const RANK_OF_SET = 8;

const rankOf = ({ type }: Action) => RANK[type] ?? RANK_OF_SET;

/** The action set of a packet: at most one action of each kind, one set-field per field, executed in the order of 5.10. */
export class ActionSet {
  readonly #actions = new Map<string, Action>();

  write(actions: readonly Action[]): void {
    for (const action of actions)
      this.#actions.set(action.type === 'set-field' ? action.field : action.type, action);
  }

  clear(): void {
    this.#actions.clear();
  }

  /** What is to be done; nothing when the packet goes nowhere. With a group there is no output. */
  ordered(): Action[] {
    if (!this.#actions.has('group') && !this.#actions.has('output')) return [];
    const actions = [...this.#actions.values()].sort((a, b) => rankOf(a) - rankOf(b));
    return this.#actions.has('group') ? actions.filter(({ type }) => type !== 'output') : actions;
  }
}

/** The actions of a bucket, which are an action set, too (5.6). */
export function orderedActions(actions: readonly Action[]): Action[] {
  const set = new ActionSet();
  set.write(actions);
  return set.ordered();
}
