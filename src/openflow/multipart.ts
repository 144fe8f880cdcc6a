/** Multipart requests and replies as data (OpenFlow 1.3.5, 7.3.5). */
import type { ActionType, Instruction, InstructionType } from './actions.ts';
import type { FieldName } from './fields.ts';
import type { Match } from './match.ts';
import type { PortDescription } from './messages.ts';
import type { Bucket, GroupType, MeterBand } from './tables.ts';

/** Which flows are meant: in a table (or `TABLE.all`), to a port and group (or `any`), with a cookie. */
export interface FlowSelection {
  readonly table: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly match: Match;
}

export type MultipartRequestBody =
  | { readonly kind: 'desc' }
  | ({ readonly kind: 'flow' } & FlowSelection)
  | ({ readonly kind: 'aggregate' } & FlowSelection)
  | { readonly kind: 'table' }
  /** `PORT.any` for all. */
  | { readonly kind: 'port-stats'; readonly port: number }
  | { readonly kind: 'queue'; readonly port: number; readonly queue: number }
  /** `GROUP.all` for all. */
  | { readonly kind: 'group'; readonly group: number }
  | { readonly kind: 'group-desc' }
  | { readonly kind: 'group-features' }
  /** `METER.all` for all. */
  | { readonly kind: 'meter'; readonly meter: number }
  | { readonly kind: 'meter-config'; readonly meter: number }
  | { readonly kind: 'meter-features' }
  /** Empty to ask; otherwise all tables are to be changed. */
  | { readonly kind: 'table-features'; readonly tables: readonly TableFeatures[] }
  | { readonly kind: 'port-desc' }
  | MultipartExperimenter;

export interface MultipartExperimenter {
  readonly kind: 'experimenter';
  readonly experimenter: number;
  readonly experimenterType: number;
  readonly data: Uint8Array;
}

export type MultipartReplyBody =
  | ({ readonly kind: 'desc' } & SwitchDescription)
  | { readonly kind: 'flow'; readonly flows: readonly FlowStats[] }
  | {
      readonly kind: 'aggregate';
      readonly packets: bigint;
      readonly bytes: bigint;
      readonly flows: number;
    }
  | { readonly kind: 'table'; readonly tables: readonly TableStats[] }
  | { readonly kind: 'port-stats'; readonly ports: readonly PortStats[] }
  | { readonly kind: 'queue'; readonly queues: readonly QueueStats[] }
  | { readonly kind: 'group'; readonly groups: readonly GroupStats[] }
  | { readonly kind: 'group-desc'; readonly groups: readonly GroupDescription[] }
  | ({ readonly kind: 'group-features' } & GroupFeatures)
  | { readonly kind: 'meter'; readonly meters: readonly MeterStats[] }
  | { readonly kind: 'meter-config'; readonly meters: readonly MeterConfig[] }
  | ({ readonly kind: 'meter-features' } & MeterFeatures)
  | { readonly kind: 'table-features'; readonly tables: readonly TableFeatures[] }
  | { readonly kind: 'port-desc'; readonly ports: readonly PortDescription[] }
  | MultipartExperimenter;

export type MultipartKind = MultipartRequestBody['kind'];

export interface MultipartRequest {
  readonly type: 'multipart-request';
  /** Another part with the same xid follows. */
  readonly more: boolean;
  readonly body: MultipartRequestBody;
}

export interface MultipartReply {
  readonly type: 'multipart-reply';
  readonly more: boolean;
  readonly body: MultipartReplyBody;
}

export interface SwitchDescription {
  readonly manufacturer: string;
  readonly hardware: string;
  readonly software: string;
  readonly serial: string;
  readonly datapath: string;
}

export interface Duration {
  readonly durationSeconds: number;
  /** Nanoseconds beyond the seconds. */
  readonly durationNanoseconds: number;
}

export interface FlowStats extends Duration {
  readonly table: number;
  readonly priority: number;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  /** `FLOW_FLAG` bits. */
  readonly flags: number;
  readonly cookie: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

export interface TableStats {
  readonly table: number;
  readonly active: number;
  readonly lookups: bigint;
  readonly matched: bigint;
}

/** Counters that are not kept are all ones (7.3.5.6). */
export interface PortStats extends Duration {
  readonly port: number;
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
  readonly rxErrors: bigint;
  readonly txErrors: bigint;
  readonly rxFrameErrors: bigint;
  readonly rxOverrunErrors: bigint;
  readonly rxCrcErrors: bigint;
  readonly collisions: bigint;
}

export interface QueueStats extends Duration {
  readonly port: number;
  readonly queue: number;
  readonly txBytes: bigint;
  readonly txPackets: bigint;
  readonly txErrors: bigint;
}

export interface BucketCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface GroupStats extends Duration {
  readonly group: number;
  /** Flows and groups that point to it. */
  readonly references: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly buckets: readonly BucketCounter[];
}

export interface GroupDescription {
  readonly groupType: GroupType;
  readonly group: number;
  readonly buckets: readonly Bucket[];
}

export interface GroupFeatures {
  /** Bits `1 << type`. */
  readonly types: number;
  /** `GROUP_CAPABILITY` bits. */
  readonly capabilities: number;
  /** Of all, select, indirect, fast-failover. */
  readonly maxGroups: readonly number[];
  /** Bits `1 << action`, for the same four. */
  readonly actions: readonly number[];
}

export interface MeterStats extends Duration {
  readonly meter: number;
  readonly flows: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly bands: readonly BucketCounter[];
}

export interface MeterConfig {
  /** `METER_FLAG` bits. */
  readonly flags: number;
  readonly meter: number;
  readonly bands: readonly MeterBand[];
}

export interface MeterFeatures {
  readonly maxMeters: number;
  /** Bits `1 << band type`. */
  readonly bandTypes: number;
  /** `METER_FLAG` bits. */
  readonly capabilities: number;
  readonly maxBands: number;
  readonly maxColors: number;
}

export interface TableFeatures {
  readonly table: number;
  readonly name: string;
  readonly metadataMatch: bigint;
  readonly metadataWrite: bigint;
  readonly config: number;
  readonly maxEntries: number;
  readonly properties: readonly TableProperty[];
}

/** The same property of flows, and of the table-miss flow (`miss`). */
export type TableProperty =
  | {
      readonly type: 'instructions';
      readonly miss: boolean;
      readonly instructions: readonly FeatureId<InstructionType>[];
    }
  | { readonly type: 'next-tables'; readonly miss: boolean; readonly tables: readonly number[] }
  | {
      readonly type: 'write-actions' | 'apply-actions';
      readonly miss: boolean;
      readonly actions: readonly FeatureId<FeatureAction>[];
    }
  | { readonly type: 'match' | 'wildcards'; readonly fields: readonly FeatureField[] }
  | {
      readonly type: 'write-set-field' | 'apply-set-field';
      readonly miss: boolean;
      readonly fields: readonly FeatureField[];
    }
  | {
      readonly type: 'experimenter';
      readonly miss: boolean;
      readonly experimenter: number;
      readonly experimenterType: number;
      readonly data: Uint8Array;
    };

export type FeatureAction = Exclude<ActionType, 'set-unknown-field'>;

/** A type by name; an experimenter's with its number and data; an unknown one by its number. */
export type FeatureId<Name extends string> =
  | { readonly name: Exclude<Name, 'experimenter'> }
  | { readonly name: 'experimenter'; readonly experimenter: number; readonly data: Uint8Array }
  | { readonly name: 'unknown'; readonly id: number };

/** A field by name, with whether it can be masked; an unknown one by its OXM header. */
export type FeatureField =
  | { readonly name: FieldName; readonly hasMask: boolean }
  | {
      readonly name: 'unknown';
      /** The four bytes of the OXM header. */
      readonly header: number;
      readonly experimenter?: number;
    };
