/** Every message of OpenFlow 1.3.5 (7.1 to 7.5) as data, without its header. */
import type { Action } from './actions.ts';
import type { Match } from './match.ts';
import type { MultipartReply, MultipartRequest } from './multipart.ts';
import type { FlowMod, GroupMod, MeterMod } from './tables.ts';

export type Message =
  | Hello
  | ErrorMessage
  | { readonly type: 'echo-request'; readonly data: Uint8Array }
  | { readonly type: 'echo-reply'; readonly data: Uint8Array }
  | ExperimenterMessage
  | { readonly type: 'features-request' }
  | FeaturesReply
  | { readonly type: 'get-config-request' }
  | ({ readonly type: 'get-config-reply' } & SwitchConfig)
  | ({ readonly type: 'set-config' } & SwitchConfig)
  | PacketInMessage
  | FlowRemoved
  | PortStatus
  | PacketOut
  | FlowMod
  | GroupMod
  | PortMod
  /** Its configuration has no bits left that mean anything (7.3.3). */
  | { readonly type: 'table-mod'; readonly table: number; readonly config: number }
  | MultipartRequest
  | MultipartReply
  | { readonly type: 'barrier-request' }
  | { readonly type: 'barrier-reply' }
  /** `PORT.any` for all ports. */
  | { readonly type: 'queue-get-config-request'; readonly port: number }
  | {
      readonly type: 'queue-get-config-reply';
      readonly port: number;
      readonly queues: readonly PacketQueue[];
    }
  | ({ readonly type: 'role-request' } & RoleClaim)
  | ({ readonly type: 'role-reply' } & RoleClaim)
  | { readonly type: 'get-async-request' }
  | ({ readonly type: 'get-async-reply' } & AsyncConfig)
  | ({ readonly type: 'set-async' } & AsyncConfig)
  | MeterMod;

export type MessageType = Message['type'];
export type MessageOf<T extends MessageType> = Extract<Message, { readonly type: T }>;

export interface Hello {
  readonly type: 'hello';
  /** The version of the header: the highest that the sender speaks. */
  readonly version: number;
  /** Every version of the bitmap element (7.5.1); empty without one. */
  readonly versions: readonly number[];
}

export interface ErrorMessage {
  readonly type: 'error';
  /** Numbers, as a peer may send what we do not know; `describeError` names them. */
  readonly errorType: number;
  /** With type `EXPERIMENTER_ERROR`: whose code it is. */
  readonly experimenter?: number;
  readonly code: number;
  /** The first bytes of the message refused, at least 64 when it had as many; for a failed hello, text. */
  readonly data: Uint8Array;
}

export interface ExperimenterMessage {
  readonly type: 'experimenter';
  readonly experimenter: number;
  readonly experimenterType: number;
  readonly data: Uint8Array;
}

export interface FeaturesReply {
  readonly type: 'features-reply';
  readonly datapathId: bigint;
  /** Packets that the switch can keep; 0 when it sends them whole. */
  readonly buffers: number;
  readonly tables: number;
  /** 0 for the main connection. */
  readonly auxiliary: number;
  /** `CAPABILITY` bits. */
  readonly capabilities: number;
}

export interface SwitchConfig {
  /** `FRAGMENTS`. */
  readonly flags: number;
  /** Bytes of a packet that the switch sends to the controller when no action says how many. */
  readonly missSendLength: number;
}

export type PacketInReason = 'no-match' | 'action' | 'invalid-ttl';

export interface PacketInMessage {
  readonly type: 'packet-in';
  /** Where the switch keeps the packet, or `NO_BUFFER`. */
  readonly buffer: number;
  /** Bytes of the whole packet; `data` may hold fewer. */
  readonly totalLength: number;
  readonly reason: PacketInReason;
  readonly table: number;
  readonly cookie: bigint;
  /** The pipeline fields: in_port, and in_phy_port, metadata, tunnel_id when they are not zero. */
  readonly match: Match;
  readonly data: Uint8Array;
}

export type FlowRemovedReason = 'idle-timeout' | 'hard-timeout' | 'delete' | 'group-delete';

export interface FlowRemoved {
  readonly type: 'flow-removed';
  readonly cookie: bigint;
  readonly priority: number;
  readonly reason: FlowRemovedReason;
  readonly table: number;
  readonly durationSeconds: number;
  /** Nanoseconds beyond the seconds. */
  readonly durationNanoseconds: number;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly match: Match;
}

/** A port (7.2.1, `ofp_port`). */
export interface PortDescription {
  readonly number: number;
  /** 48 bits. */
  readonly hardwareAddress: bigint;
  /** At most 15 bytes. */
  readonly name: string;
  /** `PORT_CONFIG` bits: what the administrator wants. */
  readonly config: number;
  /** `PORT_STATE` bits: what is. */
  readonly state: number;
  /** `PORT_FEATURE` bits each. */
  readonly current: number;
  readonly advertised: number;
  readonly supported: number;
  readonly peer: number;
  /** kbit/s. */
  readonly currentSpeed: number;
  readonly maxSpeed: number;
}

export interface PortStatus {
  readonly type: 'port-status';
  readonly reason: PortStatusReason;
  readonly port: PortDescription;
}

export type PortStatusReason = 'add' | 'delete' | 'modify';

export interface PacketOut {
  readonly type: 'packet-out';
  /** A packet in the switch, or `NO_BUFFER` and `data` holds it. */
  readonly buffer: number;
  /** Where the packet is taken to have come from, or `PORT.controller`. */
  readonly inPort: number;
  readonly actions: readonly Action[];
  readonly data: Uint8Array;
}

export interface PortMod {
  readonly type: 'port-mod';
  readonly port: number;
  /** Must be the port's own. */
  readonly hardwareAddress: bigint;
  /** `PORT_CONFIG` bits, of those that `mask` names. */
  readonly config: number;
  readonly mask: number;
  /** `PORT_FEATURE` bits; 0 leaves them as they are. */
  readonly advertise: number;
}

export interface PacketQueue {
  readonly queue: number;
  readonly port: number;
  readonly properties: readonly QueueProperty[];
}

/** Rates are tenths of a percent of the port's; above 1000 they are off. */
export type QueueProperty =
  | { readonly type: 'min-rate'; readonly rate: number }
  | { readonly type: 'max-rate'; readonly rate: number }
  | { readonly type: 'experimenter'; readonly experimenter: number; readonly data: Uint8Array };

/** `nochange` only asks. */
export type Role = 'nochange' | 'equal' | 'master' | 'slave';

export interface RoleClaim {
  readonly role: Role;
  /** Of the claim to be master: an older one is refused (6.3.5). */
  readonly generation: bigint;
}

/** What a controller is sent, as bits `1 << reason`; once as master or equal, once as slave (7.3.10). */
export interface AsyncConfig {
  readonly packetIn: AsyncMask;
  readonly portStatus: AsyncMask;
  readonly flowRemoved: AsyncMask;
}

export interface AsyncMask {
  readonly master: number;
  readonly slave: number;
}
