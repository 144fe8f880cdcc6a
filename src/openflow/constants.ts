/** Reserved numbers and flag bits of OpenFlow 1.3.5. Flags stay numbers: what they mean is decided where they are used. */

/** `ofp_header.version` of OpenFlow 1.3. */
export const OPENFLOW_VERSION = 0x04;

/** Reserved ports (7.2.1, `ofp_port_no`). */
export const PORT = {
  max: 0xffffff00,
  inPort: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  any: 0xffffffff,
} as const;

/** Reserved groups (7.3.4.2, `ofp_group`). */
export const GROUP = { max: 0xffffff00, all: 0xfffffffc, any: 0xffffffff } as const;

/** Reserved meters (7.3.4.4, `ofp_meter`). */
export const METER = {
  max: 0xffff0000,
  slowPath: 0xfffffffd,
  controller: 0xfffffffe,
  all: 0xffffffff,
} as const;

/** Reserved tables (7.3.4.1, `ofp_table`). */
export const TABLE = { max: 0xfe, all: 0xff } as const;

/** Every queue of a port (7.2.2, `OFPQ_ALL`). */
export const QUEUE_ALL = 0xffffffff;
/** The packet is not kept in the switch (`OFP_NO_BUFFER`). */
export const NO_BUFFER = 0xffffffff;
/** The whole packet goes to the controller (7.2.5, `OFPCML_NO_BUFFER`); the largest length is `maxLength`. */
export const CONTROLLER_LENGTH = { max: 0xffe5, noBuffer: 0xffff } as const;
/** A generation id that a switch which has none yet reports in a role reply (7.3.9). */
export const NO_GENERATION = 0xffff_ffff_ffff_ffffn;

/** Values of `vlan_vid` (7.2.3.7): the 13th bit says that there is a tag. */
export const VLAN = { none: 0, present: 0x1000 } as const;

/** Bits of `ipv6_exthdr` (7.2.3.8, `ofp_ipv6exthdr_flags`). */
export const IPV6_EXTENSION = {
  noNext: 1 << 0,
  esp: 1 << 1,
  auth: 1 << 2,
  dest: 1 << 3,
  fragment: 1 << 4,
  router: 1 << 5,
  hop: 1 << 6,
  unrepeated: 1 << 7,
  unsequenced: 1 << 8,
} as const;

/** `ofp_capabilities` (7.3.1). */
export const CAPABILITY = {
  flowStats: 1 << 0,
  tableStats: 1 << 1,
  portStats: 1 << 2,
  groupStats: 1 << 3,
  ipReassembly: 1 << 5,
  queueStats: 1 << 6,
  portBlocked: 1 << 8,
} as const;

/** `ofp_config_flags` (7.3.2): what happens to IP fragments. */
export const FRAGMENTS = { normal: 0, drop: 1, reassemble: 2 } as const;

/** `ofp_port_config` (7.2.1). */
export const PORT_CONFIG = {
  portDown: 1 << 0,
  noRecv: 1 << 2,
  noForward: 1 << 5,
  noPacketIn: 1 << 6,
} as const;

/** `ofp_port_state` (7.2.1). */
export const PORT_STATE = { linkDown: 1 << 0, blocked: 1 << 1, live: 1 << 2 } as const;

/** `ofp_port_features` (7.2.1). */
export const PORT_FEATURE = {
  speed10MbHalf: 1 << 0,
  speed10Mb: 1 << 1,
  speed100MbHalf: 1 << 2,
  speed100Mb: 1 << 3,
  speed1GbHalf: 1 << 4,
  speed1Gb: 1 << 5,
  speed10Gb: 1 << 6,
  speed40Gb: 1 << 7,
  speed100Gb: 1 << 8,
  speed1Tb: 1 << 9,
  speedOther: 1 << 10,
  copper: 1 << 11,
  fiber: 1 << 12,
  autonegotiation: 1 << 13,
  pause: 1 << 14,
  pauseAsymmetric: 1 << 15,
} as const;

/** `ofp_flow_mod_flags` (7.3.4.1). */
export const FLOW_FLAG = {
  sendFlowRemoved: 1 << 0,
  checkOverlap: 1 << 1,
  resetCounts: 1 << 2,
  noPacketCounts: 1 << 3,
  noByteCounts: 1 << 4,
} as const;

/** `ofp_meter_flags` (7.3.4.4). */
export const METER_FLAG = {
  kilobitsPerSecond: 1 << 0,
  packetsPerSecond: 1 << 1,
  burst: 1 << 2,
  stats: 1 << 3,
} as const;

/** `ofp_group_capabilities` (7.3.5.9). */
export const GROUP_CAPABILITY = {
  selectWeight: 1 << 0,
  selectLiveness: 1 << 1,
  chaining: 1 << 2,
  chainingChecks: 1 << 3,
} as const;

/** `ofp_table_config` (7.3.3): all bits are deprecated. */
export const TABLE_CONFIG_DEPRECATED = 3;
