/** One text for flows that mean the same, however a switch writes them down. */
import {
  type Action,
  CONTROLLER_LENGTH,
  type FieldName,
  fieldMask,
  type Instruction,
  type Match,
  PORT,
} from '../../openflow/index.ts';

/** What makes a flow that flow: no two in a switch have the same (OpenFlow 1.3.5, 5.2). */
export interface FlowKey {
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
}

export function keyOf({ table, priority, match }: FlowKey): string {
  return `${table}/${priority}/${matchText(match)}`;
}

export function matchText(match: Match): string {
  const parts: string[] = [];
  for (const name of Object.keys(match) as (FieldName | 'unknown')[]) {
    if (name === 'unknown') {
      if (match.unknown?.length) parts.push(`unknown=${text(match.unknown)}`);
      continue;
    }
    const given = match[name];
    if (given === undefined) continue;
    const { value, mask } =
      typeof given === 'bigint' ? { value: given, mask: fieldMask(name) } : given;
    if (mask === 0n) continue;
    const whole = mask === fieldMask(name);
    parts.push(`${name}=${value.toString(16)}${whole ? '' : `/${mask.toString(16)}`}`);
  }
  return parts.sort().join(',');
}

/** Instructions are a set (7.2.4); the actions of one are a list. */
export function instructionsText(instructions: readonly Instruction[]): string {
  const parts: string[] = [];
  for (const one of instructions) {
    if (one.type === 'goto-table') parts.push(`goto=${one.table}`);
    else if (one.type !== 'apply-actions') parts.push(text(one));
    else if (one.actions.length > 0) parts.push(`apply=${one.actions.map(actionText).join(',')}`);
  }
  return parts.sort().join(';');
}

/** What gateways use is written by hand: a move compares some hundred of these. */
function actionText(action: Action): string {
  switch (action.type) {
    case 'set-field':
      return `${action.field}:${action.value.toString(16)}`;
    case 'output': {
      // The length is without meaning but to the controller (7.2.5).
      const { port, maxLength = CONTROLLER_LENGTH.noBuffer } = action;
      return port === PORT.controller ? `controller:${maxLength}` : `output:${port}`;
    }
    case 'dec-nw-ttl':
      return action.type;
    default:
      return text(action);
  }
}

function text(value: unknown): string {
  return JSON.stringify(value, (_name, inner) => {
    if (typeof inner === 'bigint') return inner.toString(16);
    if (inner instanceof Uint8Array) return Buffer.from(inner).toString('hex');
    return inner;
  });
}
