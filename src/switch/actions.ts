/** Instructions and actions of OpenFlow 1.3.5 (5.9, 5.12) as data. Groups and meters come with their own tables. */
import type { FieldName } from './fields.ts';

/** Reserved ports (OpenFlow 1.3.5, 7.2.1, `ofp_port_no`). */
export const PORT = {
  max: 0xffffff00,
  inPort: 0xfffffff8,
  controller: 0xfffffffd,
  local: 0xfffffffe,
} as const;

export type Action =
  | { readonly type: 'output'; readonly port: number }
  | { readonly type: 'set-field'; readonly field: SettableField; readonly value: bigint }
  | { readonly type: 'dec-nw-ttl' }
  | { readonly type: 'set-nw-ttl'; readonly ttl: number };

export type SettableField = Extract<
  FieldName,
  | 'eth_dst'
  | 'eth_src'
  | 'ip_dscp'
  | 'ip_ecn'
  | 'ipv4_src'
  | 'ipv4_dst'
  | 'ipv6_src'
  | 'ipv6_dst'
  | 'tcp_src'
  | 'tcp_dst'
  | 'udp_src'
  | 'udp_dst'
>;

export type Instruction =
  | { readonly type: 'apply-actions'; readonly actions: readonly Action[] }
  | { readonly type: 'clear-actions' }
  | { readonly type: 'write-actions'; readonly actions: readonly Action[] }
  | { readonly type: 'write-metadata'; readonly value: bigint; readonly mask: bigint }
  | { readonly type: 'goto-table'; readonly table: number };

/**
 * The action set of a packet: at most one action of each kind, one set-field per field, executed
 * in the order of OpenFlow 1.3.5, 5.10: decrement TTL, set, output.
 */
export class ActionSet {
  readonly #actions = new Map<string, Action>();

  write(actions: readonly Action[]): void {
    for (const action of actions) {
      this.#actions.set(action.type === 'set-field' ? action.field : action.type, action);
    }
  }

  clear(): void {
    this.#actions.clear();
  }

  ordered(): Action[] {
    const rank = { 'dec-nw-ttl': 0, 'set-nw-ttl': 1, 'set-field': 1, output: 2 } as const;
    return [...this.#actions.values()].sort((a, b) => rank[a.type] - rank[b.type]);
  }
}
