/**
 * What the OpenFlow endpoint (`agent/`) sees of the switch: methods that take the messages of the protocol as data, and
 * events. `OpenFlowSwitch` implements it. Nothing here knows of connections, roles, xids or bytes on the wire.
 */
import type {
  FeaturesReply,
  FlowMod,
  FlowRemoved,
  GroupMod,
  Match,
  MeterMod,
  MultipartReplyBody,
  MultipartRequestBody,
  PacketInMessage,
  PacketInReason,
  PacketOut,
  PacketQueue,
  PortMod,
  PortStatus,
  SwitchConfig,
} from '../openflow/index.ts';

/** A packet for the controllers. Every connection makes its own message of it with `packetInMessage`. */
export interface PacketInEvent {
  readonly reason: PacketInReason;
  /** Table of the flow that sent it. */
  readonly table: number;
  /** Of that flow; all ones when it came from a group or from the action set (7.4.1). */
  readonly cookie: bigint;
  /** in_port, and in_phy_port, metadata, tunnel_id when they are not zero. */
  readonly match: Match;
  /** The whole Ethernet frame; a copy that may be kept. */
  readonly frame: Buffer;
  /**
   * Bytes of it that the action asks for, `CONTROLLER_LENGTH.noBuffer` for all of it; undefined when no action says so
   * (invalid TTL): then it is the connection's `missSendLength`.
   */
  readonly maxLength: number | undefined;
}

export interface OpenFlowListener {
  packetIn(event: PacketInEvent): void;
  /** Only for flows with OFPFF_SEND_FLOW_REM. */
  flowRemoved(message: FlowRemoved): void;
  portStatus(message: PortStatus): void;
}

/**
 * The methods happen at once and whole: when one returns, the next packet meets what it did, so a barrier has nothing to wait
 * for. Each throws `OpenFlowError`, with nothing changed, when the protocol has an error for what is asked.
 */
export interface OpenFlowDatapath {
  /** @returns a function that ends it. */
  listen(listener: OpenFlowListener): () => void;

  /** Main connection (`auxiliary` 0). */
  features(): FeaturesReply;
  config(): SwitchConfig;
  /** `missSendLength` is each connection's own business; fragment flags are the switch's. */
  setConfig(config: SwitchConfig): void;

  /** With a buffer, the kept packet goes through the tables afterwards, as by a packet-out to TABLE. */
  flowMod(message: FlowMod): void;
  groupMod(message: GroupMod): void;
  meterMod(message: MeterMod): void;
  portMod(message: PortMod): void;
  tableMod(message: { readonly table: number; readonly config: number }): void;
  packetOut(message: PacketOut): void;

  /** The whole answer; the caller cuts it into parts. A table-features request must be whole, too. */
  multipart(request: MultipartRequestBody): MultipartReplyBody;
  queues(port: number): readonly PacketQueue[];

  /** Cuts the packet as asked, and keeps the rest under a buffer number when it is cut. */
  packetInMessage(event: PacketInEvent, missSendLength: number): PacketInMessage;

  /**
   * Removes what has timed out.
   * @param now monotonic milliseconds. @returns when to call again at the latest; undefined: when flows were added.
   */
  expire(now: number): number | undefined;
}
