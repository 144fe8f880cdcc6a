/** One text for flows that mean the same, however a switch writes them down. */
import {
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
  return instructions
    .filter((one) => one.type !== 'apply-actions' || one.actions.length > 0)
    .map((one) => text(one))
    .sort()
    .join(';');
}

function text(value: unknown): string {
  return JSON.stringify(value, (_name, inner) => {
    if (typeof inner === 'bigint') return inner.toString(16);
    if (inner instanceof Uint8Array) return Buffer.from(inner).toString('hex');
    if (inner?.type !== 'output') return inner;
    // Without meaning but to the controller (7.2.5).
    const { port, maxLength = CONTROLLER_LENGTH.noBuffer } = inner;
    return { type: 'output', port, maxLength: port === PORT.controller ? maxLength : 0 };
  });
}
