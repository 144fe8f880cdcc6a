/** Changes of flows, groups and meters, as data (OpenFlow 1.3.5, 7.3.4). */
import type { Action, Instruction } from './actions.ts';
import { GROUP, NO_BUFFER, PORT } from './constants.ts';
import type { Match } from './match.ts';

export type FlowModCommand = 'add' | 'modify' | 'modify-strict' | 'delete' | 'delete-strict';

export interface FlowMod {
  readonly type: 'flow-mod';
  readonly command: FlowModCommand;
  readonly cookie: bigint;
  /** Zero: the cookie restricts nothing (modify, delete). */
  readonly cookieMask: bigint;
  /** `TABLE.all` only to delete. */
  readonly table: number;
  /** Seconds without a packet, after which the flow goes; 0 for never. */
  readonly idleTimeout: number;
  /** Seconds after which the flow goes; 0 for never. */
  readonly hardTimeout: number;
  readonly priority: number;
  /** A packet in the switch that the flow is applied to, or `NO_BUFFER`. */
  readonly buffer: number;
  /** Delete: only flows with an action to this port; `PORT.any` for all. */
  readonly outPort: number;
  /** Delete: only flows with an action to this group; `GROUP.any` for all. */
  readonly outGroup: number;
  /** `FLOW_FLAG` bits. */
  readonly flags: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

export type GroupType = 'all' | 'select' | 'indirect' | 'fast-failover';

export interface Bucket {
  /** Share of a select group. */
  readonly weight: number;
  /** The port whose state says whether the bucket is live; `PORT.any` for none. */
  readonly watchPort: number;
  /** The group whose state says whether the bucket is live; `GROUP.any` for none. */
  readonly watchGroup: number;
  readonly actions: readonly Action[];
}

export interface GroupMod {
  readonly type: 'group-mod';
  readonly command: 'add' | 'modify' | 'delete';
  readonly groupType: GroupType;
  readonly group: number;
  readonly buckets: readonly Bucket[];
}

/** A meter band; rates and bursts are in kbit/s and kbit, or packets/s and packets, as the meter's flags say. */
export type MeterBand =
  | { readonly type: 'drop'; readonly rate: number; readonly burst: number }
  | {
      readonly type: 'dscp-remark';
      readonly rate: number;
      readonly burst: number;
      /** By how much the drop precedence is raised. */
      readonly precedence: number;
    }
  | {
      readonly type: 'experimenter';
      readonly rate: number;
      readonly burst: number;
      readonly experimenter: number;
      readonly data: Uint8Array;
    };

export interface MeterMod {
  readonly type: 'meter-mod';
  readonly command: 'add' | 'modify' | 'delete';
  /** `METER_FLAG` bits. */
  readonly flags: number;
  readonly meter: number;
  readonly bands: readonly MeterBand[];
}

/** A flow-mod that adds a flow to table 0: what is not in `part` is neutral, zero or empty. */
export function flowMod(part: Partial<FlowMod>): FlowMod {
  return {
    type: 'flow-mod',
    command: 'add',
    cookie: 0n,
    cookieMask: 0n,
    table: 0,
    idleTimeout: 0,
    hardTimeout: 0,
    priority: 0,
    buffer: NO_BUFFER,
    outPort: PORT.any,
    outGroup: GROUP.any,
    flags: 0,
    match: {},
    instructions: [],
    ...part,
  };
}
