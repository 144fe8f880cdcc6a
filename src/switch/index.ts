export { type Action, type Instruction, PORT, type SettableField } from './actions.ts';
export {
  cidrToBigInt,
  ipFromBytes,
  ipToBigInt,
  ipToBytes,
  macToBigInt,
  macToBytes,
} from './addresses.ts';
export { FairShare } from './fair-share.ts';
export { ETH_TYPE, type FieldName, IP_PROTOCOL } from './fields.ts';
export type { FlowEntry, FlowSpec } from './flow-table.ts';
export { FrameBatch, FrameReader } from './framing.ts';
export { type MaskedValue, type Match, prefix } from './match.ts';
export { Packet } from './packet.ts';
export { type PacketIn, type PortCounters, Switch, type SwitchPort } from './pipeline.ts';
export { StreamPort, zeroCounters } from './stream-port.ts';
