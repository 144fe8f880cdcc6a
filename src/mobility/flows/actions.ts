/** The few actions and instructions that gateways need. */
import type { Action, Instruction } from '../../openflow/index.ts';

export const decrement: Action = { type: 'dec-nw-ttl' };

export const output = (port: number): Action => ({ type: 'output', port });

export function setEth(source: bigint, destination: bigint): Action[] {
  return [
    { type: 'set-field', field: 'eth_src', value: source },
    { type: 'set-field', field: 'eth_dst', value: destination },
  ];
}

export const goto = (table: number): Instruction => ({ type: 'goto-table', table });

export const apply = (...actions: Action[]): Instruction => ({ type: 'apply-actions', actions });
