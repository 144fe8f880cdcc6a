/** What the tables decide for a flow key, as a list of steps that can be taken again for every packet with that key. */
import { type Action, ActionSet } from './actions.ts';
import { readField, replaceField } from './fields.ts';
import type { FlowEntry, FlowTable } from './flow-table.ts';
import { compileFieldWrite, type FieldWrite } from './rewrite.ts';

export type Step =
  | { readonly op: 'output'; readonly port: number; readonly cookie: bigint }
  | { readonly op: 'write'; readonly write: FieldWrite }
  | { readonly op: 'dec-ttl'; readonly cookie: bigint }
  | { readonly op: 'set-ttl'; readonly ttl: number };

export interface Program {
  readonly steps: Step[];
  readonly flows: FlowEntry[];
  readonly missed: boolean;
}

/** Walks the tables for a key and records what is to be done; the packet and its key stay as they are. */
export function traceProgram(tables: readonly FlowTable[], original: Uint32Array): Program {
  const key = original.slice();
  const steps: Step[] = [];
  const flows: FlowEntry[] = [];
  const actionSet = new ActionSet();
  let table: number | undefined = 0;
  let cookie = 0n;
  while (table !== undefined) {
    const flow = tables[table]?.lookup(key);
    // Of the action set nothing is left then (5.4).
    if (flow === undefined) return { steps, flows, missed: true };
    flows.push(flow);
    cookie = flow.cookie;
    let next: number | undefined;
    for (const instruction of flow.instructions) {
      if (instruction.type === 'apply-actions') {
        for (const action of instruction.actions) {
          steps.push(compileAction(action, cookie));
          if (action.type === 'set-field') replaceField(key, action.field, action.value);
        }
      } else if (instruction.type === 'clear-actions') actionSet.clear();
      else if (instruction.type === 'write-actions') actionSet.write(instruction.actions);
      else if (instruction.type === 'write-metadata') {
        const kept = readField(key, 'metadata') & ~instruction.mask;
        replaceField(key, 'metadata', kept | (instruction.value & instruction.mask));
      } else next = instruction.table;
    }
    table = next;
  }
  for (const action of actionSet.ordered()) steps.push(compileAction(action, cookie));
  return { steps, flows, missed: false };
}

function compileAction(action: Action, cookie: bigint): Step {
  switch (action.type) {
    case 'output':
      return { op: 'output', port: action.port, cookie };
    case 'set-field':
      return { op: 'write', write: compileFieldWrite(action.field, action.value) };
    case 'dec-nw-ttl':
      return { op: 'dec-ttl', cookie };
    case 'set-nw-ttl':
      return { op: 'set-ttl', ttl: action.ttl };
  }
}
