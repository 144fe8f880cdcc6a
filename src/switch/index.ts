export {
  type Action,
  ETH_TYPE,
  type FieldName,
  type Instruction,
  IP_PROTOCOL,
  type MaskedValue,
  type Match,
  PORT,
} from '../openflow/index.ts';
export {
  cidrToBigInt,
  ipFromBytes,
  ipToBigInt,
  ipToBytes,
  macToBigInt,
  macToBytes,
} from './addresses.ts';
export { checksum, onesSum, pseudoHeaderSum, updateChecksum } from './checksum.ts';
export { FairShare } from './fair-share.ts';
export type { FlowEntry, FlowSpec } from './flow.ts';
export { FrameBatch, FrameReader } from './framing.ts';
export { prefix } from './match.ts';
export type { OpenFlowDatapath, OpenFlowListener, PacketInEvent } from './openflow-api.ts';
export { OpenFlowSwitch, type OpenFlowSwitchOptions } from './openflow-switch.ts';
export { Packet } from './packet.ts';
export { PatchPort } from './patch-port.ts';
export { type PacketIn, Switch, type SwitchOptions } from './pipeline.ts';
export { type PortCounters, type SwitchPort, zeroCounters } from './ports.ts';
export { StreamPort } from './stream-port.ts';
